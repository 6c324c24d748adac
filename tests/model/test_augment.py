from dataclasses import dataclass

import numpy as np
import pytest
import torch

from audioprep.config.training import TrainRule
from audioprep.model.augment import (
    Levels,
    augment,
    count_frames,
    filter_bins,
    mask,
    mix,
    suited,
    warp_bins,
    warp_frames,
)

OFF = TrainRule(
    time_roll=False,
    time_stretch=1.0,
    time_crop=1.0,
    freq_shift_bins=0,
    freq_warp=1.0,
    freq_gain=0.0,
    mixup_prob=0.0,
    time_mask=0.0,
    freq_mask=0.0,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def batch(num_clips: int = 3, num_frames: int = 9) -> torch.Tensor:
    """Clips of two channels in which every value names its clip, channel, frame and bin."""
    return torch.arange(num_clips * 2 * num_frames * 4, dtype=torch.float32).reshape(num_clips, 2, num_frames, 4)


def warped(x_BCNM: torch.Tensor, rule: TrainRule, seed: int = 7) -> torch.Tensor:
    return warp_frames(x_BCNM, count_frames(x_BCNM), rule, np.random.default_rng(seed))


def padded(num_clips: int = 3, num_frames: int = 20, num_sounding: int = 5) -> torch.Tensor:
    """Clips that sound for a few frames, each with a value of its own, and are silent after."""
    x_BCNM = torch.zeros(num_clips, 2, num_frames, 4)
    x_BCNM[:, :, :num_sounding] = torch.arange(1.0, num_sounding + 1)[:, None]
    return x_BCNM


def test_frames_are_counted_up_to_the_padding() -> None:
    assert count_frames(batch()).tolist() == [9, 9, 9]
    assert count_frames(padded()).tolist() == [5, 5, 5]
    assert count_frames(torch.zeros(2, 1, 4, 3)).tolist() == [0, 0]
    # One frame at the end is like itself.
    assert count_frames(padded(1, 6, 5)).tolist() == [6]


def test_rolling_alone_shifts_each_clip_in_a_circle() -> None:
    rolled_BCNM = warped(batch(), OFF.model_copy(update={"time_roll": True}))
    draws = rng()
    draws.uniform(-1.0, 1.0, (3, 1))
    for clip, chance in enumerate(draws.uniform(size=(3, 1))[:, 0]):
        assert torch.equal(rolled_BCNM[clip], batch()[clip].roll(-int(9 * chance), dims=1))


@pytest.mark.parametrize("crop", [1.0, 0.5])
def test_a_short_clip_comes_whole_at_every_place_it_fits_in(crop: float) -> None:
    rule, places = OFF.model_copy(update={"time_roll": True, "time_crop": crop}), set()
    num_kept = int(20 * crop)
    for seed in range(60):
        for clip in warped(padded(), rule, seed)[:, 0, :, 0]:
            (sounding,) = np.nonzero(clip.numpy())
            assert clip[clip > 0].tolist() == [1, 2, 3, 4, 5]
            places.add(int(sounding[0]))
    assert places == set(range(num_kept - 5 + 1))


def test_a_short_clip_played_faster_does_not_come_twice() -> None:
    rule = OFF.model_copy(update={"time_stretch": 4.0})
    for seed in range(60):
        for clip in warped(padded(), rule, seed)[:, 0, :, 0]:
            assert (clip[clip > 0].diff() >= 0).all()


def test_a_padded_clip_that_fills_the_part_is_played_in_a_circle() -> None:
    rule = OFF.model_copy(update={"time_roll": True, "time_crop": 0.5})
    starts = {warped(padded(1, 20, 15), rule, seed)[0, 0, 0, 0].item() for seed in range(200)}
    assert starts == set(range(16))


def test_stretching_steps_through_the_frames_at_its_speed() -> None:
    rule = OFF.model_copy(update={"time_stretch": 2.0})
    speeds_B = 2.0 ** rng().uniform(-1.0, 1.0, (3, 1))[:, 0]
    for clip, speed in enumerate(speeds_B):
        expected_N = (np.arange(9) * speed).astype(int) % 9
        assert torch.equal(warped(batch(), rule)[clip], batch()[clip][:, expected_N])


def test_cropping_keeps_the_first_part() -> None:
    rule = OFF.model_copy(update={"time_crop": 0.5})
    assert torch.equal(warped(batch(), rule), batch()[:, :, :4])


def test_shifted_bins_fill_the_gap_with_the_outermost() -> None:
    shifted_BCNM = warp_bins(batch(200), 1.0, 1, rng())
    for clip, other in zip(shifted_BCNM, batch(200), strict=True):
        up, down = other[..., [1, 2, 3, 3]], other[..., [0, 0, 1, 2]]
        assert any(torch.equal(clip, expected) for expected in (other, up, down))
    assert not torch.equal(shifted_BCNM, batch(200))


def test_squeezed_bins_are_read_at_a_step_from_the_lowest() -> None:
    x_B1NM = torch.arange(40.0).expand(50, 1, 2, 40)
    warped_BM = warp_bins(x_B1NM, 1.25, 0, rng())[:, 0, 0].numpy()
    steps_B1 = 1.25 ** rng().uniform(-1.0, 1.0, (50, 1))
    np.testing.assert_array_equal(warped_BM, np.rint(np.arange(40) * steps_B1).clip(0, 39))
    assert (warped_BM[:, 0] == 0).all()


def test_a_filter_is_a_bent_line_over_the_bins_of_what_sounds() -> None:
    x_BCNM, most_M = padded(40, 20, 5).expand(40, 2, 20, 4), torch.tensor([2.0, 2.0, 2.0, 4.0])
    added_BCNM = filter_bins(x_BCNM, count_frames(x_BCNM), most_M, rng()) - x_BCNM
    assert (added_BCNM[:, :, 5:] == 0).all()
    curves_BM = added_BCNM[:, 0, 0]
    torch.testing.assert_close(added_BCNM[:, :, :5], curves_BM[:, None, None].expand(40, 2, 5, 4))
    # Four bins are the four points.
    expected_BM = rng().uniform(-1.0, 1.0, (40, 4)) * most_M.numpy()
    np.testing.assert_allclose(curves_BM.numpy(), expected_BM, atol=1e-6)
    fine_BM = filter_bins(torch.zeros(8, 1, 6, 64), torch.full((8,), 6), torch.ones(64), rng())[:, 0, 0]
    assert fine_BM.abs().max() <= 1
    assert fine_BM.diff(dim=1).diff(dim=1).abs().gt(1e-5).sum(dim=1).max() <= 4


@dataclass(frozen=True)
class Features:
    """As much of a corpus as the rule is suited to."""

    values_KNM: np.ndarray
    kind: str = "logmel"

    @property
    def meta(self) -> dict[str, str]:
        return {"kind": self.kind}

    def values(self, rows: np.ndarray) -> np.ndarray:
        return self.values_KNM[rows]


@pytest.mark.parametrize(("num_sounding", "crop"), [(12, 1.0), (13, 0.6), (20, 0.6)])
def test_clips_are_cropped_unless_most_are_shorter_than_that(num_sounding: int, crop: float) -> None:
    values_KNM = padded(9, 20, num_sounding)[:, 0].numpy()
    values_KNM[:4] = padded(4, 20, 20 if crop == 1 else 3)[:, 0].numpy()
    rule = suited(TrainRule(), Features(values_KNM), np.arange(9))  # type: ignore[arg-type]
    assert rule == TrainRule(time_crop=crop)
    assert suited(TrainRule(time_crop=0.3), Features(values_KNM), np.arange(9)).time_crop == 0.3  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["mfcc", "chroma", "descriptors", "embedding"])
