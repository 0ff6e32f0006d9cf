"""Items hidden from a sequence, and items that do not belong in it."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from graphseq.sequences.batch import Batch


def hide(batch: Batch, places: Bool[Tensor, "B L"]) -> Batch:
    """The same sequences with some places masked: the id V, within the length."""
    hidden = places & batch.mask
    return replace(batch, items=batch.items.masked_fill(hidden, batch.num_items))


def last_place(batch: Batch) -> Bool[Tensor, "B L"]:
    """True at the last item of every row that has one."""
    steps = torch.arange(batch.items.shape[1], device=batch.items.device)
    return steps == batch.lengths[:, None] - 1


def bernoulli_mask(batch: Batch, rate: float) -> Bool[Tensor, "B L"]:
    """Each item with probability ``rate``, independently; perhaps none of a row."""
    return (torch.rand(batch.items.shape, device=batch.items.device) < rate) & (
        batch.mask
    )


def counted_places(
    batch: Batch, rate: float, most: int | None = None
) -> Bool[Tensor, "B L"]:
    """A fixed share of every row: of n items, ``rate`` n rounded half up, at least 1.

    Args:
        batch: Sequences.
        rate: Share of the items.
        most: Limit of the number in a row; ``None``: none.
    """
    count = (rate * batch.lengths + 0.5).long().clamp(min=1, max=most)
    key = torch.rand(batch.items.shape, device=batch.items.device)
    key = key.masked_fill(~batch.mask, torch.inf)
    rank = key.argsort(dim=1).argsort(dim=1)
    return (rank < count[:, None]) & batch.mask


def segment(batch: Batch) -> Bool[Tensor, "B L"]:
    """A random run of 1 … ⌊n/2⌋ items of every row of n items (of 1 if n is 1).

    Source:
        Zhou et al., S3-Rec, CIKM 2020, section 4.2.4, as its code draws them.
    """
    n = batch.lengths
    chance = torch.rand(2, len(batch), device=n.device)
    longest = (n // 2).clamp(min=1)
    size = 1 + (chance[0] * longest).long().minimum(longest - 1)
    spots = (n - size + 1).clamp(min=1)
    first = (chance[1] * spots).long().minimum(spots - 1)
    steps = torch.arange(batch.items.shape[1], device=n.device)
    within = (steps >= first[:, None]) & (steps < (first + size)[:, None])
    return within & batch.mask


def swap(batch: Batch, places: Bool[Tensor, "B L"], flat: Int[Tensor, "E"]) -> Batch:
    """Put as long a run of someone's events in the place of a segment of each row.

    Args:
        batch: Sequences.
        places: One run of places in every row.
        flat: The items of all sequences, one after another; a run may span two users.
    """
    size = places.sum(dim=1)
    spots = (len(flat) - size + 1).clamp(min=1)
    chance = torch.rand(len(batch), device=size.device)
    start = (chance * spots).long().minimum(spots - 1)
    steps = places.cumsum(dim=1) - 1
    source = (start[:, None] + steps).clamp(min=0, max=len(flat) - 1)
    return replace(batch, items=torch.where(places, flat[source], batch.items))


def sample_negatives(batch: Batch) -> Int[Tensor, "B L"]:
    """For every place an item that its row does not hold, uniformly.

    Exact, without rejection: the r-th item of those outside a row is found by counting
    how many of the row's own come before it. A row that holds all items gets any.
    """
    fill = batch.num_items
    own = batch.items.masked_fill(~batch.mask, fill).sort(dim=1).values
    again = torch.zeros_like(own, dtype=torch.bool)
    again[:, 1:] = own[:, 1:] == own[:, :-1]
    own = own.masked_fill(again, fill).sort(dim=1).values
    held = (own < fill).sum(dim=1, keepdim=True)
    outside = (fill - held).clamp(min=1)
    chance = torch.rand(own.shape, dtype=torch.float64, device=own.device)
    r = (chance * outside).long().minimum(outside - 1)
    before = own - torch.arange(own.shape[1], device=own.device)
    before = before.masked_fill(own == fill, fill)
    passed = torch.searchsorted(before.contiguous(), r.contiguous(), right=True)
    return (r + passed).clamp(max=fill - 1)
