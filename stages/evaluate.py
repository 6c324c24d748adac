"""DVC stage `evaluate`: score the trained folds and write the report. Usage: python stages/evaluate.py DATASET"""

from pathlib import Path

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Score the trained folds and write the report."""
    from audioprep.config.training import load_training_params
    from audioprep.io.layout import Layout
    from audioprep.model.evaluate import evaluate

    rule = load_training_params().evaluate
    checkpoints = Path("models", dataset, "checkpoints")
    evaluate(Layout.in_project(dataset).data, checkpoints, Path("reports", dataset), rule)


if __name__ == "__main__":
    run_stage(main)