def test_bins_that_are_no_frequencies_are_not_moved(kind: str) -> None:
    rule = suited(TrainRule(), Features(padded(2)[:, 0].numpy(), kind), np.arange(2))  # type: ignore[arg-type]
    assert (rule.freq_shift_bins, rule.freq_warp, rule.freq_gain) == (0, 1.0, 0.0)


def test_mixing_keeps_the_sum_of_the_shares_and_mixes_inputs_as_targets() -> None:
    targets_BL = torch.eye(4)
    x_B1NM = targets_BL.reshape(4, 1, 1, 4)
    mixed_B1NM, mixed_BL = mix(x_B1NM, targets_BL, 1.0, rng())
    torch.testing.assert_close(mixed_BL.sum(dim=1), torch.ones(4))
    torch.testing.assert_close(mixed_B1NM.reshape(4, 4), mixed_BL)


def levels(num_bins: int) -> Levels:
    return Levels(torch.linspace(-70.0, -30.0, num_bins), torch.linspace(4.0, 20.0, num_bins))


def test_mixed_powers_are_those_of_both_sounds() -> None:
    torch.manual_seed(0)
    x_BCNM, known = 3 * torch.randn(6, 2, 5, 4), levels(4)
    mixed_BCNM, mixed_BL = mix(x_BCNM, torch.eye(6), 1.0, rng(), known)
    shares_B, others_B = (draws := rng()).beta(1.0, 1.0, 6).astype(np.float32), draws.permutation(6)
    mean_M, std_M = (part.double().numpy() for part in known)
    power_BCNM = 10 ** ((mean_M + std_M * x_BCNM.double().numpy()) / 10)
    for clip, (share, other) in enumerate(zip(shares_B, others_B, strict=True)):
        power_CNM = share * power_BCNM[clip] + (1 - share) * power_BCNM[other]
        expected_CNM = (10 * np.log10(power_CNM) - mean_M) / std_M
        np.testing.assert_allclose(mixed_BCNM[clip].numpy(), expected_CNM, atol=1e-4)
        assert mixed_BL[clip, clip] + (0 if other == clip else mixed_BL[clip, other]) == 1
    assert torch.equal(mixed_BL, mix(x_BCNM, torch.eye(6), 1.0, rng())[1])


