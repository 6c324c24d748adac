"""A convolutional recurrent network: what happens in a frame by convolutions, what follows what by a recurrent layer.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.

Source: Cakir et al. 2017 (arXiv 1702.06286), section III; sizes are this project's.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprep.model.archs.trunk import Sides, Trunk

# Frames and bins of which the largest is kept, after each block.
_POOLS = ((2, 2), (2, 2), (1, 2), (1, 2))
_WIDTHS = (1, 2, 4, 4)


class Crnn(Trunk):
    """Four 3x3 convolutions, each with a maximum over neighbours, and a gated recurrent layer in both directions."""

    def __init__(self, sides: Sides, width: int, dropout: float) -> None:
        """Make the trunk with random weights.

        Args:
            sides: Of input and output.
            width: Channels of the first block; the recurrent layer has four times as many in each direction.
            dropout: Share of the features that are dropped in training, before the recurrent layer and after the pool.
        """
        super().__init__()
        channels, num_bins = sides.num_channels, sides.num_bins
        blocks: list[nn.Module] = []
        for scale, pool in zip(_WIDTHS, _POOLS, strict=True):
            blocks += [
                nn.Conv2d(channels, scale * width, 3, padding=1, bias=False),
                nn.BatchNorm2d(scale * width),
                nn.ReLU(),
                nn.MaxPool2d(pool, ceil_mode=True),
            ]
            channels, num_bins = scale * width, -(-num_bins // pool[1])
        self.blocks = nn.Sequential(*blocks)
        self.recurrent = nn.GRU(channels * num_bins, 4 * width, batch_first=True, bidirectional=True)
        self.pool = sides.make_pool(8 * width)
        self.dropout = dropout
        self.head = nn.Linear(self.pool.num_outputs, sides.num_classes)
        # Kernels in this order bring activations into it too, in which a CPU trains this 1.4 times as fast.
        self.to(memory_format=torch.channels_last)

    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features [B, 8 width, N / 4]."""
        x_BCNM = self.blocks(x_BCNM)
        x_BNE = functional.dropout(x_BCNM.transpose(1, 2).flatten(2), self.dropout, self.training)
        z_BNC: Tensor = self.recurrent(x_BNE)[0]
        return z_BNC.transpose(1, 2)

    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L]."""
        logits: Tensor = self.head(functional.dropout(z, self.dropout, self.training))
        return logits
