import torch

from audioprep.model.archs.crnn import Crnn
from audioprep.model.archs.trunk import Sides


def test_a_frame_hears_what_comes_before_and_after_it() -> None:
    torch.manual_seed(0)
    trunk = Crnn(Sides(1, 64, 20, 3), 4, 0.0).eval()
    x_BCNM = torch.randn(1, 1, 64, 20, requires_grad=True)
    z_BCN = trunk.frames(x_BCNM)
    assert z_BCN.shape == (1, 32, 16)
    z_BCN[:, :, 8].sum().backward()
    assert x_BCNM.grad is not None
    heard_N = x_BCNM.grad.abs().sum((0, 1, 3))
    assert heard_N[0] > 0
    assert heard_N[-1] > 0


def test_very_small_inputs_fit() -> None:
    assert Crnn(Sides(1, 1, 1, 3), 4, 0.0).eval()(torch.zeros(1, 1, 1, 1)).shape == (1, 3)