@pytest.mark.parametrize("value", [-1e4, -30.0, 30.0, 1e4])
def test_mixing_powers_of_equal_sounds_changes_nothing_however_loud(value: float) -> None:
    x_BCNM = torch.full((3, 1, 2, 4), value)
    mixed_BCNM, _ = mix(x_BCNM, torch.eye(3), 0.01, rng(), levels(4))
    torch.testing.assert_close(mixed_BCNM, x_BCNM, atol=1e-3, rtol=1e-5)


def test_a_quiet_sound_adds_little_to_a_loud_one() -> None:
    known = Levels(torch.zeros(1), torch.ones(1))
    x_B1NM = torch.tensor([0.0, -60.0])[:, None, None, None]
    for seed in range(20):
        mixed_B1NM, mixed_BL = mix(x_B1NM, torch.eye(2), 1.0, np.random.default_rng(seed), known)
        for clip in range(2):
            share = mixed_BL[clip, 0].item()  # of the loud one
            if 0.01 < share < 1:
                assert mixed_B1NM[clip].item() == pytest.approx(10 * np.log10(share), abs=1e-2)


def test_powers_are_mixed_where_the_levels_are_known() -> None:
    rule = OFF.model_copy(update={"mixup_prob": 1.0})
    x_B1NM, targets_BL = torch.randn(4, 1, 20, 8), torch.eye(4)
    mixed_B1NM, _ = augment(x_B1NM, targets_BL, rule, rng(), levels(8))
    assert not torch.equal(mixed_B1NM, augment(x_B1NM, targets_BL, rule, rng())[0])
    assert torch.isfinite(mixed_B1NM).all()


def test_masks_are_two_zero_runs_no_longer_than_their_share() -> None:
    torch.manual_seed(0)
    masked_BCNM = mask(torch.ones(64, 2, 40, 8), 0.25, 0.0)
    assert torch.equal(masked_BCNM[:, 0], masked_BCNM[:, 1])
    is_gone_BN = masked_BCNM[:, 0, :, 0] == 0
    assert torch.equal(masked_BCNM[..., 0], masked_BCNM[..., 7])
    assert 0 < is_gone_BN.sum(1).max() <= 2 * 10
    starts_BN = is_gone_BN & ~is_gone_BN.roll(1, 1)
    starts_BN[:, 0] = is_gone_BN[:, 0]
    assert starts_BN.sum(1).max() == 2
    is_gone_BM = mask(torch.ones(64, 1, 40, 8), 0.0, 0.5)[:, 0, 0] == 0
    assert 0 < is_gone_BM.sum(1).max() <= 2 * 4


def test_masks_leave_the_mean() -> None:
    mean_M = torch.arange(8.0) - 40.0
    torch.manual_seed(0)
    masked_BCNM = mask(torch.ones(16, 1, 40, 8), 0.25, 0.25, mean_M)
    torch.manual_seed(0)
    is_gone_BCNM = mask(torch.ones(16, 1, 40, 8), 0.25, 0.25) == 0
    assert torch.equal(masked_BCNM, torch.where(is_gone_BCNM, mean_M, 1.0))


def test_masking_nothing_changes_nothing() -> None:
    x_B1NM = torch.randn(3, 1, 5, 7)
    assert torch.equal(mask(x_B1NM, 0.0, 0.0), x_B1NM)


def seeded(x_B1NM: torch.Tensor, targets_BL: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return augment(x_B1NM, targets_BL, TrainRule(), rng())


def test_same_seeds_same_batch() -> None:
    x_B1NM, targets_BL = torch.randn(4, 1, 20, 8), torch.eye(4)
    first, second = seeded(x_B1NM, targets_BL), seeded(x_B1NM, targets_BL)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_everything_can_be_switched_off() -> None:
    x_B1NM, targets_BL = torch.randn(4, 1, 20, 8), torch.eye(4)
    assert torch.equal(augment(x_B1NM, targets_BL, OFF, rng())[0], x_B1NM)
