"""Random places of sequences: how many, and which."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from graphseq.sequences.batch import Batch


def share(
    lengths: Int[Tensor, "B"], rate: float, *, least: int = 0
) -> Int[Tensor, "B"]:
    """⌊rate n⌋ of n items, but ``least`` of them, and of none none.

    In double precision, so that it is what ``int(rate * n)`` gives.
    """
    count = (lengths.double() * rate).long()
    return count.clamp(min=least).minimum(lengths)


def uniform(spots: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """A random number of 0 … spots - 1 for every row; 0 where there are no spots."""
    chance = torch.rand(spots.shape, dtype=torch.float64, device=spots.device)
    return (chance * spots).long().minimum(spots - 1).clamp(min=0)


def some(batch: Batch, count: Int[Tensor, "B"]) -> Bool[Tensor, "B L"]:
    """``count`` distinct places of every row, each set of them equally likely."""
    key = torch.rand(batch.items.shape, dtype=torch.float64, device=batch.items.device)
    return lowest(key, batch.mask, count)


def lowest(
    key: Float[Tensor, "B L"], among: Bool[Tensor, "B L"], count: Int[Tensor, "B"]
) -> Bool[Tensor, "B L"]:
    """In every row, the ``count`` places of ``among`` with the lowest keys.

    Of equal keys, the earlier place counts as lower.
    """
    order = key.masked_fill(~among, torch.inf).argsort(dim=1, stable=True)
    return (order.argsort(dim=1) < count[:, None]) & among


def window(
    batch: Batch, start: Int[Tensor, "B"], count: Int[Tensor, "B"]
) -> Bool[Tensor, "B L"]:
    """The places ``start … start + count - 1`` of every row."""
    steps = torch.arange(batch.items.shape[1], device=batch.items.device)
    return (steps >= start[:, None]) & (steps < (start + count)[:, None])
