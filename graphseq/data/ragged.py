"""Lists of unequal length, one a user, held as values and offsets."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class Ragged(NamedTuple):
    """N lists of item ids: list n is ``items[ptr[n]:ptr[n + 1]]``.

    Attributes:
        items: Every list, one after the other, (M,).
        ptr: Where each list begins, and the end of the last, (N+1,).
    """

    items: Int[Tensor, "M"]
    ptr: Int[Tensor, "N1"]

    @property
    def lengths(self) -> Int[Tensor, "N"]:
        """Items in each list, (N,)."""
        return self.ptr.diff()

    @property
    def rows(self) -> Int[Tensor, "M"]:
        """The list that each item stands in, (M,)."""
        return torch.repeat_interleave(self.lengths)

    def distinct(self) -> "Ragged":
        """The same lists as sets: every item once, ascending."""
        if not len(self.items):
            return self
        span = int(self.items.max()) + 1
        keys = (self.rows * span + self.items).unique()
        counts = (keys // span).bincount(minlength=len(self.ptr) - 1)
        return Ragged(keys % span, torch.cat([self.ptr[:1], counts.cumsum(0)]))

    def take(self, rows: Int[Tensor, "n"]) -> "Ragged":
        """The lists of some rows, in the order asked for."""
        lengths = self.lengths[rows]
        ptr = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shift = torch.repeat_interleave(self.ptr[rows] - ptr[:-1], lengths)
        return Ragged(self.items[torch.arange(len(shift)) + shift], ptr)

    def between(self, start: int, stop: int) -> "Ragged":
        """Lists ``start`` to ``stop - 1``, without copying them."""
        ptr = self.ptr[start : stop + 1]
        first, last = int(ptr[0]), int(ptr[-1])
        return Ragged(self.items[first:last], ptr - first)

    def padded(self, fill: int) -> Int[Tensor, "N H"]:
        """The lists side by side, filled up on the right to the longest, (N, H)."""
        lengths = self.lengths
        steps = torch.arange(int(lengths.max()) if len(lengths) else 0)
        table = self.items.new_full((len(lengths), len(steps)), fill)
        table[steps < lengths[:, None]] = self.items
        return table
