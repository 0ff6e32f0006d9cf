"""What turns a sequence of item vectors into states: the contract of the encoders."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.schema import Configurable


class Encoder(Configurable, nn.Module, ABC):
    """States (B, L, D) from item vectors (B, L, D), each from what stands before it.

    Any model that is "model-agnostic" in its paper takes one: a ``Transformer``, a
    ``GRU``, a ``Convolution``, or one of your own.

    Attributes:
        dim: D, of what it reads and of the states.
        max_length: Longest sequence that it reads; ``None``: any.
    """

    dim: int
    max_length: int | None = None

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """The state at every place, which reads that place and those before it.

        Args:
            x: Item vectors.
            mask: True at real items, which stand to the left.

        Returns:
            The states; zero at padded places.
        """

    def last(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item; zero for an empty row."""
        return last_state(self(x, mask), mask)


def last_state(
    states: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
) -> Float[Tensor, "B D"]:
    """Of every row, the state at its last real place; zero for an empty row."""
    rows = torch.arange(len(states), device=states.device)
    found = states[rows, (mask.sum(dim=1) - 1).clamp(min=0)]
    return found * mask.any(dim=1, keepdim=True)
