import numpy as np
import pytest
import torch

from audioprep.config.training import TrainRule
from audioprep.model.augment import Levels, augment, mask, mix, shift_bins, warp_frames

OFF = TrainRule(
    time_roll=False, time_stretch=1.0, time_crop=1.0, freq_shift_bins=0, mixup_prob=0.0, time_mask=0.0, freq_mask=0.0
)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def batch(num_clips: int = 3, num_frames: int = 9) -> torch.Tensor:
    """Clips of two channels in which every value names its clip, channel, frame and bin."""
    return torch.arange(num_clips * 2 * num_frames * 4, dtype=torch.float32).reshape(num_clips, 2, num_frames, 4)


def test_rolling_alone_shifts_each_clip_in_a_circle() -> None:
    rolled_BCNM = warp_frames(batch(), OFF.model_copy(update={"time_roll": True}), rng())
    draws = rng()
    draws.uniform(-1.0, 1.0, (3, 1))
    for clip, shift in enumerate(draws.integers(9, size=(3, 1))[:, 0]):
        assert torch.equal(rolled_BCNM[clip], batch()[clip].roll(-int(shift), dims=1))


def test_stretching_steps_through_the_frames_at_its_speed() -> None:
    rule = OFF.model_copy(update={"time_stretch": 2.0})
    speeds_B = 2.0 ** rng().uniform(-1.0, 1.0, (3, 1))[:, 0]
    for clip, speed in enumerate(speeds_B):
        expected_N = (np.arange(9) * speed).astype(int) % 9
        assert torch.equal(warp_frames(batch(), rule, rng())[clip], batch()[clip][:, expected_N])


def test_cropping_keeps_the_first_part() -> None:
    rule = OFF.model_copy(update={"time_crop": 0.5})
    assert torch.equal(warp_frames(batch(), rule, rng()), batch()[:, :, :4])


def test_shifted_bins_fill_the_gap_with_the_outermost() -> None:
    shifted_BCNM = shift_bins(batch(200), 1, rng())
    for clip, other in zip(shifted_BCNM, batch(200), strict=True):
        up, down = other[..., [1, 2, 3, 3]], other[..., [0, 0, 1, 2]]
        assert any(torch.equal(clip, expected) for expected in (other, up, down))
    assert not torch.equal(shifted_BCNM, batch(200))


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
