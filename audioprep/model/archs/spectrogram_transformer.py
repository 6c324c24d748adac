"""A small audio spectrogram transformer, `ast`: patches of the features as words.

Shape letters: B clips of a batch, C channels, N frames, M bins, P patches along the frames, Q along the bins, D values of
a word, L classes.

Differences from the published AST: six layers instead of twelve and 192 values a word at width 16 instead of 768, so that
it can be trained from nothing; positions are the sum of one along the frames and one along the bins, as in PaSST; and
the words are pooled by `model.pool` instead of by a word of their own.

Source: Gong et al. 2021 (arXiv 2104.01778); Koutini et al. 2021 (arXiv 2110.05069), section 2.2, positions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprep.model.archs.trunk import Sides, Trunk

_PATCH, _STRIDE = 16, 10
_NUM_LAYERS, _NUM_HEADS, _VALUES_PER_WIDTH = 6, 3, 12
_POSITION_STD = 0.02


class SpectrogramTransformer(Trunk):
    """Patches of 16 by 16 that overlap by six, six encoder layers, and the mean over the bins' patches."""

    min_side = _PATCH

    def __init__(self, sides: Sides, width: int, dropout: float) -> None:
        """Make the trunk with random weights.

        Args:
            sides: Of input and output.
            width: A word has twelve times as many values.
            dropout: Share of the values that each layer drops in training, and the share of the pooled ones.
        """
        super().__init__()
        num_values = _VALUES_PER_WIDTH * width
        self.patches = nn.Conv2d(sides.num_channels, num_values, _PATCH, stride=_STRIDE)
        self.frame_positions = nn.Parameter(_POSITION_STD * torch.randn(num_values, _num_patches(sides.num_frames)))
        self.bin_positions = nn.Parameter(_POSITION_STD * torch.randn(num_values, _num_patches(sides.num_bins)))
        layer = nn.TransformerEncoderLayer(
            num_values, _NUM_HEADS, 4 * num_values, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, _NUM_LAYERS, nn.LayerNorm(num_values), enable_nested_tensor=False)
        self.pool = sides.make_pool(num_values)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.pool.num_outputs, sides.num_classes)

    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features [B, D, P]; positions are stretched to clips of other lengths."""
        words_BDPQ = self.patches(x_BCNM)
        num_values, num_along_frames, num_along_bins = words_BDPQ.shape[1:]
        along_frames_DP = _stretched(self.frame_positions, num_along_frames)
        words_BDPQ = words_BDPQ + along_frames_DP[:, :, None] + self.bin_positions[:, None, :]
        words_BPQD: Tensor = self.layers(words_BDPQ.flatten(2).transpose(1, 2))
        z_BPQD = words_BPQD.reshape(-1, num_along_frames, num_along_bins, num_values)
        return z_BPQD.mean(dim=2).transpose(1, 2)

    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L]."""
        logits: Tensor = self.head(self.dropout(z))
        return logits

    def fitted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return weights with their positions stretched to this network's clips and bins."""
        own = {"frame_positions": self.frame_positions, "bin_positions": self.bin_positions}
        return weights | {
            name: _stretched(weights[name], position.shape[1])
            for name, position in own.items()
            if name in weights and weights[name].ndim == 2
        }


def _num_patches(side: int) -> int:
    return max(1, 1 + (side - _PATCH) // _STRIDE)


def _stretched(positions_DP: Tensor, num_patches: int) -> Tensor:
    if positions_DP.shape[1] == num_patches:
        return positions_DP
    return functional.interpolate(positions_DP[None], size=num_patches, mode="linear", align_corners=False)[0]
