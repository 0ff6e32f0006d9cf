"""Masking: hidden items, segments, and sampled replacements (BERT4Rec, S3-Rec)."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from graphseq.sequences.batch import Batch


def hide(batch: Batch, positions: Bool[Tensor, "B L"]) -> Batch:
    """Mask some positions: they hold the id V, within the row's length."""
    hidden = positions & batch.mask
    return replace(batch, items=batch.items.masked_fill(hidden, batch.num_items))


def last_position(batch: Batch) -> Bool[Tensor, "B L"]:
    """True at the last item of every row."""
    steps = torch.arange(batch.items.shape[1], device=batch.items.device)
    return steps == batch.lengths[:, None] - 1


def bernoulli_mask(batch: Batch, rate: float) -> Bool[Tensor, "B L"]:
    """Each item with probability ``rate``, independently; possibly none of a row."""
    return (torch.rand(batch.items.shape, device=batch.items.device) < rate) & (
        batch.mask
    )


def count_mask(
    batch: Batch, rate: float, most: int | None = None
) -> Bool[Tensor, "B L"]:
    """A fixed number of every row: ``rate`` n, rounded half up, at least 1.

    Args:
        batch: Sequences.
        rate: Fraction of the items.
        most: Largest number in a row; ``None``: no limit.
    """
    count = (rate * batch.lengths + 0.5).long().clamp(min=1, max=most)
    key = torch.rand(batch.items.shape, device=batch.items.device)
    key = key.masked_fill(~batch.mask, torch.inf)
    rank = key.argsort(dim=1).argsort(dim=1)
    return (rank < count[:, None]) & batch.mask


def segment_mask(batch: Batch) -> Bool[Tensor, "B L"]:
    """A random run of 1 … ⌊n/2⌋ items of every row of n items (of 1 if n is 1).

    Source:
        Zhou et al., S3-Rec, CIKM 2020, section 4.2.4, as drawn in its code.
    """
    n = batch.lengths
    chance = torch.rand(2, len(batch), device=n.device)
    longest = (n // 2).clamp(min=1)
    size = 1 + (chance[0] * longest).long().minimum(longest - 1)
    choices = (n - size + 1).clamp(min=1)
    first = (chance[1] * choices).long().minimum(choices - 1)
    steps = torch.arange(batch.items.shape[1], device=n.device)
    within = (steps >= first[:, None]) & (steps < (first + size)[:, None])
    return within & batch.mask


def swap_segment(
    batch: Batch, positions: Bool[Tensor, "B L"], flat: Int[Tensor, "E"]
) -> Batch:
    """Replace a segment of each row by a run of other events of the same length.

    Args:
        batch: Sequences.
        positions: One run of positions in every row.
        flat: The items of all sequences, concatenated; a run may span two users.
    """
    size = positions.sum(dim=1)
    choices = (len(flat) - size + 1).clamp(min=1)
    chance = torch.rand(len(batch), device=size.device)
    start = (chance * choices).long().minimum(choices - 1)
    steps = positions.cumsum(dim=1) - 1
    source = (start[:, None] + steps).clamp(min=0, max=len(flat) - 1)
    return replace(batch, items=torch.where(positions, flat[source], batch.items))


def sample_negatives(batch: Batch) -> Int[Tensor, "B L"]:
    """For every position, a uniform sample of the items that its row does not hold.

    Exact, without rejection: the r-th item outside a row is found by counting the row's
    own items before it. A row that holds all items gets any item.
    """
    fill = batch.num_items
    own = batch.items.masked_fill(~batch.mask, fill).sort(dim=1).values
    repeated = torch.zeros_like(own, dtype=torch.bool)
    repeated[:, 1:] = own[:, 1:] == own[:, :-1]
    own = own.masked_fill(repeated, fill).sort(dim=1).values
    held = (own < fill).sum(dim=1, keepdim=True)
    outside = (fill - held).clamp(min=1)
    chance = torch.rand(own.shape, dtype=torch.float64, device=own.device)
    r = (chance * outside).long().minimum(outside - 1)
    before = own - torch.arange(own.shape[1], device=own.device)
    before = before.masked_fill(own == fill, fill)
    passed = torch.searchsorted(before.contiguous(), r.contiguous(), right=True)
    return (r + passed).clamp(max=fill - 1)
