import numpy as np
import torch

from audioprep.config.training import TrainRule
from audioprep.model.augment import augment, mask, mix, shift_bins, warp_frames

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
