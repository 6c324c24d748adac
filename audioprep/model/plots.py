"""The tables that `dvc plots` draws."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audioprep.io.predictions import Predictions
from audioprep.model.metrics.ranking import pr_curves, roc_curves

# What stands for no label, in the confusions of clips with several.
NO_LABEL = "(none)"
_DIGITS = 6


def write_plots(folder: Path, predictions: Predictions, bins: Sequence[dict[str, float]]) -> None:
    """Write confusion.csv, roc.csv, pr.csv and reliability.csv.

    Args:
        folder: Where they go.
        predictions: Of all folds.
        bins: Accuracy by confidence.
    """
    folder.mkdir()
    _write(folder / "confusion.csv", ("actual", "predicted"), _confusions(predictions))
    _write(folder / "reliability.csv", ("confidence", "accuracy", "share"), ([*row.values()] for row in bins))
    _write_curves(folder / "roc.csv", "fpr", roc_curves(predictions.truth_KL, predictions.scores_KL), predictions)
    _write_curves(folder / "pr.csv", "recall", pr_curves(predictions.truth_KL, predictions.scores_KL), predictions)


def _confusions(predictions: Predictions) -> Iterable[tuple[str, str]]:
    """Yield one row a decision, which DVC's template counts: a label that is found, missed, or found where it is not."""
    classes = predictions.classes
    for truth_L, decided_L in zip(predictions.truth_KL, predictions.decided_KL, strict=True):
        if not predictions.is_multi_label:
            yield classes[truth_L.argmax()], classes[decided_L.argmax()]
            continue
        for label in np.flatnonzero(truth_L | decided_L):
            name = classes[label]
            yield name if truth_L[label] else NO_LABEL, name if decided_L[label] else NO_LABEL


def _write_curves(path: Path, x: str, curves: dict[str, Any], predictions: Predictions) -> None:
    """Write one row a point of the grid: `macro`, `micro`, and a column for each class, by its name."""
    columns = [curves[x], curves["macro"], curves["micro"], *curves["classes"]]
    # A class may be called macro.
    names = [x, "macro", "micro", *(f"class {label}" for label in predictions.classes)]
    _write(path, names, zip(*columns, strict=True))


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(value) for value in row] for row in rows)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{round(float(value), _DIGITS):g}"
