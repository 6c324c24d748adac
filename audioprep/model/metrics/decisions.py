"""What decisions are worth: which label a clip is given, or which labels.

A corpus of one label a clip is a special case: one true and one decided label in each row.

Shape letters: K clips, L classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve, precision_recall_fscore_support

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

# Below which probability a label is not given, unless validation clips say better.
DEFAULT_THRESHOLD = 0.5
_COLUMNS = ("precision", "recall", "f1", "num_clips")


def decide_one(scores_KL: Floats) -> Bools:
    """Return the likeliest label of each clip as [K, L]; the first of equal ones."""
    return np.asarray(scores_KL.argmax(axis=1)[:, None] == np.arange(scores_KL.shape[1]))


def decide_several(scores_KL: Floats, thresholds_L: Floats) -> Bools:
    """Return the labels that reach their threshold as [K, L]."""
    return np.asarray(scores_KL >= thresholds_L)


def fitted_thresholds(calibration: Mapping[str, Any], classes: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return from which probability each label is given [L], before any temperature.

    Args:
        calibration: What `calibration.json` holds of a fold; where no thresholds were fitted, they are the default one.
        classes: Names of the classes.
    """
    fitted = calibration["thresholds"] or dict.fromkeys(classes, DEFAULT_THRESHOLD)
    return np.array([fitted[label] for label in classes])


def best_thresholds(truth_KL: Bools, scores_KL: Floats) -> npt.NDArray[np.float64]:
    """Return the threshold of each class [L] with the highest F1; a class that does not occur has the default one.

    Args:
        truth_KL: Which labels the clips have; of validation clips, not of those that are judged.
        scores_KL: Probabilities.

    Returns:
        Thresholds, halfway between the lowest score that is taken and the highest that is not.
    """
    thresholds_L = np.full(truth_KL.shape[1], DEFAULT_THRESHOLD)
    for label in np.flatnonzero(truth_KL.any(axis=0)):
        score_K = scores_KL[:, label].astype(np.float64)
        precision, recall, taken = precision_recall_curve(truth_KL[:, label], score_K)
        f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
        lowest = taken[int(f1[:-1].argmax())]
        below = score_K[score_K < lowest]
        thresholds_L[label] = (lowest + below.max()) / 2 if len(below) else lowest
    return thresholds_L


def confusion(true_K: Ints, predicted_K: Ints, num_classes: int) -> Ints:
    """Return how often each class [L, row] was taken for each class [L, column]."""
    counts_LL = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts_LL, (true_K, predicted_K), 1)
    return counts_LL


def accuracy(truth_KL: Bools, decided_KL: Bools) -> float:
    """Return the share of clips of which all labels are right."""
    return float((truth_KL == decided_KL).all(axis=1).mean())


def balanced_accuracy(truth_KL: Bools, decided_KL: Bools) -> float:
    """Return the mean recall of the classes that occur: all classes count alike, however rare."""
    occurs_L = truth_KL.any(axis=0)
    hits_L = (truth_KL & decided_KL).sum(axis=0)
    return float((hits_L[occurs_L] / truth_KL.sum(axis=0)[occurs_L]).mean()) if occurs_L.any() else 0.0


def top_accuracy(truth_KL: Bools, scores_KL: Floats, num_best: int) -> float:
    """Return the share of clips of which a true label is among the likeliest few; the first of equal ones are taken."""
    best = np.argsort(-scores_KL, axis=1, kind="stable")[:, :num_best]
    return float(np.take_along_axis(truth_KL, best, axis=1).any(axis=1).mean())


def per_class(truth_KL: Bools, decided_KL: Bools) -> dict[str, npt.NDArray[Any]]:
    """Return `precision`, `recall`, `f1` and `num_clips` of each class [L]; a ratio of nothing is 0, as in scikit-learn."""
    # A column of zeros beside them: scikit-learn would take a single column for plain labels.
    padded = [np.column_stack([given_KL, np.zeros(len(given_KL), bool)]) for given_KL in (truth_KL, decided_KL)]
    values = precision_recall_fscore_support(*padded, average=None, zero_division=0)
    return {name: value_L[:-1] for name, value_L in zip(_COLUMNS, values, strict=True)}


def averages(truth_KL: Bools, decided_KL: Bools) -> dict[str, float]:
    """Return precision, recall and F1 over all classes, as `macro_f1` and so on.

    Macro is the mean over the classes that occur, in truth or decision; weighted is that by the clips of each class; micro
    counts all labels of all clips together.
    """
    rows, occurs_L = per_class(truth_KL, decided_KL), (truth_KL | decided_KL).any(axis=0)
    num_clips_L = rows.pop("num_clips")
    micro = per_class(truth_KL.reshape(-1, 1), decided_KL.reshape(-1, 1))
    values: dict[str, float] = {}
    for name, value_L in rows.items():
        values[f"macro_{name}"] = float(value_L[occurs_L].mean()) if occurs_L.any() else 0.0
        values[f"micro_{name}"] = float(micro[name][0])
        values[f"weighted_{name}"] = float(value_L @ num_clips_L / max(1, num_clips_L.sum()))
    return values
