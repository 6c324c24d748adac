import numpy as np
import torch

from audioprep.config.training import TrainRule
from audioprep.model.augment import augment, mask, mix, roll_frames


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_rolling_shifts_each_clip_in_a_circle() -> None:
    x_B1NM = torch.arange(2 * 9 * 3, dtype=torch.float32).reshape(2, 1, 9, 3)
    rolled_B1NM = roll_frames(x_B1NM, rng())
    shifts_B1 = rng().integers(9, size=(2, 1))
    for clip in range(2):
        assert torch.equal(rolled_B1NM[clip], x_B1NM[clip].roll(-int(shifts_B1[clip, 0]), dims=1))


def test_mixing_keeps_the_sum_of_the_shares_and_mixes_inputs_as_targets() -> None:
    targets_BL = torch.eye(4)
    x_B1NM = targets_BL.reshape(4, 1, 1, 4)
    mixed_B1NM, mixed_BL = mix(x_B1NM, targets_BL, 1.0, rng())
    torch.testing.assert_close(mixed_BL.sum(dim=1), torch.ones(4))
    torch.testing.assert_close(mixed_B1NM.reshape(4, 4), mixed_BL)


def test_masks_are_zero_runs_no_longer_than_their_share() -> None:
    masked_B1NM = mask(torch.ones(64, 1, 40, 8), 2, 0.25, rng())
    is_gone_BN = masked_B1NM[:, 0, :, 0] == 0
    assert torch.equal(masked_B1NM[..., 0], masked_B1NM[..., 7])
    assert 0 < is_gone_BN.sum(dim=1).max() <= 2 * 10
    assert is_gone_BN.any(dim=0).all()


def test_masking_nothing_changes_nothing() -> None:
    x_B1NM = torch.randn(3, 1, 5, 4)
    assert torch.equal(mask(x_B1NM, 3, 0.0, rng()), x_B1NM)


def test_same_generator_same_batch() -> None:
    x_B1NM, targets_BL = torch.randn(4, 1, 20, 8), torch.eye(4)
    first, second = (augment(x_B1NM, targets_BL, TrainRule(), rng()) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_everything_can_be_switched_off() -> None:
    x_B1NM, targets_BL = torch.randn(4, 1, 20, 8), torch.eye(4)
    off = TrainRule(time_roll=False, mixup_prob=0.0, time_mask=0.0, freq_mask=0.0)
    assert torch.equal(augment(x_B1NM, targets_BL, off, rng())[0], x_B1NM)
