"""BC-ResNet: residual blocks whose temporal half runs on the mean over bins and is broadcast back.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.

Differences: the sub-spectral groups are the largest number up to five that divides the bins (five with the published
40), and the clip is pooled by `model.pool` where the published network takes the mean.

Source: Kim et al. 2021 (arXiv 2106.04140), tables 1 and 2; github.com/Qualcomm-AI-research/bcresnet.
"""

from torch import Tensor, nn
from torch.nn import functional

from audioprep.model.archs.trunk import Sides, Trunk

_NUM_BLOCKS = (2, 2, 4, 4)
_BIN_STRIDES = (1, 2, 2, 1)
# Channels of the stages, in eighths of what the published scale calls 8 tau.
_STAGE_WIDTHS = (1.0, 1.5, 2.0, 2.5)
_MAX_GROUPS = 5
_BLOCK_DROPOUT = 0.1


class BCResNet(Trunk):
    """Stem, four stages and a depthwise layer over the remaining bins; frames are never skipped."""

    def __init__(self, sides: Sides, width: int) -> None:
        """Make the trunk with random weights.

        Args:
            sides: Of input and output.
            width: Channels of the first stage: 8 is BC-ResNet-1, 64 is BC-ResNet-8.
        """
        super().__init__()
        channels, num_bins = 2 * width, _halved(sides.num_bins)
        self.stem = nn.Sequential(
            nn.Conv2d(sides.num_channels, channels, 5, stride=(2, 1), padding=2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        for stage, (num_blocks, scale) in enumerate(zip(_NUM_BLOCKS, _STAGE_WIDTHS, strict=True)):
            for block in range(num_blocks):
                stride = _BIN_STRIDES[stage] if block == 0 else 1
                num_bins = _halved(num_bins) if stride == 2 else num_bins
                blocks.append(_Block(channels, int(scale * width), num_bins, stride, dilation=2**stage))
                channels = int(scale * width)
        self.blocks = nn.Sequential(*blocks)
        side = min(5, num_bins)
        self.last = nn.Sequential(
            nn.Conv2d(channels, channels, (side, 5), padding=(0, 2), groups=channels, bias=False),
            nn.Conv2d(channels, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
        )
        self.pool = sides.make_pool(4 * width)
        self.head = nn.Linear(self.pool.num_outputs, sides.num_classes)

    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features [B, 4 width, N]."""
        # Bins before frames, as published: groups of bins are then views.
        z_BCMN: Tensor = self.last(self.blocks(self.stem(x_BCNM.transpose(2, 3))))
        return z_BCMN.mean(dim=2)

    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L]."""
        logits: Tensor = self.head(z)
        return logits


class _Block(nn.Module):
    """Along bins with all of them, along frames on their mean; the second is added to the first."""

    def __init__(self, channels_in: int, channels: int, num_bins: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.has_shortcut = channels_in == channels
        self.widen: nn.Module = nn.Identity()
        if not self.has_shortcut:
            self.widen = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
            )
        self.along_bins = nn.Sequential(
            nn.Conv2d(channels, channels, (3, 1), stride=(stride, 1), padding=(1, 0), groups=channels, bias=False),
            _SubSpectralNorm(channels, num_bins),
        )
        self.along_frames = nn.Sequential(
            nn.Conv2d(
                channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation), groups=channels, bias=False
            ),
            nn.BatchNorm2d(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Dropout2d(_BLOCK_DROPOUT),
        )

    def forward(self, x_BCMN: Tensor) -> Tensor:
        y_BCMN = self.along_bins(self.widen(x_BCMN))
        y_BCMN = y_BCMN + self.along_frames(y_BCMN.mean(dim=2, keepdim=True))
        return functional.relu(y_BCMN + x_BCMN if self.has_shortcut else y_BCMN)


class _SubSpectralNorm(nn.Module):
    """Batch norm with statistics of its own for each group of neighbouring bins (Chang et al. 2021, 2103.13620)."""

    def __init__(self, num_channels: int, num_bins: int) -> None:
        super().__init__()
        self.num_groups = next(groups for groups in range(_MAX_GROUPS, 0, -1) if num_bins % groups == 0)
        self.norm = nn.BatchNorm2d(num_channels * self.num_groups)

    def forward(self, x_BCMN: Tensor) -> Tensor:
        num_clips, num_channels, num_bins, num_frames = x_BCMN.shape
        groups = (num_clips, num_channels * self.num_groups, num_bins // self.num_groups, num_frames)
        normed: Tensor = self.norm(x_BCMN.reshape(groups))
        return normed.reshape(x_BCMN.shape)


def _halved(num_bins: int) -> int:
    return (num_bins + 1) // 2
