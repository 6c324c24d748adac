"""All numbers of one evaluation: a short head to compare runs by, and the details.

Shape letters: B draws, K clips, L classes, F folds.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.io.predictions import Predictions
from audioprep.model.metrics.calibration import calibration_error, reliability
from audioprep.model.metrics.chance import group_draws, interval, wilson_interval
from audioprep.model.metrics.decisions import accuracy, averages, balanced_accuracy, per_class, top_accuracy
from audioprep.model.metrics.ranking import (
    average_precision,
    d_prime,
    lwlrap,
    roc_auc,
    weighted_average_precision,
)
from audioprep.model.plots import NO_LABEL

_TOP = (3, 5)

Doubles = npt.NDArray[np.float64]


def headline_name(predictions: Predictions) -> str:
    """Return the number that networks are compared by: `accuracy`, or `map` where clips may have several labels."""
    return "map" if predictions.is_multi_label else "accuracy"


def headline(predictions: Predictions) -> float:
    """Return the mean over the folds of accuracy, or of the mean average precision: each fold has a network of its own."""
    return _finite_mean([_headline_of(fold) for fold in by_fold(predictions).values()])


def drawn_headlines(predictions: Predictions) -> Doubles:
    """Return the headline [B] of clips drawn group by group; a fold counts by the share of its clips that was drawn.

    The draws are the same for the same groups: those of two networks on the same clips make pairs.
    """
    rows = [np.flatnonzero(predictions.folds_K == fold) for fold in predictions.folds]
    folds = [predictions.take(rows_K) for rows_K in rows]
    parts = []
    for weights_BK in group_draws(predictions.groups):
        value_FB = np.array([_weighted(fold, weights_BK[:, own_K]) for fold, own_K in zip(folds, rows, strict=True)])
        weight_FB = np.array([weights_BK[:, own_K].mean(axis=1) for own_K in rows])
        weight_FB[np.isnan(value_FB)] = 0.0
        total_B = weight_FB.sum(axis=0)
        summed_B = (np.nan_to_num(value_FB) * weight_FB).sum(axis=0)
        parts.append(np.divide(summed_B, total_B, out=np.full_like(summed_B, np.nan), where=total_B > 0))
    return np.concatenate(parts)


def by_fold(predictions: Predictions) -> dict[int, Predictions]:
    """Return the predictions of each fold."""
    return {fold: predictions.take(np.flatnonzero(predictions.folds_K == fold)) for fold in predictions.folds}


def confidences(predictions: Predictions, scores_KL: npt.NDArray[Any]) -> tuple[Doubles, npt.NDArray[np.bool_]]:
    """Return how sure each decision is, and whether it is right: one a clip, or with several labels one a label.

    Args:
        predictions: What was decided.
        scores_KL: Probabilities: those of the predictions, or calibrated ones.
    """
    if predictions.is_multi_label:
        return scores_KL.ravel().astype(np.float64), predictions.truth_KL.ravel()
    return scores_KL.max(axis=1).astype(np.float64), predictions.is_right_K


def judge(
    predictions: Predictions, calibrated_KL: Doubles | None, parts: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the head and the details.

    Args:
        predictions: Of all folds.
        calibrated_KL: Probabilities with each fold's temperature; None where some fold has none.
        parts: For each name (device, city) the part of the corpus that each clip belongs to.

    Returns:
        The head: numbers of the whole, flat. The details: more such numbers, and those of each fold, class and part.
        A number that the clips do not give is left out of the head, and None in the details.
    """
    folds = {f"fold{fold}": _summary(clips) for fold, clips in by_fold(predictions).items()}
    name, pooled = headline_name(predictions), _summary(predictions) if len(folds) > 1 else next(iter(folds.values()))
    low, high = interval(drawn_headlines(predictions))
    head = {
        name: headline(predictions),
        f"{name}_std": _deviation([fold[name] for fold in folds.values()]),
        f"{name}_low95": low,
        f"{name}_high95": high,
        **{key: pooled[key] for key in _head_decisions(name)},
        # Scores of different networks have no common scale: what ranks clips of one class is measured fold by fold.
        **{key: _finite_mean([fold[key] for fold in folds.values()]) for key in _head_rankings(name)},
        "ece": pooled["ece"],
        **({} if calibrated_KL is None else {"ece_calibrated": _error(predictions, calibrated_KL)}),
        "num_clips": len(predictions.ids),
        "folds": len(folds),
    }
    wilson = wilson_interval(int(predictions.is_right_K.sum()), len(predictions.ids))
    details = {
        "task": "multi" if predictions.is_multi_label else "single",
        "num_groups": len(set(predictions.groups)),
        "pooled": pooled,
        "pooled_accuracy": pooled["accuracy"],
        "pooled_accuracy_low95": wilson[0],
        "pooled_accuracy_high95": wilson[1],
        "per_fold": folds,
        "per_class": _per_class(predictions),
        "per_group": {part: _per_part(predictions, values) for part, values in parts.items()},
        "calibration": reliability(*confidences(predictions, predictions.scores_KL)),
    }
    return {key: value for key, value in _without_nan(head).items() if value is not None}, _without_nan(details)


