"""DVC stage `evaluate`: score the trained folds and write the report. Usage: python stages/evaluate.py DATASET"""

from pathlib import Path

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Score the trained folds and write the report."""
    from audioprep.config.training import load_training_params
    from audioprep.io.layout import Layout
    from audioprep.model.evaluate import evaluate

    layout, rule = Layout.in_project(dataset), load_training_params().evaluate
    checkpoints = Path("models", dataset, "checkpoints")
    evaluate(layout.data, checkpoints, Path("reports", dataset), rule, layout.log / "train.jsonl")


if __name__ == "__main__":
    run_stage(main)
