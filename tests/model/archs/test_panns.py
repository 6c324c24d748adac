"""Names, shapes and arithmetic of the published PANNs, against facts and a second, independent forward pass."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from audioprep.model.archs.panns import Panns
from audioprep.model.archs.trunk import Sides

# Published numbers of keys and of trainable parameters, 527 classes, without the three keys of the front end.
PUBLISHED = {"cnn6": (36 - 3, 4_837_455), "cnn10": (60 - 3, 5_219_279), "cnn14": (84 - 3, 80_753_615)}


def panns(arch: str, num_classes: int) -> Panns:
    return Panns(arch, Sides(1, 65, 64, num_classes))


@pytest.mark.parametrize(("arch", "num_keys", "num_parameters"), [(a, *n) for a, n in PUBLISHED.items()])
def test_keys_and_parameters_are_the_published_ones(arch: str, num_keys: int, num_parameters: int) -> None:
    trunk = panns(arch, 527)
    assert len(trunk.state_dict()) == num_keys
    assert sum(weight.numel() for weight in trunk.parameters()) == num_parameters


def test_names_and_shapes_are_the_published_ones() -> None:
    shapes = {name: tuple(value.shape) for name, value in panns("cnn14", 527).state_dict().items()}
    channels = (1, 64, 128, 256, 512, 1024, 2048)
    expected: dict[str, tuple[int, ...]] = {}
    for number in range(1, 7):
        before, after = channels[number - 1], channels[number]
        expected[f"conv_block{number}.conv1.weight"] = (after, before, 3, 3)
        expected[f"conv_block{number}.conv2.weight"] = (after, after, 3, 3)
        for norm in ("bn1", "bn2"):
            expected |= norm_shapes(f"conv_block{number}.{norm}", after)
    expected |= norm_shapes("bn0", 64)
    expected |= {"fc1.weight": (2048, 2048), "fc1.bias": (2048,)}
    expected |= {"fc_audioset.weight": (527, 2048), "fc_audioset.bias": (527,)}
    assert shapes == expected
    assert panns("cnn6", 527).state_dict()["conv_block1.conv1.weight"].shape == (64, 1, 5, 5)


def norm_shapes(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.num_batches_tracked": ()}


@pytest.mark.parametrize(("arch", "num_blocks"), [("cnn6", 4), ("cnn10", 4), ("cnn14", 6)])
def test_forward_is_the_published_one(arch: str, num_blocks: int) -> None:
    torch.manual_seed(1)
    trunk = panns(arch, 7).eval()
    with torch.no_grad():
        for name, value in trunk.state_dict().items():
            if "running_var" in name:
                value.uniform_(0.5, 2.0)
            elif "running_mean" in name:
                value.normal_()
        x_B1NM = torch.randn(2, 1, 65, 64)
        torch.testing.assert_close(
            trunk(x_B1NM), reference(trunk.state_dict(), x_B1NM, num_blocks), atol=1e-4, rtol=1e-4
        )


def reference(weights: dict[str, Tensor], x: Tensor, num_blocks: int) -> Tensor:
    """The published forward pass, written with functions and the published names alone."""

    def norm(x: Tensor, name: str) -> Tensor:
        parts = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, training=False)

    x = norm(x.transpose(1, 3), "bn0").transpose(1, 3)
    for number in range(1, num_blocks + 1):
        for conv, bn in (("conv1", "bn1"), ("conv2", "bn2")):
            if (name := f"conv_block{number}.{conv}.weight") in weights:
                x = functional.conv2d(x, weights[name], padding=weights[name].shape[-1] // 2)
                x = functional.relu(norm(x, f"conv_block{number}.{bn}"))
        if number < 6:
            x = functional.avg_pool2d(x, kernel_size=(2, 2))
    x = torch.mean(x, dim=3)
    x = torch.max(x, dim=2)[0] + torch.mean(x, dim=2)
    x = functional.relu(functional.linear(x, weights["fc1.weight"], weights["fc1.bias"]))
    return functional.linear(x, weights["fc_audioset.weight"], weights["fc_audioset.bias"])
