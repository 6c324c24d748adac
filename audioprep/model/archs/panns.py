"""PANNs trunks: Cnn6, Cnn10 and Cnn14, with the parameter names and shapes of the published ones.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.

Differences: the spectrogram and log-mel layers are not here (the features stage does their work), SpecAugment is done
by the training loop, and the output is logits, of which the published nets take the sigmoid. They are the published nets
with the pool `max_mean`.

Source: Kong et al. 2020 (arXiv 1912.10211), github.com/qiuqiangkong/audioset_tagging_cnn, pytorch/models.py.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from audioprep.model.archs.trunk import Sides, Trunk

_CHANNELS = {"cnn6": (64, 128, 256, 512), "cnn10": (64, 128, 256, 512), "cnn14": (64, 128, 256, 512, 1024, 2048)}
_BLOCK_DROPOUT, _HEAD_DROPOUT = 0.2, 0.5


class PannsHead(Trunk):
    """What all PANNs have after their body: two linear layers, of which the second decides."""

    head_name = "fc_audioset"

    def _add_head(self, sides: Sides, num_channels: int, num_hidden: int) -> None:
        """Add pool and linear layers with random weights, and draw those of the body as published."""
        self.pool = sides.make_pool(num_channels)
        self.fc1 = nn.Linear(self.pool.num_outputs, num_hidden)
        self.fc_audioset = nn.Linear(num_hidden, sides.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L]."""
        z = functional.dropout(functional.relu(self.fc1(z)), _HEAD_DROPOUT, self.training)
        logits: Tensor = self.fc_audioset(z)
        return logits


class Panns(PannsHead):
    """The common shape of the three: batch norm per bin, convolution blocks, two linear layers."""

    def __init__(self, arch: str, sides: Sides) -> None:
        """Make the trunk with random weights.

        Args:
            arch: cnn6, cnn10 or cnn14.
            sides: Of input and output; the published checkpoints have 64 bins and 527 classes.
        """
        super().__init__()
        channels: Sequence[int] = _CHANNELS[arch]
        self.bn0 = nn.BatchNorm2d(sides.num_bins)
        self._blocks: list[_ConvBlock] = []
        for number, (channels_in, channels_out) in enumerate(zip((1, *channels[:-1]), channels, strict=True), start=1):
            # Cnn14 does not pool after its last block.
            pool = 1 if number == 6 else 2
            block = _ConvBlock(channels_in, channels_out, pool, is_single_5x5=arch == "cnn6")
            self.add_module(f"conv_block{number}", block)
            self._blocks.append(block)
        self.min_side = 2 ** min(len(channels), 5)
        self._add_head(sides, channels[-1], channels[-1])

    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features [B, C, N / 16], of cnn14 [B, C, N / 32]."""
        x_BCNM = self.bn0(x_BCNM.transpose(1, 3)).transpose(1, 3)
        for block in self._blocks:
            x_BCNM = functional.dropout(block(x_BCNM), _BLOCK_DROPOUT, self.training)
        return x_BCNM.mean(dim=3)

    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L]."""
        return super().classify(functional.dropout(z, _HEAD_DROPOUT, self.training))


class _ConvBlock(nn.Module):
    """Convolution, batch norm, ReLU, twice with 3x3 or once with 5x5; then the average of pool x pool cells."""

    def __init__(self, channels_in: int, channels_out: int, pool: int, *, is_single_5x5: bool) -> None:
        super().__init__()
        side = 5 if is_single_5x5 else 3
        self.pool = pool
        self.is_single = is_single_5x5
        self.conv1 = nn.Conv2d(channels_in, channels_out, side, padding=side // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        if not is_single_5x5:
            self.conv2 = nn.Conv2d(channels_out, channels_out, side, padding=side // 2, bias=False)
            self.bn2 = nn.BatchNorm2d(channels_out)

    def forward(self, x_BCNM: Tensor) -> Tensor:
        x_BCNM = functional.relu(self.bn1(self.conv1(x_BCNM)))
        if not self.is_single:
            x_BCNM = functional.relu(self.bn2(self.conv2(x_BCNM)))
        return functional.avg_pool2d(x_BCNM, self.pool) if self.pool > 1 else x_BCNM
