"""Probabilities of logits that are divided by a temperature: of a network that is less sure, or surer, than it is right.

Shape letters: K clips, L classes.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Outputs = Literal["softmax", "sigmoid"]

# float32 probabilities that are 0 or 1 have lost their logit.
NEAREST = 1e-7


def logits_of(scores_KL: npt.NDArray[np.floating[Any]], outputs: Outputs) -> npt.NDArray[np.float64]:
    """Return logits [K, L]; those of softmax but for a constant, which changes no probability.

    Args:
        scores_KL: Probabilities [K, L].
        outputs: What made them of logits.
    """
    scores_KL = scores_KL.astype(np.float64)
    if outputs == "softmax":
        return np.asarray(np.log(np.maximum(scores_KL, np.finfo(np.float32).tiny)), np.float64)
    scores_KL = np.clip(scores_KL, NEAREST, 1 - NEAREST)
    return np.asarray(np.log(scores_KL / (1.0 - scores_KL)), np.float64)


def scale(scores_KL: npt.NDArray[np.floating[Any]], outputs: Outputs, temperature: float) -> npt.NDArray[np.float64]:
    """Return the probabilities [K, L] of logits that are divided by a temperature; their order within a clip stays.

    Args:
        scores_KL: Probabilities [K, L].
        outputs: What made them of logits.
        temperature: Above 1 the probabilities become less sure.

    Source: Guo et al. 2017 (arXiv 1706.04599), section 4.2.
    """
    logits_KL = logits_of(scores_KL, outputs) / temperature
    if outputs == "sigmoid":
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits_KL), np.float64)
    powers_KL = np.exp(logits_KL - logits_KL.max(axis=1, keepdims=True))
    return np.asarray(powers_KL / powers_KL.sum(axis=1, keepdims=True), np.float64)
