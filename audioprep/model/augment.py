"""Augmentation of standardised feature matrices; masks draw from torch's own generator, all else from one that is given.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import mask_along_axis_iid

from audioprep.config.training import TrainRule

# Masks on each axis, as in PANNs.
_NUM_MASKS = 2
# Natural logarithm of a power ratio of one decibel.
_LOG_DB = math.log(10) / 10


class Levels(NamedTuple):
    """What standardised values stand for: `mean + std * value`, dB.

    Attributes:
        mean_M: Mean of each bin [M], dB.
        std_M: Standard deviation [M], dB.
    """

    mean_M: Tensor
    std_M: Tensor


def augment(
    x_BCNM: Tensor,
    targets_BL: Tensor,
    rule: TrainRule,
    rng: np.random.Generator,
    levels: Levels | None = None,
    mean_M: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Warp, shift, mix and mask one batch.

    Args:
        x_BCNM: Inputs of the trunk [B, C, N, M].
        targets_BL: Shares of the classes [B, L], each row sums to one.
        rule: What is done.
        rng: Where chance comes from.
        levels: What the values stand for, if powers are to be mixed; None mixes the values themselves.
        mean_M: The mean of the training clips [M], which masks leave; None is 0.

    Returns:
        The batch [B, C, N', M], `N' = max(1, int(N * time_crop))`, and its targets [B, L].
    """
    x_BCNM = warp_frames(x_BCNM, rule, rng)
    if rule.freq_shift_bins:
        x_BCNM = shift_bins(x_BCNM, rule.freq_shift_bins, rng)
    if rng.random() < rule.mixup_prob:
        x_BCNM, targets_BL = mix(x_BCNM, targets_BL, rule.mixup_alpha, rng, levels)
    return mask(x_BCNM, rule.time_mask, rule.freq_mask, mean_M), targets_BL


def warp_frames(x_BCNM: Tensor, rule: TrainRule, rng: np.random.Generator) -> Tensor:
    """Play each clip in a circle, from a random frame, at a random speed, and keep the first part of it.

    The nearest frame stands for the one between two, so that all of it is one lookup.

    Args:
        x_BCNM: The batch.
        rule: `time_roll`, `time_stretch` and `time_crop`.
        rng: Where chance comes from.
    """
    num_clips, num_channels, num_frames, num_bins = x_BCNM.shape
    speeds_B1 = rule.time_stretch ** rng.uniform(-1.0, 1.0, (num_clips, 1))
    starts_B1 = rng.integers(num_frames, size=(num_clips, 1)) if rule.time_roll else 0
    places_BN = np.arange(max(1, int(num_frames * rule.time_crop))) * speeds_B1 + starts_B1
    index_BN = torch.from_numpy(places_BN.astype(np.int64) % num_frames).to(x_BCNM.device)
    return x_BCNM.gather(2, index_BN[:, None, :, None].expand(num_clips, num_channels, -1, num_bins))


def shift_bins(x_BCNM: Tensor, max_bins: int, rng: np.random.Generator) -> Tensor:
    """Move each clip up or down by a random number of bins; the outermost bin fills the gap."""
    shifts_B1 = rng.integers(-max_bins, max_bins + 1, size=(len(x_BCNM), 1))
    places_BM = np.clip(np.arange(x_BCNM.shape[3]) + shifts_B1, 0, x_BCNM.shape[3] - 1)
    index_BM = torch.from_numpy(places_BM).to(x_BCNM.device)
    return x_BCNM.gather(3, index_BM[:, None, None, :].expand_as(x_BCNM))


def mix(
    x_BCNM: Tensor, targets_BL: Tensor, alpha: float, rng: np.random.Generator, levels: Levels | None = None
) -> tuple[Tensor, Tensor]:
    """Mix each clip with another of the batch, shares drawn from Beta(alpha, alpha).

    With levels the powers are mixed, as those of two sounds at once are: a quiet clip adds little to a loud one, where mixed
    decibels would be those of a sound that nobody has heard. Of frames that were pooled, mixing the maxima gives the largest
    that the maximum can be.

    Source: Zhang et al. 2017, mixup (arXiv 1710.09412), equation 1; of sounds: Tokozume et al. 2018, Learning from
    Between-class Examples (arXiv 1711.10282), section 3.2.
    """
    shares_B = torch.from_numpy(rng.beta(alpha, alpha, len(x_BCNM)).astype(np.float32)).to(x_BCNM.device)
    others_B = torch.from_numpy(rng.permutation(len(x_BCNM))).to(x_BCNM.device)
    shares_B1, shares_B111 = shares_B[:, None], shares_B[:, None, None, None]
    mixed_BL = targets_BL * shares_B1 + targets_BL[others_B] * (1 - shares_B1)
    if levels is None:
        return x_BCNM * shares_B111 + x_BCNM[others_B] * (1 - shares_B111), mixed_BL
    # ln(share * 10^(dB / 10) + ...) = logaddexp(ln share + dB ln(10) / 10, ...), which neither overflows nor loses the quiet.
    log_BCNM = (levels.mean_M + levels.std_M * x_BCNM) * _LOG_DB
    mixed_BCNM = torch.logaddexp(log_BCNM + shares_B111.log(), log_BCNM[others_B] + (1 - shares_B111).log())
    return (mixed_BCNM / _LOG_DB - levels.mean_M) / levels.std_M, mixed_BL


def mask(x_BCNM: Tensor, time_share: float, freq_share: float, mean_M: Tensor | None = None) -> Tensor:
    """Set two random runs of frames and two of bins of each clip to the mean; all channels alike.

    Args:
        x_BCNM: The batch.
        time_share: Longest run of frames, as a share of them.
        freq_share: Longest run of bins, likewise.
        mean_M: The mean [M]; None is 0.

    Source: Park et al. 2019, SpecAugment (arXiv 1904.08779), section 2.
    """
    num_clips, _, num_frames, num_bins = x_BCNM.shape
    keep_BNM = torch.ones(num_clips, num_frames, num_bins)
    for axis, longest in ((1, int(num_frames * time_share)), (2, int(num_bins * freq_share))):
        for _ in range(_NUM_MASKS if longest else 0):
            keep_BNM = mask_along_axis_iid(keep_BNM, longest, 0.0, axis)
    keep_B1NM = keep_BNM[:, None].to(x_BCNM.device)
    return x_BCNM * keep_B1NM if mean_M is None else torch.where(keep_B1NM > 0, x_BCNM, mean_M)
