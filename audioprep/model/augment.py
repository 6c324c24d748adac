"""Augmentation of standardised feature matrices; every function takes its own random generator.

Shape letters: B clips of a batch, N frames, M bins, L classes.
"""

import numpy as np
import torch
from torch import Tensor

from audioprep.config.training import TrainRule

# Masks on each axis, as in PANNs.
_NUM_MASKS = 2


def augment(x_B1NM: Tensor, targets_BL: Tensor, rule: TrainRule, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Roll, mix and mask one batch.

    Args:
        x_B1NM: Inputs of the trunk [B, 1, N, M]; 0 is the mean of the training clips.
        targets_BL: Shares of the classes [B, L], each row sums to one.
        rule: What is done.
        rng: Where chance comes from.

    Returns:
        The batch and its targets, of the same shapes.
    """
    if rule.time_roll:
        x_B1NM = roll_frames(x_B1NM, rng)
    if rng.random() < rule.mixup_prob:
        x_B1NM, targets_BL = mix(x_B1NM, targets_BL, rule.mixup_alpha, rng)
    x_B1NM = mask(x_B1NM, 2, rule.time_mask, rng)
    return mask(x_B1NM, 3, rule.freq_mask, rng), targets_BL


def roll_frames(x_B1NM: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift each clip in time by a random number of frames; what leaves at the end comes in at the start."""
    num_frames = x_B1NM.shape[2]
    shifts_B1 = rng.integers(num_frames, size=(len(x_B1NM), 1))
    index_BN = torch.from_numpy((np.arange(num_frames) + shifts_B1) % num_frames).to(x_B1NM.device)
    rows_B1 = torch.arange(len(x_B1NM), device=x_B1NM.device).unsqueeze(1)
    return x_B1NM[rows_B1, 0, index_BN].unsqueeze(1)


def mix(x_B1NM: Tensor, targets_BL: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix each clip with another of the batch, shares drawn from Beta(alpha, alpha).

    Source: Zhang et al. 2017, mixup (arXiv 1710.09412), equation 1.
    """
    shares_B = torch.from_numpy(rng.beta(alpha, alpha, len(x_B1NM)).astype(np.float32)).to(x_B1NM.device)
    others_B = torch.from_numpy(rng.permutation(len(x_B1NM))).to(x_B1NM.device)
    shares_B1, shares_B111 = shares_B[:, None], shares_B[:, None, None, None]
    mixed_B1NM = x_B1NM * shares_B111 + x_B1NM[others_B] * (1 - shares_B111)
    return mixed_B1NM, targets_BL * shares_B1 + targets_BL[others_B] * (1 - shares_B1)


def mask(x_B1NM: Tensor, axis: int, max_share: float, rng: np.random.Generator) -> Tensor:
    """Set two random runs along an axis of each clip to zero, the mean.

    Args:
        x_B1NM: The batch.
        axis: 2 for frames, 3 for bins.
        max_share: Longest run, as a share of the axis.
        rng: Where chance comes from.

    Source: Park et al. 2019, SpecAugment (arXiv 1904.08779), section 2.
    """
    side = x_B1NM.shape[axis]
    max_run = int(side * max_share)
    keep_BS = np.ones((len(x_B1NM), side), np.float32)
    for _ in range(_NUM_MASKS):
        runs_B1 = rng.integers(max_run + 1, size=(len(x_B1NM), 1))
        starts_B1 = (rng.random((len(x_B1NM), 1)) * (side - runs_B1 + 1)).astype(np.int64)
        offsets_BS = np.arange(side) - starts_B1
        keep_BS[(offsets_BS >= 0) & (offsets_BS < runs_B1)] = 0.0
    shape = (len(x_B1NM), 1, side, 1) if axis == 2 else (len(x_B1NM), 1, 1, side)
    return x_B1NM * torch.from_numpy(keep_BS.reshape(shape)).to(x_B1NM.device)
