"""The tables that `dvc plots` draws."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audioprep.io.predictions import Predictions

# What stands for no label: in the confusions of clips with several, and for clips that are of no part.
NO_LABEL = "(none)"
_DIGITS = 6


def write_plots(
    folder: Path,
    predictions: Predictions,
    curves: Mapping[str, Mapping[str, Any]],
    bins: Sequence[dict[str, float]],
    history: Path,
) -> None:
    """Write confusion.csv, roc.csv, pr.csv, reliability.csv, loss.csv and valid.csv.

    Args:
        folder: Where they go.
        predictions: Of all folds.
        curves: Their `roc` and `pr` curves.
        bins: Accuracy by confidence.
        history: The train stage's table of epochs.
    """
    folder.mkdir()
    _write(folder / "confusion.csv", ("actual", "predicted"), _confusions(predictions))
    _write(folder / "reliability.csv", ("confidence", "accuracy", "share"), ([*row.values()] for row in bins))
    _write_curves(folder / "roc.csv", "fpr", curves["roc"], predictions)
    _write_curves(folder / "pr.csv", "recall", curves["pr"], predictions)
    with history.open(newline="", encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    # DVC draws one line a file and revision: the mean of the folds.
    _write(folder / "loss.csv", ("epoch", "train_loss"), _means(epochs, "train_loss"))
    _write(folder / "valid.csv", ("epoch", "valid_accuracy"), _means(epochs, "valid_accuracy"))


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


def _means(epochs: Sequence[Mapping[str, str]], column: str) -> Iterator[tuple[float, float]]:
    """Yield each epoch in which the folds have such a number, with its mean over them."""
    values: dict[int, list[float]] = {}
    for row in epochs:
        if row[column]:
            values.setdefault(int(row["epoch"]), []).append(float(row[column]))
    yield from ((epoch, sum(found) / len(found)) for epoch, found in sorted(values.items()))


def _write_curves(path: Path, x: str, curves: Mapping[str, Any], predictions: Predictions) -> None:
    """Write one row a point of the grid: `macro`, `micro`, and a column for each class, by its name."""
    columns = [curves[x], curves["macro"], curves["micro"], *curves["classes"]]
    if x == "fpr":  # at rate 0 the curve has risen already
        columns = [np.append(np.where(np.isnan(column[0]), np.nan, 0.0), column) for column in columns]
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
