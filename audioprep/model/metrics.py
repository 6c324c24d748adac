"""Scores of pooled out-of-fold predictions.

Shape letters: K clips, L classes.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]

_NUM_BINS = 10
# Two-sided 95 % of a normal distribution.
_Z95 = 1.959963984540054


def confusion(true_K: Int64, predicted_K: Int64, num_classes: int) -> Int64:
    """Return how often each class [L, row] was taken for each class [L, column]."""
    counts_LL = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts_LL, (true_K, predicted_K), 1)
    return counts_LL


def per_class(counts_LL: Int64, classes: list[str]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and support of each class; a ratio of nothing is 0, as in scikit-learn.

    Args:
        counts_LL: Confusion, rows are the truth.
        classes: Names of the classes.
    """
    hits_L, support_L, predicted_L = np.diag(counts_LL), counts_LL.sum(axis=1), counts_LL.sum(axis=0)
    rows = []
    for name, hits, support, predicted in zip(classes, hits_L, support_L, predicted_L, strict=True):
        rows.append(
            {
                "label": name,
                "precision": float(hits / max(predicted, 1)),
                "recall": float(hits / max(support, 1)),
                "f1": float(2 * hits / max(support + predicted, 1)),
                "num_clips": int(support),
            }
        )
    return rows


def macro_f1(counts_LL: Int64) -> float:
    """Return the mean F1 over the classes that occur, in truth or prediction."""
    hits_L, both_L = np.diag(counts_LL), counts_LL.sum(axis=1) + counts_LL.sum(axis=0)
    occurs_L = both_L > 0
    return float((2 * hits_L[occurs_L] / both_L[occurs_L]).mean())


def calibration(confidence_K: npt.NDArray[np.float32], is_right_K: npt.NDArray[np.bool_]) -> list[dict[str, float]]:
    """Return how often predictions of similar confidence are right: ten bins of equal width, empty ones left out.

    Args:
        confidence_K: Probability of the predicted class [K].
        is_right_K: Whether it is the true class [K].

    Returns:
        Mean `confidence`, `accuracy` and `share` of the clips of each bin.

    Source: Guo et al. 2017 (arXiv 1706.04599), section 2.
    """
    bins_K = np.minimum((confidence_K * _NUM_BINS).astype(int), _NUM_BINS - 1)
    return [
        {
            "confidence": float(confidence_K[bins_K == index].mean()),
            "accuracy": float(is_right_K[bins_K == index].mean()),
            "share": float((bins_K == index).mean()),
        }
        for index in np.unique(bins_K)
    ]


def calibration_error(bins: list[dict[str, float]]) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy."""
    return sum(row["share"] * abs(row["confidence"] - row["accuracy"]) for row in bins)


def wilson_interval(num_right: int, num_clips: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, for clips that are independent of each other.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209-212.
    """
    share, squared = num_right / num_clips, _Z95**2
    centre = (share + squared / (2 * num_clips)) / (1 + squared / num_clips)
    half = _Z95 * math.sqrt(share * (1 - share) / num_clips + squared / (4 * num_clips**2)) / (1 + squared / num_clips)
    return max(0.0, centre - half), min(1.0, centre + half)
