"""The report: one HTML page that needs nothing else, neither files nor network.

Shape letters: K clips, L classes.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from audioprep.io.predictions import Predictions
from audioprep.model.metrics.decisions import confusion
from audioprep.model.report import curves
from audioprep.model.report.charts import histogram, size_chart
from audioprep.model.report.findings import read_audit

_TEMPLATE = "page.html.j2"
_NUM_CONFUSIONS = 10
# With more classes than this a number no longer fits into a cell of the matrix.
_MAX_CLASSES_WITH_NUMBERS = 24
# A matrix of more classes is too fine to be looked at, and too much to be loaded.
_MAX_CLASSES_IN_MATRIX = 100
# So few bars leave room for another chart below them.
_FEW_CLASSES = 14
_KINDS_OF_FREQUENCY = ("logmel", "spectrogram")
# Of groups so many are listed, the largest.
_MAX_PARTS = 50


@dataclass(frozen=True)
class Results:
    """One evaluated run.

    Attributes:
        head: What `metrics.json` holds.
        details: What `details.json` holds.
        calibration: What `calibration.json` holds.
        predictions: Of all folds.
        curves: Their `roc` and `pr` curves.
        training: What `train.json` holds.
        about: `rule` (the model's), `meta` (the checkpoint's: dataset, split, labels, features), `shapes`, `evaluation` (how
            clips were scored), and of the split `num_folds` and `num_prepared`, its clips or recordings.
        heard: What `listen` returns.
        augmented: What `augmented` returns.
        copied: What `copied` returns.
        history: The train stage's table of epochs.
    """

    head: Mapping[str, Any]
    details: Mapping[str, Any]
    calibration: Mapping[str, Mapping[str, Any]]
    predictions: Predictions
    curves: Mapping[str, Mapping[str, Any]]
    training: Mapping[str, Any]
    about: Mapping[str, Any]
    heard: Mapping[str, Any]
    augmented: Sequence[Mapping[str, Any]]
    copied: Sequence[Mapping[str, Any]]
    history: Path


def write_report(path: Path, data: Path, results: Results) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        data: The corpus's folder; its summary, the audit of its split, and its suspicious clips are shown if they are there.
        results: What there is to say.
    """
    predictions, details = results.predictions, results.details
    is_single, classes = not predictions.is_multi_label, predictions.classes
    counts_LL = _confusion(predictions) if is_single else None
    history = _read_history(results.history)
    summary = _read_json(data / "card" / "summary.json")
    valid_name = "Validation accuracy" if is_single else "Likeliest label is right, validation"
    page = (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            is_single=is_single,
            headline="accuracy" if is_single else "map",
            head=results.head,
            details=details,
            training=results.training,
            tested=_folds(results.training["folds"], results.about["num_folds"]),
            about=results.about,
            bin_marks=_bin_marks(results.about["meta"]["features"]),
            heard=results.heard,
            augmented=results.augmented,
            copied=results.copied,
            matrix=_matrix(counts_LL, classes)
            if counts_LL is not None and len(classes) <= _MAX_CLASSES_IN_MATRIX
            else [],
            has_numbers=len(classes) <= _MAX_CLASSES_WITH_NUMBERS,
            confusions=_confusions(counts_LL, classes),
            calibration=results.calibration,
            thresholds=_thresholds(results.calibration),
            parts=[_part(name, rows) for name, rows in details["per_group"].items()],
            loss_chart=curves.loss_chart(history),
            rate_chart=curves.rate_chart(history),
            valid_name=valid_name,
            accuracy_chart=curves.accuracy_chart(history, valid_name),
            calibration_chart=curves.calibration_chart(details["calibration"]),
            curves=curves.ranking_charts(results.curves, details["per_class"]),
            robustness_chart=curves.robustness_chart(details["robustness"], results.head),
            summary=summary,
            data_charts=_data_charts(summary) if summary else ([], []),
            split_folds=_split_folds(summary["split"]) if summary else [],
            audit=read_audit(data / "splits"),
        )
    )
    path.write_text(page, encoding="utf-8")


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )


