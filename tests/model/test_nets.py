import pytest
import torch

from audioprep.config.training import ModelRule
from audioprep.model.checkpoints import Shapes, build
from audioprep.model.nets import Front


def test_front_standardises_and_gives_mean_and_maximum_of_frames() -> None:
    front = Front(num_bins=2, frame_pool=2)
    front.mean_M.copy_(torch.tensor([1.0, 2.0]))
    front.std_M.copy_(torch.tensor([2.0, 4.0]))
    x_BNM = torch.tensor([[[1.0, 2.0], [5.0, 10.0], [3.0, 6.0], [3.0, 6.0], [99.0, 99.0]]])
    torch.testing.assert_close(front(x_BNM), torch.tensor([[[[1.0, 1.0], [1.0, 1.0]], [[2.0, 2.0], [1.0, 1.0]]]]))


def test_front_without_groups_has_one_channel() -> None:
    x_BNM = torch.randn(2, 5, 3)
    assert torch.equal(Front(3)(x_BNM), x_BNM.unsqueeze(1))


def test_front_takes_stored_float16() -> None:
    assert Front(3)(torch.zeros(1, 4, 3, dtype=torch.float16)).dtype == torch.float32


def test_resnet8_takes_very_small_inputs() -> None:
    classifier = build(ModelRule(width=4, frame_pool=16), Shapes(3, 1, 2)).eval()
    assert classifier(torch.zeros(1, 3, 1)).shape == (1, 2)


@pytest.mark.parametrize(("num_frames", "frame_pool"), [(3, 1), (101, 1), (201, 2), (501, 4), (3001, 24)])
def test_about_as_many_frames_go_in_whatever_the_window(num_frames: int, frame_pool: int) -> None:
    assert build(ModelRule(width=4), Shapes(num_frames, 8, 2)).front.frame_pool == frame_pool
    assert build(ModelRule(width=4, frame_pool=2), Shapes(num_frames, 8, 2)).front.frame_pool == 2
