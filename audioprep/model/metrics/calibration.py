"""Whether a network is as right as it is sure, and the temperature that makes it so.

Shape letters: K clips, L classes, D decisions.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

from audioprep.dsp.temperature import Outputs, logits_of

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]

NUM_BINS = 15
# Where all validation clips are right, or few, the loss alone would go on for ever.
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.1, 10.0


def reliability(confidence_D: Floats, is_right_D: Bools, num_bins: int = NUM_BINS) -> list[dict[str, float]]:
    """Return how often decisions of similar confidence are right: bins of equal width, empty ones left out.

    Args:
        confidence_D: Probability of what was decided; with several labels, of each label of each clip.
        is_right_D: Whether it is true.
        num_bins: Between 0 and 1.

    Returns:
        Mean `confidence`, `accuracy` and `share` of the decisions of each bin.

    Source: Guo et al. 2017 (arXiv 1706.04599), section 2.
    """
    bins_D = np.minimum((confidence_D * num_bins).astype(int), num_bins - 1)
    return [
        {
            "confidence": float(confidence_D[bins_D == index].mean(dtype=np.float64)),
            "accuracy": float(is_right_D[bins_D == index].mean()),
            "share": float((bins_D == index).mean()),
        }
        for index in np.unique(bins_D)
    ]


def calibration_error(bins: list[dict[str, float]]) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy."""
    return sum(row["share"] * abs(row["confidence"] - row["accuracy"]) for row in bins)


def log_loss(truth_KL: Bools, scores_KL: Floats, outputs: Outputs, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of the labels: of a clip's one label, or of each label by itself.

    Args:
        truth_KL: Which labels the clips have.
        scores_KL: Probabilities.
        outputs: What made them of logits.
        temperature: Logits are divided by it.
    """
    logits_KL = logits_of(scores_KL, outputs) / temperature
    if outputs == "softmax":
        return float(-log_softmax(logits_KL, axis=1)[truth_KL].mean())
    return float(-np.where(truth_KL, log_expit(logits_KL), log_expit(-logits_KL)).mean())


def fit_temperature(truth_KL: Bools, scores_KL: Floats, outputs: Outputs) -> float:
    """Return the temperature with the least log loss.

    Args:
        truth_KL: Which labels the clips have; of validation clips, not of those that are judged.
        scores_KL: Probabilities.
        outputs: What made them of logits.

    Source: Guo et al. 2017 (arXiv 1706.04599), section 4.2. The loss is convex in 1/T, so it has one minimum.
    """
    bounds = (np.log(_MIN_TEMPERATURE), np.log(_MAX_TEMPERATURE))
    found = minimize_scalar(
        lambda log_t: log_loss(truth_KL, scores_KL, outputs, float(np.exp(log_t))), bounds=bounds, method="bounded"
    )
    return float(np.exp(found.x))
