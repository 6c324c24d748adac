"""What training minimises, and how rare classes are made up for.

Shape letters: B clips of a batch, K clips, L classes.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from audioprep.config.training import TrainRule
from audioprep.errors import ModelError
from audioprep.model.nets import Outputs

Loss = Callable[[Tensor, Tensor], Tensor]

_MIN_GAP = 1e-6


def loss_name(rule: TrainRule, *, is_multi_label: bool) -> str:
    """Return the loss that a corpus is trained with: `auto` is cross-entropy where clips have one label, else BCE.

    Raises:
        ModelError: Clips may have several labels or none, and the loss is for one.
    """
    if is_multi_label and rule.loss == "ce":
        raise ModelError(
            "train.loss: expected auto, bce or focal, for clips have several labels or none, got ce; choose one of them"
        )
    if rule.loss != "auto":
        return rule.loss
    return "bce" if is_multi_label else "ce"


def outputs_of(loss: str) -> Outputs:
    """Return what makes probabilities of logits: classes exclude each other with cross-entropy alone."""
    return "softmax" if loss == "ce" else "sigmoid"


def make_loss(name: str, rule: TrainRule, weights_L: Tensor | None = None) -> Loss:
    """Return the mean loss of logits [B, L] and targets [B, L], shares of the classes between 0 and 1.

    Args:
        name: `ce`, `bce` or `focal`.
        rule: `label_smoothing` and `focal_gamma`.
        weights_L: What an error in each class weighs; None weighs all alike.

    Source: Szegedy et al. 2015 (arXiv 1512.00567), section 7, label smoothing; Lin et al. 2017 (arXiv 1708.02002),
    equation 4, focal loss.
    """

    def cross_entropy(logits_BL: Tensor, targets_BL: Tensor) -> Tensor:
        return functional.cross_entropy(logits_BL, targets_BL, weights_L, label_smoothing=rule.label_smoothing)

    def binary(logits_BL: Tensor, targets_BL: Tensor) -> Tensor:
        targets_BL = targets_BL * (1 - rule.label_smoothing) + rule.label_smoothing / 2
        # Summed over the classes, as cross-entropy is: one learning rate serves both.
        return functional.binary_cross_entropy_with_logits(logits_BL, targets_BL, weights_L) * logits_BL.shape[1]

    def focal(logits_BL: Tensor, targets_BL: Tensor) -> Tensor:
        each_BL = functional.binary_cross_entropy_with_logits(logits_BL, targets_BL, weights_L, reduction="none")
        gap_BL = (targets_BL - logits_BL.sigmoid()).abs()
        # Below 1, the power has no finite slope at 0.
        return (gap_BL.clamp_min(_MIN_GAP) ** rule.focal_gamma * each_BL).sum(1).mean()

    return {"ce": cross_entropy, "bce": binary, "focal": focal}[name]


def class_weights(counts_L: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return weights [L] by which all classes count alike: inverse to their clips, with a mean of 1 over these.

    Args:
        counts_L: Training clips of each class; one without any has weight 0.
    """
    present = counts_L > 0
    weights_L = np.where(present, counts_L.sum() / (present.sum() * np.maximum(counts_L, 1)), 0.0)
    return weights_L.astype(np.float32)


def clip_chances(truth_KL: npt.NDArray[np.bool_], weights_L: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return how often each clip [K] is drawn, so that all classes are seen alike; the mean is 1.

    A clip of several classes is drawn for the rarest of them; one without a label as often as one of an average class.

    Args:
        truth_KL: Which labels the clips have.
        weights_L: Those of `class_weights`.
    """
    weight_K = np.where(truth_KL.any(axis=1), (truth_KL * weights_L).max(axis=1), 1.0)
    return np.asarray(weight_K / weight_K.mean(), np.float32)
