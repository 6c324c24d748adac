"""Names, shapes and size of the published MobileNetV2, against facts."""

import torch
from torch import nn

from audioprep.model.archs.mobilenetv2 import MobileNetV2
from audioprep.model.archs.trunk import Sides


def trunk() -> MobileNetV2:
    return MobileNetV2(Sides(1, 64, 64, 527))


def test_keys_and_parameters_are_the_published_ones() -> None:
    one = trunk()
    # 324 keys with the three of the front end.
    assert len(one.state_dict()) == 324 - 3
    assert sum(weight.numel() for weight in one.parameters()) == 4_075_343


def test_names_count_the_averages_that_make_the_strides() -> None:
    names = {name.rsplit(".", 1)[0] for name in trunk().state_dict()}
    expected = {"bn0", "fc1", "fc_audioset", "features.0.0", "features.0.2", "features.18.0", "features.18.1"}
    expected |= {f"features.1.conv.{place}" for place in (0, 2, 4, 5)}
    expected |= {f"features.{block}.conv.{place}" for block in range(2, 18) for place in (0, 1, 3, 5, 7, 8)}
    assert names == expected


def test_shapes_are_the_published_ones() -> None:
    weights = trunk().state_dict()
    channels = (32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
    assert weights["features.0.0.weight"].shape == (32, 1, 3, 3)
    assert weights["features.1.conv.4.weight"].shape == (16, 32, 1, 1)
    for block in range(2, 18):
        before, after = channels[block - 1], channels[block]
        assert weights[f"features.{block}.conv.3.weight"].shape == (6 * before, 1, 3, 3)
        assert weights[f"features.{block}.conv.7.weight"].shape == (after, 6 * before, 1, 1)
    assert weights["features.18.0.weight"].shape == (1280, 320, 1, 1)
    assert weights["fc1.weight"].shape == (1024, 1280)


def test_strides_are_averages() -> None:
    one = trunk()
    assert all(conv.stride == (1, 1) for conv in one.modules() if isinstance(conv, nn.Conv2d))
    assert one.frames(torch.zeros(1, 1, 97, 64)).shape == (1, 1280, 3)
