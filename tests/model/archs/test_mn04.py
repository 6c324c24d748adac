import pytest

from audioprep.config.training import ModelRule
from audioprep.model.archs.mn04 import Mn04, _in_eights
from audioprep.model.archs.trunk import Sides
from audioprep.model.checkpoints import Shapes, cost_of


def test_size_is_that_of_the_published_one() -> None:
    trunk = Mn04(Sides(1, 1000, 128, 527), 0.2)
    assert sum(weight.numel() for weight in trunk.parameters()) == pytest.approx(0.98e6, abs=0.005e6)


def test_cost_is_that_of_the_published_one() -> None:
    """10 s as 1000 frames of 128 bins: 0.11 G multiply-adds in EfficientAT's table."""
    cost = cost_of(ModelRule(arch="mn04"), Shapes(1000, 128, 527))
    assert cost.num_multiply_adds == pytest.approx(0.11e9, abs=0.005e9)


def test_channels_come_in_eights_and_lose_a_tenth_at_most() -> None:
    assert [_in_eights(number) for number in (3, 8, 9.6, 16, 25.6, 28.8, 64)] == [8, 8, 16, 16, 24, 32, 64]
