"""PANNs' MobileNetV2, with the parameter names and shapes of the published one.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.

As published, strides are averages after a convolution of stride 1. Where there is no stride the average of one cell
stands in the sequences too: the parameters' names count it.

Source: Kong et al. 2020 (arXiv 1912.10211), github.com/qiuqiangkong/audioset_tagging_cnn, pytorch/models.py; Sandler et
al. 2018 (arXiv 1801.04381), table 2.
"""

import torch
from torch import Tensor, nn

from audioprep.model.archs.panns import PannsHead
from audioprep.model.archs.trunk import Sides

# Factor by which a block widens, its channels, how many of them, stride of the first.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 2),
    (6, 160, 3, 1),
    (6, 320, 1, 1),
)
_FIRST_CHANNELS, _LAST_CHANNELS, _HIDDEN = 32, 1280, 1024


class MobileNetV2(PannsHead):
    """A stem, 17 inverted residual blocks, a 1x1 convolution."""

    min_side = 32

    def __init__(self, sides: Sides) -> None:
        """Make the trunk with random weights.

        Args:
            sides: Of input and output; the published checkpoint has 64 bins and 527 classes.
        """
        super().__init__()
        self.bn0 = nn.BatchNorm2d(sides.num_bins)
        channels = _FIRST_CHANNELS
        layers: list[nn.Module] = [nn.Sequential(*_conv(1, channels, 3), nn.AvgPool2d(2), *_norm(channels))]
        for factor, channels_out, num_blocks, stride in _STAGES:
            for block in range(num_blocks):
                layers.append(_InvertedResidual(channels, channels_out, stride if block == 0 else 1, factor))
                channels = channels_out
        layers.append(nn.Sequential(*_conv(channels, _LAST_CHANNELS, 1), *_norm(_LAST_CHANNELS)))
        self.features = nn.Sequential(*layers)
        self._add_head(sides, _LAST_CHANNELS, _HIDDEN)
        # Kernels in this order bring activations into it too, in which a CPU trains this 2.3 times as fast.
        self.to(memory_format=torch.channels_last)

    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features [B, 1280, N / 32]."""
        x_BCNM = self.features(self.bn0(x_BCNM.transpose(1, 3)).transpose(1, 3))
        return x_BCNM.mean(dim=3)


class _InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, factor: int) -> None:
        super().__init__()
        hidden = factor * channels_in
        self.has_shortcut = stride == 1 and channels_in == channels_out
        widen = [*_conv(channels_in, hidden, 1), *_norm(hidden)] if factor > 1 else []
        self.conv = nn.Sequential(
            *widen,
            *_conv(hidden, hidden, 3, groups=hidden),
            nn.AvgPool2d(stride),
            *_norm(hidden),
            *_conv(hidden, channels_out, 1),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x_BCNM: Tensor) -> Tensor:
        y_BCNM: Tensor = self.conv(x_BCNM)
        return x_BCNM + y_BCNM if self.has_shortcut else y_BCNM


def _conv(channels_in: int, channels_out: int, side: int, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels_out, side, padding=side // 2, groups=groups, bias=False)]


def _norm(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU6()]
