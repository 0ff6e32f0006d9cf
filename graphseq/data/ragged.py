"""Lists of unequal length, stored as values and offsets."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class Ragged(NamedTuple):
    """N lists of item ids: list n is ``items[ptr[n]:ptr[n + 1]]``.

    Attributes:
        items: All lists, concatenated, (M,).
        ptr: Start of each list, and the end of the last, (N+1,).
    """

    items: Int[Tensor, "M"]
    ptr: Int[Tensor, "N1"]

    @property
    def lengths(self) -> Int[Tensor, "N"]:
        """Number of items in each list, (N,)."""
        return self.ptr.diff()

    @property
    def rows(self) -> Int[Tensor, "M"]:
        """Index of the list that each item belongs to, (M,)."""
        return torch.repeat_interleave(self.lengths)

    def distinct(self) -> "Ragged":
        """The lists without duplicates, each sorted ascending."""
        if not len(self.items):
            return self
        span = int(self.items.max()) + 1
        keys = (self.rows * span + self.items).unique()
        counts = (keys // span).bincount(minlength=len(self.ptr) - 1)
        return Ragged(keys % span, torch.cat([self.ptr[:1], counts.cumsum(0)]))

    def joined(self, other: "Ragged") -> "Ragged":
        """Each list followed by the list of the same index in the other."""
        rows = torch.cat([self.rows, other.rows])
        items = torch.cat([self.items, other.items])
        return Ragged(items[rows.argsort(stable=True)], self.ptr + other.ptr)

    def take(self, rows: Int[Tensor, "n"]) -> "Ragged":
        """The lists with the given indices, in that order."""
        lengths = self.lengths[rows]
        ptr = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shift = torch.repeat_interleave(self.ptr[rows] - ptr[:-1], lengths)
        return Ragged(self.items[torch.arange(len(shift)) + shift], ptr)

    def between(self, start: int, stop: int) -> "Ragged":
        """Lists ``start`` to ``stop - 1``; the items are not copied."""
        ptr = self.ptr[start : stop + 1]
        first, last = int(ptr[0]), int(ptr[-1])
        return Ragged(self.items[first:last], ptr - first)

    def padded(self, fill: int) -> Int[Tensor, "N H"]:
        """The lists as a table, padded on the right with ``fill``, (N, H)."""
        lengths = self.lengths
        steps = torch.arange(int(lengths.max()) if len(lengths) else 0)
        table = self.items.new_full((len(lengths), len(steps)), fill)
        table[steps < lengths[:, None]] = self.items
        return table
