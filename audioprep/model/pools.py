"""Pools: from features or decisions over frames to those of a clip.

Shape letters: B clips of a batch, C channels, N frames, E values of an embedding, L classes.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

# Keeps the slope of the standard deviation finite where a channel does not move.
_MIN_VARIANCE = 1e-5
_ATTENTION_CHANNELS = 64


class Pool(nn.Module):
    """Makes an embedding [B, E] of features over frames [B, C, N].

    Attributes:
        num_outputs: E.
        pools_decisions: It takes the logits of frames [B, L, N] instead, and makes those of the clip [B, L].
    """

    pools_decisions = False

    def __init__(self, num_channels: int) -> None:
        """Make a pool.

        Args:
            num_channels: C.
        """
        super().__init__()
        self.num_outputs = num_channels

    def of_frames(self, z_BCN: Tensor) -> Tensor:
        """Return embeddings [B, N, E]: each frame pooled as a clip of that frame alone."""
        num_clips, num_channels, num_frames = z_BCN.shape
        alone_BC1 = z_BCN.transpose(1, 2).reshape(num_clips * num_frames, num_channels, 1)
        return cast("Tensor", self(alone_BC1)).reshape(num_clips, num_frames, self.num_outputs)


class Mean(Pool):
    """The mean over frames."""

    def forward(self, z_BCN: Tensor) -> Tensor:
        """Return [B, C]."""
        return z_BCN.mean(dim=2)


class MaxMean(Pool):
    """The maximum plus the mean over frames.

    Source: Kong et al. 2020, PANNs (arXiv 1912.10211), section IV.
    """

    def forward(self, z_BCN: Tensor) -> Tensor:
        """Return [B, C]."""
        return z_BCN.amax(dim=2) + z_BCN.mean(dim=2)


class Statistics(Pool):
    """Mean and standard deviation over frames.

    Source: Snyder et al. 2018, x-vectors (ICASSP), section 2.1.
    """

    def __init__(self, num_channels: int) -> None:
        """Make a pool; arguments as in `Pool`."""
        super().__init__(num_channels)
        self.num_outputs = 2 * num_channels

    def forward(self, z_BCN: Tensor) -> Tensor:
        """Return [B, 2 C]."""
        z_BCN = z_BCN.float()
        mean_BC1 = z_BCN.mean(dim=2, keepdim=True)
        variance_BC = (z_BCN - mean_BC1).square().mean(dim=2)
        return torch.cat([mean_BC1.squeeze(2), (variance_BC + _MIN_VARIANCE).sqrt()], dim=1)


class Attention(Pool):
    """A mean over frames whose weights are learnt, the same for all channels.

    Source: Ilse et al. 2018 (arXiv 1802.04712), equations 7 and 8.
    """

    def __init__(self, num_channels: int) -> None:
        """Make a pool with random weights; arguments as in `Pool`."""
        super().__init__(num_channels)
        self.hidden = nn.Linear(num_channels, _ATTENTION_CHANNELS)
        self.weight = nn.Linear(_ATTENTION_CHANNELS, 1)

    def forward(self, z_BCN: Tensor) -> Tensor:
        """Return [B, C]."""
        shares_BN1 = self.weight(torch.tanh(self.hidden(z_BCN.transpose(1, 2)))).float().softmax(dim=1)
        e_BC: Tensor = (z_BCN * shares_BN1.transpose(1, 2)).sum(dim=2)
        return e_BC


class LinearSoftmax(Pool):
    """The mean of the frames' probabilities p, each weighted by itself: sum p^2 / sum p.

    Everything is done with logarithms, so that sure decisions keep their slope. Where classes exclude each other, p is
    the softmax of a frame, and what is returned are the logarithms of the clip's values, which do not sum to one.

    Source: Wang et al. 2018 (arXiv 1810.09050), table 1.
    """

    pools_decisions = True

    def __init__(self, num_channels: int, *, is_exclusive: bool) -> None:
        """Make a pool.

        Args:
            num_channels: C, which the head takes as it is.
            is_exclusive: Whether classes exclude each other.
        """
        super().__init__(num_channels)
        self.is_exclusive = is_exclusive

    def forward(self, logits_BLN: Tensor) -> Tensor:
        """Return logits [B, L] of a clip from those of its frames [B, L, N]."""
        logits_BLN = logits_BLN.float()
        if self.is_exclusive:
            log_p_BLN = logits_BLN.log_softmax(dim=1)
            return (2 * log_p_BLN).logsumexp(dim=2) - log_p_BLN.logsumexp(dim=2)
        log_p_BLN, log_not_p_BLN = functional.logsigmoid(logits_BLN), functional.logsigmoid(-logits_BLN)
        # The logit of the clip, log(P / (1 - P)): both have the denominator sum p.
        return (2 * log_p_BLN).logsumexp(dim=2) - (log_p_BLN + log_not_p_BLN).logsumexp(dim=2)


def make_pool(name: str, num_channels: int, *, is_exclusive: bool) -> Pool:
    """Return a pool with random weights, if it has any.

    Args:
        name: One of `model.pool`.
        num_channels: C.
        is_exclusive: Whether classes exclude each other.
    """
    if name == "linear_softmax":
        return LinearSoftmax(num_channels, is_exclusive=is_exclusive)
    return {"mean": Mean, "max_mean": MaxMean, "statistics": Statistics, "attention": Attention}[name](num_channels)
