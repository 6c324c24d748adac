"""What probabilities are worth, whatever the threshold: average precision, lwlrap, ROC and precision-recall curves.

Shape letters: B weightings, K clips, L classes, G points of a grid.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from sklearn.metrics import (
    average_precision_score,
    label_ranking_average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

# Where curves are read.
GRID_G: Doubles = np.linspace(0.0, 1.0, 101)


def average_precision(truth_KL: Bools, scores_KL: Floats) -> Doubles:
    """Return the average precision of each class [L]; NaN for one that has no clip."""
    value_L = np.full(truth_KL.shape[1], np.nan)
    for label in np.flatnonzero(truth_KL.any(axis=0)):
        value_L[label] = average_precision_score(truth_KL[:, label], scores_KL[:, label])
    return value_L


def weighted_average_precision(truth_KL: Bools, scores_KL: Floats, weights_BK: Floats) -> Doubles:
    """Return the average precision of each class [B, L] for many weightings of the clips at once, as a bootstrap has them.

    Args:
        truth_KL: Which labels the clips have.
        scores_KL: Probabilities.
        weights_BK: How often each clip counts.

    Returns:
        What `average_precision` is of clips that are repeated so often; NaN where no clip of the class is left.
    """
    value_BL = np.full((len(weights_BK), truth_KL.shape[1]), np.nan)
    for label in np.flatnonzero(truth_KL.any(axis=0)):
        order_K = np.argsort(-scores_KL[:, label], kind="stable")
        score_K, true_P = scores_KL[order_K, label], np.flatnonzero(truth_KL[order_K, label])
        # Precision counts at clips of the class alone, and there at the end of the run of equal scores.
        last_P = np.searchsorted(-score_K, -score_K[true_P], side="right")
        stops, firsts = np.unique(last_P, return_index=True)
        starts = np.append(0, stops[:-1])
        taken = np.add.reduceat(weights_BK[:, order_K[: stops[-1]]], starts, axis=1).cumsum(axis=1)
        gained = np.add.reduceat(weights_BK[:, order_K[true_P]], firsts, axis=1)
        hits = gained.cumsum(axis=1)
        precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        total_B, area_B = hits[:, -1], (gained * precision).sum(axis=1)
        value_BL[:, label] = np.divide(area_B, total_B, out=np.full_like(area_B, np.nan), where=total_B > 0)
    return value_BL


def roc_auc(truth_KL: Bools, scores_KL: Floats) -> Doubles:
    """Return the area under the ROC curve of each class [L]; NaN for one that all clips have, or none."""
    value_L = np.full(truth_KL.shape[1], np.nan)
    for label in np.flatnonzero(truth_KL.any(axis=0) & ~truth_KL.all(axis=0)):
        value_L[label] = roc_auc_score(truth_KL[:, label], scores_KL[:, label])
    return value_L


def d_prime(auc: Floats) -> Doubles:
    """Return the distance of two normal distributions of deviation 1 with such an area under their ROC curve.

    Source: Simpson and Fitter 1973, Psychol. Bull. 80, 481-488; as AudioSet's papers report it.
    """
    return np.asarray(np.sqrt(2.0) * norm.ppf(auc), np.float64)


def lwlrap(truth_KL: Bools, scores_KL: Floats) -> float:
    """Return the label-weighted label-ranking average precision; clips without a label are passed over.

    Source: Fonseca et al. 2019 (arXiv 1906.02975), section 4.
    """
    counts_K = truth_KL.sum(axis=1)
    if not counts_K.any():
        return float("nan")
    has_K = counts_K > 0
    return float(
        label_ranking_average_precision_score(truth_KL[has_K], scores_KL[has_K], sample_weight=counts_K[has_K])
    )


def roc_curves(truth_KL: Bools, scores_KL: Floats) -> dict[str, Doubles]:
    """Return ROC curves on one grid: `fpr` [G], and the true positive rates `macro` [G], `micro` [G] and `classes` [L, G].

    The macro curve is the mean over classes at the same false positive rate; a class without a curve is NaN.
    """
    classes_LG = np.full((truth_KL.shape[1], len(GRID_G)), np.nan)
    for label in np.flatnonzero(truth_KL.any(axis=0) & ~truth_KL.all(axis=0)):
        classes_LG[label] = _roc(truth_KL[:, label], scores_KL[:, label])
    micro_G = _roc(truth_KL.ravel(), scores_KL.ravel())
    return {"fpr": GRID_G, "macro": _mean_curve(classes_LG), "micro": micro_G, "classes": classes_LG}


def pr_curves(truth_KL: Bools, scores_KL: Floats) -> dict[str, Doubles]:
    """Return precision-recall curves on one grid: `recall` [G], and `macro` [G], `micro` [G] and `classes` [L, G] precision.

    The precision at a recall is that of the highest threshold that reaches it; a class without a clip is NaN.
    """
    classes_LG = np.full((truth_KL.shape[1], len(GRID_G)), np.nan)
    for label in np.flatnonzero(truth_KL.any(axis=0)):
        classes_LG[label] = _precision(truth_KL[:, label], scores_KL[:, label])
    micro_G = _precision(truth_KL.ravel(), scores_KL.ravel())
    return {"recall": GRID_G, "macro": _mean_curve(classes_LG), "micro": micro_G, "classes": classes_LG}


def _mean_curve(classes_LG: Doubles) -> Doubles:
    """Return the mean [G] of the classes that have a curve; NaN if none has."""
    has_L = ~np.isnan(classes_LG[:, 0])
    return np.asarray(classes_LG[has_L].mean(axis=0) if has_L.any() else classes_LG[0], np.float64)


def _roc(truth: Bools, scores: Floats) -> Doubles:
    if truth.all() or not truth.any():
        return np.full(len(GRID_G), np.nan)
    false_rate, true_rate, _ = roc_curve(truth, scores)
    # Where the curve rises straight up, its upper end.
    rising = np.append(np.diff(false_rate) > 0, True)
    return np.asarray(np.interp(GRID_G, false_rate[rising], true_rate[rising]), np.float64)


def _precision(truth: Bools, scores: Floats) -> Doubles:
    if not truth.any():
        return np.full(len(GRID_G), np.nan)
    precision, recall, _ = precision_recall_curve(truth, scores)
    # From the highest threshold down: recall ascends. The first point is a definition, not a measurement.
    precision, recall = precision[-2::-1], recall[-2::-1]
    return np.asarray(precision[np.searchsorted(recall, GRID_G - 1e-12)], np.float64)
