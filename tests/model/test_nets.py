import pytest
import torch

from audioprep.config.training import ModelRule
from audioprep.errors import ModelError
from audioprep.model.checkpoints import Shapes, build
from audioprep.model.nets import Front, ResNet8, pool_frames_and_bins


def count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_default_network_has_the_size_its_documentation_states() -> None:
    assert count(ResNet8(2, 10, 16, 0.3)) == 309_194


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


def test_pooling_is_maximum_plus_mean_over_frames_of_the_mean_over_bins() -> None:
    x_BCNM = torch.tensor([[[[1.0, 3.0], [4.0, 8.0]]]])
    torch.testing.assert_close(pool_frames_and_bins(x_BCNM), torch.tensor([[6.0 + 4.0]]))


@pytest.mark.parametrize("arch", ["resnet8", "cnn6", "cnn10", "cnn14"])
@pytest.mark.parametrize("num_bins", [64, 40])
def test_every_network_gives_one_logit_a_class_and_batch_equals_single(arch: str, num_bins: int) -> None:
    torch.manual_seed(0)
    classifier = build(ModelRule(arch=arch, width=4), Shapes(33, num_bins, 5)).eval()
    x_BNM = torch.randn(3, 33, num_bins)
    with torch.no_grad():
        logits_BL = classifier(x_BNM)
        torch.testing.assert_close(logits_BL[1:2], classifier(x_BNM[1:2]), atol=1e-4, rtol=1e-4)
    assert logits_BL.shape == (3, 5)


def test_resnet8_takes_very_small_inputs() -> None:
    classifier = build(ModelRule(width=4, frame_pool=16), Shapes(3, 1, 2)).eval()
    assert classifier(torch.zeros(1, 3, 1)).shape == (1, 2)


def test_inputs_too_small_to_pool_are_refused() -> None:
    with pytest.raises(
        ModelError, match=r"model.arch cnn14: expected at least 32 frames and bins, got 201 frames of 13"
    ):
        build(ModelRule(arch="cnn14"), Shapes(201, 13, 8))