def summarise(predictions: Predictions) -> dict[str, float]:
    """Return the headline with its interval, and macro F1."""
    name, (low, high) = headline_name(predictions), interval(drawn_headlines(predictions))
    values = {name: headline(predictions), f"{name}_low95": low, f"{name}_high95": high}
    return {**values, "macro_f1": averages(predictions.truth_KL, predictions.decided_KL)["macro_f1"]}


def _head_decisions(name: str) -> tuple[str, ...]:
    return ("macro_f1", "micro_f1", "lwlrap") if name == "map" else ("balanced_accuracy", "macro_f1")


def _head_rankings(name: str) -> tuple[str, ...]:
    return ("auc", "d_prime") if name == "map" else ("map", "auc")


def _headline_of(fold: Predictions) -> float:
    if fold.is_multi_label:
        return _finite_mean(average_precision(fold.truth_KL, fold.scores_KL))
    return float(fold.is_right_K.mean())


def _weighted(fold: Predictions, weights_BK: Doubles) -> Doubles:
    """Return the headline [B] of one fold with its clips weighted."""
    if fold.is_multi_label:
        return _row_means(weighted_average_precision(fold.truth_KL, fold.scores_KL, weights_BK))
    total_B = weights_BK.sum(axis=1)
    return np.asarray(
        np.divide(weights_BK @ fold.is_right_K, total_B, out=np.full(len(total_B), np.nan), where=total_B > 0),
        np.float64,
    )


def _summary(clips: Predictions) -> dict[str, Any]:
    """Return the numbers of some clips; NaN where they give none."""
    truth_KL, decided_KL, scores_KL = clips.truth_KL, clips.decided_KL, clips.scores_KL
    return {
        "num_clips": len(clips.ids),
        "accuracy": accuracy(truth_KL, decided_KL),
        "balanced_accuracy": balanced_accuracy(truth_KL, decided_KL),
        **{f"top{num}": top_accuracy(truth_KL, scores_KL, num) for num in _TOP if num < len(clips.classes)},
        **averages(truth_KL, decided_KL),
        "map": _finite_mean(average_precision(truth_KL, scores_KL)),
        "lwlrap": lwlrap(truth_KL, scores_KL),
        "auc": _finite_mean(roc_auc(truth_KL, scores_KL)),
        "d_prime": float(d_prime(np.array(_finite_mean(_held_auc(clips))))),
        "ece": _error(clips, scores_KL),
    }


def _per_class(clips: Predictions) -> dict[str, dict[str, Any]]:
    columns: dict[str, npt.NDArray[Any]] = {
        **per_class(clips.truth_KL, clips.decided_KL),
        "average_precision": average_precision(clips.truth_KL, clips.scores_KL),
        "auc": roc_auc(clips.truth_KL, clips.scores_KL),
        "d_prime": d_prime(_held_auc(clips)),
    }
    return {
        label: {name: values_L[place].item() for name, values_L in columns.items()}
        for place, label in enumerate(clips.classes)
    }


def _per_part(predictions: Predictions, values: Sequence[str]) -> dict[str, dict[str, Any]]:
    part_K = np.array(values, dtype=str)
    shown = ("num_clips", "accuracy", "balanced_accuracy", "macro_f1", "map")
    rows = {}
    for part in np.unique(part_K):
        summary = _summary(predictions.take(np.flatnonzero(part_K == part)))
        rows[str(part) or NO_LABEL] = {name: summary[name] for name in shown}
    return rows


def _held_auc(clips: Predictions) -> Doubles:
    """Return the AUC of each class, of which d' stays finite: n pairs of clips show 0 or 1 no nearer than half a pair."""
    num_true_L = clips.truth_KL.sum(axis=0)
    half_L = 0.5 / np.maximum(1, num_true_L * (len(clips.ids) - num_true_L))
    return np.clip(roc_auc(clips.truth_KL, clips.scores_KL), half_L, 1 - half_L)


def _error(clips: Predictions, scores_KL: npt.NDArray[Any]) -> float:
    return calibration_error(reliability(*confidences(clips, scores_KL)))


def _finite_mean(values: Sequence[float] | Doubles) -> float:
    kept = [value for value in values if math.isfinite(value)]
    return math.fsum(kept) / len(kept) if kept else math.nan


def _deviation(values: Sequence[float]) -> float:
    """Return how far values lie apart; NaN where there are not two."""
    kept = [value for value in values if math.isfinite(value)]
    return float(np.std(kept, ddof=1)) if len(kept) > 1 else math.nan


def _row_means(values_BL: Doubles) -> Doubles:
    has_BL = ~np.isnan(values_BL)
    count_B = has_BL.sum(axis=1)
    total_B = np.where(has_BL, values_BL, 0.0).sum(axis=1)
    return np.asarray(np.divide(total_B, count_B, out=np.full(len(count_B), np.nan), where=count_B > 0), np.float64)


def _without_nan(value: Any) -> Any:
    """Return values as JSON can hold them."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
