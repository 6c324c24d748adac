"""The classifier: a front end without weights, and a trunk; and the small default trunk, `resnet8`.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Outputs = Literal["softmax", "sigmoid"]


# A bin that does not move in a clip would be divided by nothing; dB.
_MIN_STD = 1e-2


class Front(nn.Module):
    """Brings feature matrices to the trunk's input: standardised per bin, frames taken together in groups.

    The mean of a group alone would smear ticks and rotor blades, so its maximum is a second channel.

    It has no weights, so training applies it once to all clips and not in every epoch.
    """

    mean_M: Tensor
    std_M: Tensor

    def __init__(self, num_bins: int, frame_pool: int = 1, *, per_clip: bool = False) -> None:
        """Make a front that standardises nothing until its buffers are set.

        Args:
            num_bins: M.
            frame_pool: So many frames become one; a rest at the end is left out. With 1 there is one channel.
            per_clip: Whether each clip is standardised by itself instead: cepstral mean and variance normalisation.
        """
        super().__init__()
        self.frame_pool = frame_pool
        self.per_clip = per_clip
        self.num_channels = 1 if frame_pool == 1 else 2
        self.register_buffer("mean_M", torch.zeros(num_bins))
        self.register_buffer("std_M", torch.ones(num_bins))

    def forward(self, x_BNM: Tensor) -> Tensor:
        """Return [B, num_channels, N // frame_pool, M] from [B, N, M]."""
        x_B1NM = self._standardised(x_BNM.float()).unsqueeze(1)
        if self.frame_pool == 1:
            return x_B1NM
        group = (self.frame_pool, 1)
        return torch.cat([functional.avg_pool2d(x_B1NM, group), functional.max_pool2d(x_B1NM, group)], dim=1)

    def _standardised(self, x_BNM: Tensor) -> Tensor:
        if not self.per_clip:
            return (x_BNM - self.mean_M) / self.std_M
        x_BNM = x_BNM - x_BNM.mean(dim=1, keepdim=True)
        return x_BNM / (x_BNM.square().mean(dim=1, keepdim=True) + _MIN_STD**2).sqrt()


class Classifier(nn.Module):
    """Front and trunk: feature matrices in, logits out."""

    def __init__(self, front: Front, trunk: nn.Module, outputs: Outputs = "softmax") -> None:
        """Join a front and a trunk.

        Args:
            front: Standardises the features.
            trunk: The network.
            outputs: What makes probabilities of its logits.
        """
        super().__init__()
        self.front = front
        self.trunk = trunk
        self.outputs = outputs

    def forward(self, x_BNM: Tensor) -> Tensor:
        """Return logits [B, L] from feature matrices [B, N, M]."""
        logits_BL: Tensor = self.trunk(self.front(x_BNM))
        return logits_BL

    def scores(self, x_BNM: Tensor) -> Tensor:
        """Return probabilities [B, L] from feature matrices [B, N, M]: of classes that exclude each other, or of each by itself."""
        logits_BL = self(x_BNM)
        return logits_BL.softmax(1) if self.outputs == "softmax" else torch.sigmoid(logits_BL)


class ResNet8(nn.Module):
    """A 5x5 stem of stride 2 and four residual blocks: eight 3x3 convolutions, 309 k parameters at width 16."""

    head_name = "head"
    min_side = 1

    def __init__(self, num_channels: int, num_classes: int, width: int, dropout: float) -> None:
        """Make the trunk with random weights.

        Args:
            num_channels: C of its input.
            num_classes: L.
            width: Channels of the stem and the first block; the last block has eight times as many.
            dropout: Share of the pooled features that are dropped in training.
        """
        super().__init__()
        self.stem = nn.Conv2d(num_channels, width, 5, stride=2, padding=2, bias=False)
        self.stem_bn = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(
            _Block(width, width, 1),
            _Block(width, 2 * width, 2),
            _Block(2 * width, 4 * width, 2),
            _Block(4 * width, 8 * width, 2),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8 * width, num_classes)

    def forward(self, x_BCNM: Tensor) -> Tensor:
        """Return logits [B, L]."""
        x_BCNM = self.blocks(functional.relu(self.stem_bn(self.stem(x_BCNM))))
        logits_BL: Tensor = self.head(self.dropout(pool_frames_and_bins(x_BCNM)))
        return logits_BL


def pool_frames_and_bins(x_BCNM: Tensor) -> Tensor:
    """Return [B, C]: the mean over bins, then the maximum plus the mean over frames.

    Source: Kong et al. 2020, PANNs (arXiv 1912.10211), section IV.
    """
    x_BCN = x_BCNM.mean(dim=3)
    return x_BCN.amax(dim=2) + x_BCN.mean(dim=2)


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2015, arXiv 1512.03385)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x_BCNM: Tensor) -> Tensor:
        y_BCNM = functional.relu(self.bn1(self.conv1(x_BCNM)))
        return functional.relu(self.bn2(self.conv2(y_BCNM)) + self.shortcut(x_BCNM))
