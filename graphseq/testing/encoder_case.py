"""An encoder, and the rows that the checks of encoders read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from graphseq.nn import Encoder
from graphseq.testing.suite import Suite

LENGTHS = (6, 3, 1, 2)


@dataclass(frozen=True)
class EncoderCase:
    """An encoder, and random rows of several lengths.

    Attributes:
        make: Returns a new encoder on each call.
    """

    make: Callable[[], Encoder]

    def new(self, seed: int = 0) -> Encoder:
        """A new encoder in evaluation mode."""
        torch.manual_seed(seed)
        return self.make().eval()

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that most checks read."""
        return self.new()

    @cached_property
    def mask(self) -> Tensor:
        """True at real items, (4, L)."""
        longest = min(LENGTHS[0], self.encoder.max_length or LENGTHS[0])
        lengths = torch.tensor(LENGTHS).clamp(max=longest)
        return torch.arange(longest) < lengths[:, None]

    @cached_property
    def x(self) -> Tensor:
        """Item vectors, zero at padding, (4, L, D)."""
        draws = torch.Generator().manual_seed(1)
        x = torch.randn(*self.mask.shape, self.encoder.dim, generator=draws)
        return x * self.mask[..., None]

    @torch.no_grad()
    def states(self) -> Tensor:
        """The states of the rows."""
        states: Tensor = self.encoder(self.x, self.mask)
        return states


ENCODER = Suite(EncoderCase)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest absolute difference; infinite for other shapes or NaN."""
    if found.shape != expected.shape:
        return float("inf")
    largest = (found - expected).abs().max().item() if found.numel() else 0.0
    return largest if largest == largest else float("inf")


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal up to float32 rounding."""
    return found.shape == expected.shape and torch.allclose(
        found, expected, rtol=1e-4, atol=1e-5
    )
