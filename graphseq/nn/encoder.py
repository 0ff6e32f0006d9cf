"""The interface of the sequence encoders."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.schema import Configurable


class Encoder(Configurable, nn.Module, ABC):
    """States (B, L, D) from item vectors (B, L, D), each from a prefix of its row.

    Model-agnostic methods take any encoder: a ``Transformer``, a ``GRU``, a
    ``Convolution``, or your own.

    Attributes:
        dim: D, of the input and of the states.
        max_length: Longest sequence that it accepts; ``None``: any.
    """

    dim: int
    max_length: int | None = None

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """The state at each position, from this position and those before it.

        Args:
            x: Item vectors.
            mask: True at real items, which come first.

        Returns:
            The states; zero at padding.
        """

    def last(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item; zero for an empty row."""
        return last_state(self(x, mask), mask)


def last_state(
    states: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
) -> Float[Tensor, "B D"]:
    """The state at each row's last real position; zero for an empty row."""
    rows = torch.arange(len(states), device=states.device)
    found = states[rows, (mask.sum(dim=1) - 1).clamp(min=0)]
    return found * mask.any(dim=1, keepdim=True)
