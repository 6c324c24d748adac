import torch

from audioprep.model.archs.resnet8 import ResNet8
from audioprep.model.archs.trunk import Sides


def test_a_frozen_body_stands_still_and_its_head_learns() -> None:
    trunk = ResNet8(Sides(1, 20, 16, 3, pool="attention"), 4, 0.5)
    trunk.freeze_body()
    trunk.train()
    assert not any(module.training for module in trunk.modules())
    learnt = {name for name, weight in trunk.named_parameters() if weight.requires_grad}
    parts = {"pool.hidden", "pool.weight", "head"}
    assert learnt == {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}
    before = trunk.stem_bn.running_mean.clone()
    trunk(torch.randn(4, 1, 20, 16)).sum().backward()
    assert torch.equal(trunk.stem_bn.running_mean, before)
    assert trunk.stem.weight.grad is None


def test_a_trunk_that_is_not_frozen_trains() -> None:
    trunk = ResNet8(Sides(1, 20, 16, 3), 4, 0.5)
    assert trunk.eval().train().stem_bn.training