def _confusion(predictions: Predictions) -> npt.NDArray[np.int64]:
    true_K, given_K = (labels_KL.argmax(axis=1) for labels_KL in (predictions.truth_KL, predictions.decided_KL))
    return confusion(true_K, given_K, len(predictions.classes))


def _matrix(counts_LL: npt.NDArray[np.int64], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the confusion matrix, each cell with its share of the row."""
    rows = []
    for truth, counts_L in enumerate(counts_LL):
        total = max(int(counts_L.sum()), 1)
        cells = [
            {"count": int(count), "share": count / total, "label": labels[column], "is_right": column == truth}
            for column, count in enumerate(counts_L)
        ]
        rows.append({"label": labels[truth], "cells": cells})
    return rows


def _confusions(counts_LL: npt.NDArray[np.int64] | None, labels: Sequence[str]) -> dict[str, Any]:
    """Return the pairs of classes that are confused most often, and how many more there are."""
    pairs = (
        []
        if counts_LL is None
        else [
            {"truth": labels[row], "predicted": labels[column], "count": int(counts_LL[row, column])}
            for row, column in np.argwhere(counts_LL)
            if row != column
        ]
    )
    pairs.sort(key=lambda pair: (-pair["count"], pair["truth"], pair["predicted"]))
    return {"rows": pairs[:_NUM_CONFUSIONS], "num_more": max(len(pairs) - _NUM_CONFUSIONS, 0)}


def _folds(tested: Sequence[int], num_folds: int) -> str:
    """Return which folds of a split were tested: `folds 1, 3 of 5`."""
    if len(tested) == num_folds > 1:
        return f"all {num_folds} folds"
    return f"{'folds' if len(tested) > 1 else 'fold'} {', '.join(map(str, tested))} of {num_folds}"


def _bin_marks(features: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands at the lowest and at the highest bin of a picture of features."""
    if features["kind"] not in _KINDS_OF_FREQUENCY:
        return {"bottom": "bin 1", "top": f"bin {features['num_bins']}"}
    rule = features["rule"]
    highest_hz = rule.get("fmax_hz") or features["rate_hz"] / 2
    return {"bottom": f"{rule.get('fmin_hz') or 0.0:g} Hz", "top": f"{highest_hz / 1000:g} kHz"}


def _thresholds(calibration: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the threshold of each class, as the mean of the folds that have some; nothing where none has."""
    folds = [fold["thresholds"] for fold in calibration.values() if fold["thresholds"]]
    return {label: sum(fold[label] for fold in folds) / len(folds) for label in folds[0]} if folds else {}


def _part(name: str, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the page lists of one grouping: its largest parts, by their names."""
    largest = sorted(rows.items(), key=lambda row: (-row[1]["num_clips"], row[0]))[:_MAX_PARTS]
    return {"name": name, "rows": sorted(largest), "num_more": len(rows) - len(largest)}


def _read_history(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _data_charts(summary: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the pictures of the data, each with its heading, in two columns of about one height."""
    classes, durations, loudness = summary["classes"], summary["durations"], summary["loudness"]
    names, sizes = [row["label"] for row in classes], [row["clips"] for row in classes]
    left = [_headed("Clips of each class", size_chart(names, sizes, title="Clips of each class", what="classes"))]
    right = []
    if durations:
        chart = histogram(durations["edges_s"], durations["clips"], x_label="duration, s", title="Clips by duration")
        right.append(_headed("Clips by duration", chart))
    if loudness:
        x_label = "integrated loudness, LUFS"
        chart = histogram(loudness["edges_lufs"], loudness["clips"], x_label=x_label, title="Clips by loudness")
        (left if len(classes) <= _FEW_CLASSES else right).append(_headed("Clips by loudness", chart))
    return left, right


def _headed(title: str, chart: str) -> str:
    return f"<h3>{title}</h3>{chart}"


def _split_folds(split: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each fold what its roles hold, every role that any fold has."""
    names = {row["role"]: None for row in split["roles"]}
    folds: dict[int, dict[str, Any]] = {}
    for row in split["roles"]:
        folds.setdefault(row["fold"], dict(names))[row["role"]] = row
    return [{"fold": fold, "roles": roles} for fold, roles in folds.items()]


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
