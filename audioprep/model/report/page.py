"""The report: one HTML page that needs nothing else, neither files nor network."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from audioprep.model.report.charts import Line, Point, histogram, line_chart, mean_line, size_chart
from audioprep.model.report.findings import read_audit

_TEMPLATE = "page.html.j2"
_NUM_CONFUSIONS = 8
# With more classes than this a number no longer fits into a cell of the matrix.
_MAX_CLASSES_WITH_NUMBERS = 24
# So few bars leave room for another chart below them.
_FEW_CLASSES = 14


def write_report(
    path: Path,
    data: Path,
    *,
    metrics: dict[str, Any],
    training: dict[str, Any],
    about: dict[str, Any],
    counts_LL: npt.NDArray[np.int64] | None,
    bins: Sequence[dict[str, float]],
    errors: Sequence[dict[str, Any]],
    history: Path,
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        data: The corpus's folder; its summary, the audit of its split, and its suspicious clips are shown if they are there.
        metrics: What `metrics.json` holds.
        training: What `train.json` holds.
        about: `rule` (the model's), `meta` (the checkpoint's: dataset, split, labels, features), `shapes`.
        counts_LL: Pooled confusion, rows are the truth; None where clips have several labels.
        bins: Accuracy by confidence: `confidence`, `accuracy`, `share`.
        errors: The wrong clips most confident first: id, fold, label, predicted, probability.
        history: The train stage's table of epochs.
    """
    labels = about["meta"]["labels"]
    summary = _read_json(data / "card" / "summary.json")
    page = (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            metrics=metrics,
            training=training,
            about=about,
            matrix=[] if counts_LL is None else _matrix(counts_LL, labels),
            has_numbers=len(labels) <= _MAX_CLASSES_WITH_NUMBERS,
            confusions=[] if counts_LL is None else _confusions(counts_LL, labels),
            errors=errors,
            loss_chart=_loss_chart(_read_history(history)),
            accuracy_chart=_accuracy_chart(_read_history(history)),
            calibration_chart=_calibration_chart(bins),
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


def _confusions(counts_LL: npt.NDArray[np.int64], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the pairs of classes that are confused most often."""
    pairs = [
        {"truth": labels[row], "predicted": labels[column], "count": int(counts_LL[row, column])}
        for row, column in np.argwhere(counts_LL)
        if row != column
    ]
    return sorted(pairs, key=lambda pair: (-pair["count"], pair["truth"], pair["predicted"]))[:_NUM_CONFUSIONS]


def _read_history(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _loss_chart(history: list[dict[str, str]]) -> str:
    train, valid = _per_fold(history, "train_loss"), _per_fold(history, "valid_loss")
    lines = [Line(f"fold {fold}, fitted", points, "faint") for fold, points in train.items()]
    lines += [Line(f"fold {fold}, validation", points, "faint second") for fold, points in valid.items()]
    lines.append(Line("fitted, mean of the folds", mean_line(list(train.values())), "main"))
    if valid:
        lines.append(Line("validation, mean of the folds", mean_line(list(valid.values())), "second"))
    return line_chart(lines, x_label="epoch", title="Loss over epochs")


def _accuracy_chart(history: list[dict[str, str]]) -> str:
    valid = _per_fold(history, "valid_accuracy")
    if not valid:
        return ""
    lines = [Line(f"fold {fold}, validation", points, "faint second") for fold, points in valid.items()]
    lines.append(Line("validation, mean of the folds", mean_line(list(valid.values())), "second"))
    return line_chart(lines, x_label="epoch", title="Validation accuracy over epochs", is_share=True)


def _calibration_chart(bins: Sequence[dict[str, float]]) -> str:
    lines = [
        Line("as right as it is sure", [(0.0, 0.0), (100.0, 1.0)], "faint"),
        Line("accuracy", [(100 * row["confidence"], row["accuracy"]) for row in bins], "main dots"),
    ]
    return line_chart(lines, x_label="probability given, per cent", title="Accuracy by confidence", is_share=True)


def _per_fold(history: list[dict[str, str]], column: str) -> dict[str, list[Point]]:
    folds: dict[str, list[Point]] = {}
    for row in history:
        if row[column]:
            folds.setdefault(row["fold"], []).append((float(row["epoch"]), float(row[column])))
    return folds


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
    return f"<h2>{title}</h2>{chart}"


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
