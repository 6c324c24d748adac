"""The curves of the page: training, ROC and precision over recall, calibration, robustness.

Shape letters: G points of a grid.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.model.metrics.calibration import NUM_BINS
from audioprep.model.report.charts import Line, Point, line_chart, mean_line, reliability_chart

# Each class has its curve up to so many classes; of more, those that are told apart worst.
_MAX_CURVES = 40
_NOISE = re.compile(r"(?P<noise>.+) noise, (?P<snr_db>[-+.e\d]+) dB")
_STYLES = ("main dots", "second dots", "third dots")

History = Sequence[Mapping[str, str]]


def loss_chart(history: History) -> str:
    """Return the loss over epochs, of each fold and their mean, from the rows of `history.csv`."""
    train, valid = _per_fold(history, "train_loss"), _per_fold(history, "valid_loss")
    lines = [Line(f"fold {fold}, fitted", points, "faint") for fold, points in train.items()]
    lines += [Line(f"fold {fold}, validation", points, "faint second") for fold, points in valid.items()]
    lines.append(Line("fitted, mean of the folds", mean_line(list(train.values())), "main"))
    if valid:
        lines.append(Line("validation, mean of the folds", mean_line(list(valid.values())), "second"))
    return line_chart(lines, x_label="epoch", title="Loss over epochs")


def rate_chart(history: History) -> str:
    """Return the learning rate over epochs, likewise; all folds have the same."""
    lines = [Line("learning rate", points, "main") for points in [*_per_fold(history, "lr").values()][:1]]
    return line_chart(lines, x_label="epoch", title="Learning rate over epochs")


def accuracy_chart(history: History, title: str) -> str:
    """Return the validation accuracy over epochs, likewise, by what it is called; nothing where nothing was validated."""
    valid = _per_fold(history, "valid_accuracy")
    if not valid:
        return ""
    lines = [Line(f"fold {fold}, validation", points, "faint second") for fold, points in valid.items()]
    lines.append(Line("validation, mean of the folds", mean_line(list(valid.values())), "second"))
    return line_chart(lines, x_label="epoch", title=f"{title} over epochs", is_share=True)


def calibration_chart(bins: Sequence[Mapping[str, float]]) -> str:
    """Return the reliability diagram."""
    return reliability_chart(bins, NUM_BINS, title="Accuracy by confidence")


def ranking_charts(
    curves: Mapping[str, Mapping[str, Any]], per_class: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return `roc` and `pr` as charts, and `classes`: those that have a curve in them, the hardest first.

    Args:
        curves: What `roc_curves` and `pr_curves` return, by these names.
        per_class: The numbers of each class, in the order of the curves.
    """
    known = [label for label, row in per_class.items() if row["average_precision"] is not None]
    shown = sorted(known, key=lambda label: (per_class[label]["average_precision"], label))[:_MAX_CURVES]
    place, charts = {label: number for number, label in enumerate(per_class)}, {}
    for name, x, x_label, title, start in (
        ("roc", "fpr", "false positive rate", "ROC curves", [(0.0, 0.0)]),
        ("pr", "recall", "recall", "Precision over recall", []),
    ):
        found = curves[name]
        lines = [
            Line(label, _points(found[x], found["classes"][place[label]], start), "faint", label) for label in shown
        ]
        lines.append(Line("mean of the classes", _points(found[x], found["macro"], start), "main"))
        charts[name] = line_chart([line for line in lines if line.points], x_label=x_label, title=title, is_share=True)
    return {**charts, "classes": [{"label": label, **per_class[label]} for label in shown]}


def robustness_chart(conditions: Mapping[str, Mapping[str, float]], head: Mapping[str, float]) -> dict[str, Any] | None:
    """Return the headline over the level of noise as `svg`, and its `noises`, a line each; None where there are not two levels.

    Args:
        conditions: The numbers of each, by its name.
        head: Those of the clips as they are.
    """
    name = "accuracy" if "accuracy" in head else "map"
    noises: dict[str, list[Point]] = {}
    for condition, row in conditions.items():
        if match := _NOISE.fullmatch(condition):
            noises.setdefault(match["noise"], []).append((float(match["snr_db"]), row[name]))
    noises = {noise: sorted(points) for noise, points in noises.items() if len(points) > 1}
    if not noises:
        return None
    levels = [x for points in noises.values() for x, _ in points]
    lines = [Line("without noise", [(min(*levels, 0.0), head[name]), (max(levels), head[name])], "ideal")]
    lines += [Line(n, points, _STYLES[i % len(_STYLES)]) for i, (n, points) in enumerate(noises.items())]
    svg = line_chart(lines, x_label="sound over noise, dB", title="Robustness to noise", is_share=True)
    return {"svg": svg, "noises": list(noises)}


def _per_fold(history: History, column: str) -> dict[str, list[Point]]:
    folds: dict[str, list[Point]] = {}
    for row in history:
        if row[column]:
            folds.setdefault(row["fold"], []).append((float(row["epoch"]), float(row[column])))
    return folds


def _points(x_G: npt.NDArray[Any], y_G: npt.NDArray[Any], start: list[Point]) -> list[Point]:
    return [] if np.isnan(y_G).any() else [*start, *zip(x_G.tolist(), y_G.tolist(), strict=True)]
