import torch
from torch import nn

from audioprep.model.archs.resnet8 import ResNet8
from audioprep.model.archs.trunk import Sides


def test_the_default_network_has_the_size_its_documentation_states() -> None:
    trunk = ResNet8(Sides(2, 50, 64, 10), 16, 0.3)
    assert sum(weight.numel() for weight in trunk.parameters()) == 309_194


def test_a_seed_gives_the_weights_it_always_gave() -> None:
    """Its layers are drawn in the order stem, blocks (a shortcut after the two convolutions), head, and nothing else is."""
    torch.manual_seed(5)
    trunk = ResNet8(Sides(2, 50, 40, 7), 8, 0.3)
    torch.manual_seed(5)
    layers: list[nn.Module] = [nn.Conv2d(2, 8, 5, bias=False)]
    for channels_in, channels_out in ((8, 8), (8, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(channels, channels_out, 3, bias=False) for channels in (channels_in, channels_out)]
        if channels_in != channels_out:
            layers.append(nn.Conv2d(channels_in, channels_out, 1, bias=False))
    layers.append(nn.Linear(64, 7))
    expected = [weight for layer in layers for weight in layer.parameters()]
    found = [weight for name, weight in trunk.named_parameters() if weight.ndim > 1 or name == "head.bias"]
    assert len(found) == len(expected)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
