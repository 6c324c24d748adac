"""The classifier: a front end without weights, and a trunk, which is one of `archs/`.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprep.model.archs.trunk import Trunk

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

    def __init__(self, front: Front, trunk: Trunk, outputs: Outputs = "softmax") -> None:
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
