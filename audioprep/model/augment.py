"""Augmentation of standardised feature matrices; masks draw from torch's own generator, all else from one that is given.

Shape letters: B clips of a batch, C channels, N frames, M bins, P points of a curve, L classes.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import mask_along_axis_iid

from audioprep.config.training import TrainRule
from audioprep.model.corpus import Corpus, Floats, Ints
from audioprep.model.nets import Front

# Kinds whose neighbouring bins are neighbouring frequencies, on a scale in dB.
_SPECTRA = ("logmel", "spectrogram")
# What time_crop is where most clips are longer than that.
_TIME_CROP = 0.6
# So many clips tell how long clips are.
_NUM_LOOKED_AT = 256
# A random curve over the bins is drawn through so many points.
_NUM_POINTS = 4
# Masks on each axis, as in PANNs.
_NUM_MASKS = 2
# Natural logarithm of a power ratio of one decibel.
_LOG_DB = math.log(10) / 10


class Levels(NamedTuple):
    """Mean and standard deviation of values over clips.

    Attributes:
        mean_M: Mean of each bin [M].
        std_M: Standard deviation [M].
    """

    mean_M: Tensor
    std_M: Tensor


def suited(rule: TrainRule, corpus: Corpus, rows: Ints) -> TrainRule:
    """Return the rule as it is carried out on the features of some clips.

    An empty `time_crop` is decided: a part of the clip, or all of it where most clips are no longer than that part, for the
    silence after them would be another share of what is seen than when they are judged. Bins are moved and turned up or
    down where they are frequencies.

    Raises:
        ShardError: A shard is damaged.
    """
    chosen: dict[str, float] = {}
    if rule.time_crop is None:
        some_KNM = corpus.values(rows[:: max(1, len(rows) // _NUM_LOOKED_AT)])
        sounding_K = count_frames(torch.from_numpy(some_KNM).unsqueeze(1))
        is_short = sounding_K.float().median() <= _TIME_CROP * some_KNM.shape[1]
        chosen["time_crop"] = 1.0 if is_short else _TIME_CROP
    if corpus.meta["kind"] not in _SPECTRA:
        chosen |= {"freq_shift_bins": 0, "freq_warp": 1.0, "freq_gain": 0.0}
    return rule.model_copy(update=chosen)


def centre_of(front: Front, mean_M: Floats, std_M: Floats) -> Levels:
    """Return what the levels of the training clips become in the front: 0 and 1, but where it came with published weights.

    Args:
        front: On its device.
        mean_M: Mean of each bin [M] of the training clips.
        std_M: Standard deviation [M].
    """
    if front.per_clip:
        return Levels(torch.zeros_like(front.mean_M), torch.ones_like(front.std_M))
    own = Levels(*(torch.from_numpy(part_M).to(front.mean_M.device) for part_M in (mean_M, std_M)))
    return Levels((own.mean_M - front.mean_M) / front.std_M, own.std_M / front.std_M)


def num_cropped(num_frames: int, rule: TrainRule) -> int:
    """Return how many frames of a clip one training step sees."""
    return max(1, int(num_frames * (rule.time_crop or 1.0)))


def augment(
    x_BCNM: Tensor,
    targets_BL: Tensor,
    rule: TrainRule,
    rng: np.random.Generator,
    levels: Levels | None = None,
    centre: Levels | None = None,
) -> tuple[Tensor, Tensor]:
    """Filter, warp, mix and mask one batch.

    Args:
        x_BCNM: Inputs of the trunk [B, C, N, M].
        targets_BL: Shares of the classes [B, L], each row sums to one.
        rule: What is done, `suited` to the features.
        rng: Where chance comes from.
        levels: What the values stand for, `mean + std * value` dB, if powers are to be mixed; None mixes the values themselves.
        centre: Of the values, over the training clips; None is 0 and 1.

    Returns:
        The batch [B, C, N', M], `N' = num_cropped(N, rule)`, and its targets [B, L].
    """
    frames_B = count_frames(x_BCNM)
    if rule.freq_gain:
        std_M = torch.ones(x_BCNM.shape[3], device=x_BCNM.device) if centre is None else centre.std_M
        x_BCNM = filter_bins(x_BCNM, frames_B, rule.freq_gain * std_M, rng)
    x_BCNM = warp_frames(x_BCNM, frames_B, rule, rng)
    if rule.freq_shift_bins or rule.freq_warp > 1:
        x_BCNM = warp_bins(x_BCNM, rule.freq_warp, rule.freq_shift_bins, rng)
    if rng.random() < rule.mixup_prob:
        x_BCNM, targets_BL = mix(x_BCNM, targets_BL, rule.mixup_alpha, rng, levels)
    return mask(x_BCNM, rule.time_mask, rule.freq_mask, None if centre is None else centre.mean_M), targets_BL


def count_frames(x_BCNM: Tensor) -> Tensor:
    """Return how many frames each clip has [B] before the silence that it was padded with: frames at its end that are all alike."""
    num_frames = x_BCNM.shape[2]
    differs_BN = (x_BCNM != x_BCNM[:, :, -1:]).any(dim=3).any(dim=1)
    frames_B = (differs_BN * torch.arange(1, num_frames + 1, device=x_BCNM.device)).amax(dim=1)
    return torch.where(frames_B == num_frames - 1, num_frames, frames_B)


def filter_bins(x_BCNM: Tensor, frames_B: Tensor, most_M: Tensor, rng: np.random.Generator) -> Tensor:
    """Add a random curve over the bins to what sounds in each clip, as another microphone, room or voice would.

    Args:
        x_BCNM: The batch.
        frames_B: How many frames sound [B].
        most_M: What is added to each bin at most, or taken from it [M].
        rng: Where chance comes from.

    Source: Nam et al. 2022, FilterAugment (arXiv 2110.03282), its linear form, here with points at equal distances.
    """
    num_clips, _, num_frames, num_bins = x_BCNM.shape
    points_BP = rng.uniform(-1.0, 1.0, (num_clips, _NUM_POINTS))
    places_M, known_P = np.linspace(0.0, 1.0, num_bins), np.linspace(0.0, 1.0, _NUM_POINTS)
    curves_BM = np.stack([np.interp(places_M, known_P, points_P) for points_P in points_BP]).astype(np.float32)
    added_BM = torch.from_numpy(curves_BM).to(x_BCNM.device) * most_M
    sounds_BN = torch.arange(num_frames, device=x_BCNM.device) < frames_B[:, None]
    return x_BCNM + added_BM[:, None, None, :] * sounds_BN[:, None, :, None]


def warp_frames(x_BCNM: Tensor, frames_B: Tensor, rule: TrainRule, rng: np.random.Generator) -> Tensor:
    """Play each clip at a random speed, from a random frame, and keep the first part of it.

    A clip is played in a circle, unless what sounds in it is so short that the part holds all of it: then it comes whole, at
    a random place, for half a word is none. The nearest frame stands for the one between two, so that all of it is one lookup.

    Args:
        x_BCNM: The batch.
        frames_B: How many frames sound [B].
        rule: `time_roll`, `time_stretch` and `time_crop`.
        rng: Where chance comes from.
    """
    num_clips, num_channels, num_frames, num_bins = x_BCNM.shape
    num_kept = num_cropped(num_frames, rule)
    speeds_B1 = rule.time_stretch ** rng.uniform(-1.0, 1.0, (num_clips, 1))
    chances_B1 = rng.uniform(size=(num_clips, 1)) * rule.time_roll
    frames_B1 = frames_B.cpu().numpy()[:, None]
    rest_B1 = num_kept * speeds_B1 - frames_B1
    is_whole_B1 = (rest_B1 >= 0) & (frames_B1 < num_frames)
    starts_B1 = np.where(is_whole_B1, -np.floor(chances_B1 * (rest_B1 + 1)), np.floor(chances_B1 * num_frames))
    places_BN = (np.floor(np.arange(num_kept) * speeds_B1) + starts_B1).astype(np.int64)
    # Before and after a clip that comes whole there is the silence at its end.
    is_out_BN = is_whole_B1 & ((places_BN < 0) | (places_BN >= num_frames))
    index_BN = torch.from_numpy(np.where(is_out_BN, num_frames - 1, places_BN % num_frames)).to(x_BCNM.device)
    return x_BCNM.gather(2, index_BN[:, None, :, None].expand(num_clips, num_channels, -1, num_bins))


def warp_bins(x_BCNM: Tensor, max_factor: float, max_shift: int, rng: np.random.Generator) -> Tensor:
    """Stretch or squeeze each clip from its lowest bin on, and move it up or down; the outermost bin fills the gap.

    Args:
        x_BCNM: The batch.
        max_factor: The bins are read at steps between one over this and this, as if of shorter and longer vocal tracts.
        max_shift: The clip is moved by at most so many bins.
        rng: Where chance comes from.

    Source: Jaitly and Hinton 2013, Vocal Tract Length Perturbation improves speech recognition, here on the scale of the bins.
    """
    steps_B1 = max_factor ** rng.uniform(-1.0, 1.0, (len(x_BCNM), 1))
    shifts_B1 = rng.integers(-max_shift, max_shift + 1, size=(len(x_BCNM), 1))
    places_BM = np.rint(np.arange(x_BCNM.shape[3]) * steps_B1 + shifts_B1).astype(np.int64)
    index_BM = torch.from_numpy(places_BM.clip(0, x_BCNM.shape[3] - 1)).to(x_BCNM.device)
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
