"""MobileNetV3-Large at four tenths of its width: the size of EfficientAT's `mn04`, for small devices.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.

Differences from EfficientAT: squeeze-and-excitation gates by hard-sigmoid as in the paper, and the clip is pooled by
`model.pool`; its checkpoints do not fit.

Source: Howard et al. 2019 (arXiv 1905.02244), table 1; Schmid et al. 2023 (arXiv 2211.04772).
"""

import torch
from torch import Tensor, nn

from audioprep.model.archs.trunk import Sides, Trunk

_SCALE = 0.4
# Side of the kernel, widened channels, channels, squeeze and excitation, hard-swish (else ReLU), stride.
_BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
_FIRST_CHANNELS, _LAST_FACTOR, _HIDDEN = 16, 6, 1280


class Mn04(Trunk):
    """A stem, 15 inverted residual blocks, a 1x1 convolution, two linear layers."""

    def __init__(self, sides: Sides, dropout: float) -> None:
        """Make the trunk with random weights.

        Args:
            sides: Of input and output.
            dropout: Share of the embedding that is dropped in training.
        """
        super().__init__()
        channels = _scaled(_FIRST_CHANNELS)
        layers: list[nn.Module] = [_conv(sides.num_channels, channels, 3, 2, nn.Hardswish())]
        for side, hidden, channels_out, squeezes, is_hard_swish, stride in _BLOCKS:
            layers.append(
                _Block(channels, _scaled(hidden), _scaled(channels_out), side, stride, squeezes, is_hard_swish)
            )
            channels = _scaled(channels_out)
        layers.append(_conv(channels, _LAST_FACTOR * channels, 1, 1, nn.Hardswish()))
        self.features = nn.Sequential(*layers)
        self.pool = sides.make_pool(_LAST_FACTOR * channels)
        self.embedding = nn.Sequential(
            nn.Linear(self.pool.num_outputs, _scaled(_HIDDEN)), nn.Hardswish(), nn.Dropout(dropout)
        )
        self.head = nn.Linear(_scaled(_HIDDEN), sides.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        # Kernels in this order bring activations into it too, in which a CPU trains this 1.8 times as fast.
        self.to(memory_format=torch.channels_last)

    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features [B, C, N / 32]."""
        if x_BCNM.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # So few channels take three times as long in bf16: its kernels are made for many.
            with torch.autocast("cpu", enabled=False):
                return self._features_of(x_BCNM.float())
        return self._features_of(x_BCNM)

    def _features_of(self, x_BCNM: Tensor) -> Tensor:
        z_BCNM: Tensor = self.features(x_BCNM)
        return z_BCNM.mean(dim=3)

    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L]."""
        logits: Tensor = self.head(self.embedding(z))
        return logits


class _Block(nn.Module):
    """Widen, filter each channel by itself, weigh the channels, narrow."""

    def __init__(
        self,
        channels_in: int,
        hidden: int,
        channels_out: int,
        side: int,
        stride: int,
        squeezes: bool,  # noqa: FBT001 - a row of the table
        is_hard_swish: bool,  # noqa: FBT001
    ) -> None:
        super().__init__()
        self.has_shortcut = stride == 1 and channels_in == channels_out
        activation = nn.Hardswish if is_hard_swish else nn.ReLU
        widen = [_conv(channels_in, hidden, 1, 1, activation())] if hidden != channels_in else []
        weigh = [_Weigh(hidden)] if squeezes else []
        self.layers = nn.Sequential(
            *widen,
            _conv(hidden, hidden, side, stride, activation(), groups=hidden),
            *weigh,
            _conv(hidden, channels_out, 1, 1, nn.Identity()),
        )

    def forward(self, x_BCNM: Tensor) -> Tensor:
        y_BCNM: Tensor = self.layers(x_BCNM)
        return x_BCNM + y_BCNM if self.has_shortcut else y_BCNM


class _Weigh(nn.Module):
    """Squeeze and excitation (Hu et al. 2017, arXiv 1709.01507)."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        num_squeezed = _in_eights(num_channels / 4)
        self.layers = nn.Sequential(
            nn.Conv2d(num_channels, num_squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(num_squeezed, num_channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x_BCNM: Tensor) -> Tensor:
        weights_BC11: Tensor = self.layers(x_BCNM.mean(dim=(2, 3), keepdim=True))
        return x_BCNM * weights_BC11


def _conv(
    channels_in: int, channels_out: int, side: int, stride: int, activation: nn.Module, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, side, stride=stride, padding=side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out, eps=1e-3),
        activation,
    )


def _scaled(num_channels: int) -> int:
    return _in_eights(num_channels * _SCALE)


def _in_eights(number: float) -> int:
    """Return the nearest multiple of eight that is not more than a tenth below."""
    nearest = max(8, int(number + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * number else nearest
