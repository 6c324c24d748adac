"""What all networks have in common: features over frames, a pool, a head.

Shape letters: B clips of a batch, C channels, N frames, M bins, E values of an embedding, L classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from audioprep.model.pools import Pool, make_pool


@dataclass(frozen=True)
class Sides:
    """What a network is made to fit.

    Attributes:
        num_channels: C of its input, as the front gives it.
        num_frames: N of its input; a network also takes clips of other lengths.
        num_bins: M of its input.
        num_classes: L of its output.
        is_exclusive: Whether classes exclude each other.
        pool: One of `model.pool`.
        config: What a published network of more than one size is made by; None: it has one size, or its best-known one.
    """

    num_channels: int
    num_frames: int
    num_bins: int
    num_classes: int
    is_exclusive: bool = True
    pool: str = "max_mean"
    config: Mapping[str, Any] | None = None

    def make_pool(self, num_channels: int) -> Pool:
        """Return the pool for features of so many channels."""
        return make_pool(self.pool, num_channels, is_exclusive=self.is_exclusive)


class Trunk(nn.Module, ABC):
    """A network from the front's output to logits; a subclass sets `pool` and has the three abstract parts.

    Attributes:
        head_name: The layer that decides on classes; it is new where a checkpoint has others.
        min_side: Fewest frames and bins of its input.
        pool: Makes a clip's embedding of its frames'.
        config: What it was made by, where the rule does not say it.
    """

    head_name = "head"
    min_side = 1
    pool: Pool
    config: Mapping[str, Any] | None = None
    _is_body_frozen = False

    @abstractmethod
    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features over frames [B, C', N'], N' at the network's own frame rate."""

    @abstractmethod
    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L] of embeddings [..., E]."""

    def forward(self, x_BCNM: Tensor) -> Tensor:
        """Return logits [B, L]."""
        return self.head_of(self.frames(x_BCNM))

    def head_of(self, z_BCN: Tensor) -> Tensor:
        """Return logits [B, L] of features over frames."""
        if self.pool.pools_decisions:
            logits_BL: Tensor = self.pool(self.classify(z_BCN.transpose(1, 2)).transpose(1, 2))
            return logits_BL
        return self.classify(self.pool(z_BCN))

    def frame_logits(self, x_BCNM: Tensor) -> Tensor:
        """Return logits [B, N', L]: each frame judged as a clip of that frame alone."""
        z_BCN = self.frames(x_BCNM)
        return self.classify(z_BCN.transpose(1, 2) if self.pool.pools_decisions else self.pool.of_frames(z_BCN))

    def fitted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a checkpoint's weights with those brought to this network's input that depend on its length."""
        return weights

    def freeze_body(self) -> None:
        """Leave only the head and the weights of the pool to be trained; dropout and batch norms stand still."""
        self.requires_grad_(requires_grad=False)
        self.get_submodule(self.head_name).requires_grad_()
        self.pool.requires_grad_()
        self._is_body_frozen = True
        self.eval()

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch has it so
        """Switch to training, unless the body is frozen: batch norms would go on learning otherwise."""
        return super().train(mode and not self._is_body_frozen)
