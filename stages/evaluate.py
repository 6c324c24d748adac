"""DVC stage `evaluate`: score the trained folds and write the report. Usage: python stages/evaluate.py DATASET"""

import sys
from pathlib import Path

from audioprep.config.training import load_training_params
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.model.evaluate import evaluate

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        rule = load_training_params().evaluate
        checkpoints = Path("models", dataset, "checkpoints")
        layout = Layout.in_project(dataset)
        evaluate(layout.data, checkpoints, Path("reports", dataset), rule, layout.log / "train.jsonl")
