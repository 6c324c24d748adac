import pytest
import torch
from torch import nn

from audioprep.model.archs.bcresnet import BCResNet, _SubSpectralNorm
from audioprep.model.archs.trunk import Sides


# Kim et al. 2021, table 3: 9.2 k and 321 k on 40 bins and 12 classes.
@pytest.mark.parametrize(("width", "num_parameters"), [(8, 9_232), (64, 321_068)])
def test_sizes_are_the_published_ones(width: int, num_parameters: int) -> None:
    trunk = BCResNet(Sides(1, 101, 40, 12, pool="mean"), width)
    assert sum(weight.numel() for weight in trunk.parameters()) == num_parameters


def test_no_frame_is_skipped() -> None:
    assert BCResNet(Sides(1, 51, 40, 12), 8).frames(torch.zeros(2, 1, 51, 40)).shape == (2, 32, 51)


@pytest.mark.parametrize(("num_bins", "num_groups"), [(20, 5), (32, 4), (9, 3), (7, 1)])
def test_each_group_of_bins_is_normed_by_itself(num_bins: int, num_groups: int) -> None:
    norm = _SubSpectralNorm(3, num_bins)
    assert norm.num_groups == num_groups
    x_BCMN = torch.randn(4, 3, num_bins, 6) * torch.arange(1.0, 1.0 + num_bins)[:, None]
    parts = [nn.BatchNorm2d(3)(part) for part in x_BCMN.chunk(num_groups, dim=2)]
    torch.testing.assert_close(norm(x_BCMN), torch.cat(parts, dim=2))
