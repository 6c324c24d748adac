"""The small default network, `resnet8`.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.
"""

from torch import Tensor, nn
from torch.nn import functional

from audioprep.model.archs.trunk import Sides, Trunk


class ResNet8(Trunk):
    """A 5x5 stem of stride 2 and four residual blocks: eight 3x3 convolutions, 309 k parameters at width 16."""

    def __init__(self, sides: Sides, width: int, dropout: float) -> None:
        """Make the trunk with random weights.

        Args:
            sides: Of input and output.
            width: Channels of the stem and the first block; the last block has eight times as many.
            dropout: Share of the pooled features that are dropped in training.
        """
        super().__init__()
        self.stem = nn.Conv2d(sides.num_channels, width, 5, stride=2, padding=2, bias=False)
        self.stem_bn = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(
            _Block(width, width, 1),
            _Block(width, 2 * width, 2),
            _Block(2 * width, 4 * width, 2),
            _Block(4 * width, 8 * width, 2),
        )
        self.pool = sides.make_pool(8 * width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.pool.num_outputs, sides.num_classes)

    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features [B, 8 width, N / 16]."""
        x_BCNM = self.blocks(functional.relu(self.stem_bn(self.stem(x_BCNM))))
        return x_BCNM.mean(dim=3)

    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L]."""
        logits: Tensor = self.head(self.dropout(z))
        return logits


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
