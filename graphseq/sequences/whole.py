"""Sequences as a whole, where a model learns from more than the item that follows."""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from graphseq.sequences.batch import Batch


def append(batch: Batch, items: Int[Tensor, "B"], max_length: int) -> Batch:
    """One item more at the end of every row, of which the newest are kept.

    Args:
        batch: Sequences; they are left as they are.
        items: What follows each row; ``V`` makes a masked place.
        max_length: Items kept of a row.

    Returns:
        A batch without targets and negatives.
    """
    filler = torch.full_like(batch.items[:, :1], batch.num_items)
    longer = torch.cat([batch.items, filler], dim=1)
    rows = torch.arange(len(batch), device=items.device)
    longer[rows, batch.lengths] = items
    lengths = (batch.lengths + 1).clamp(max=max_length)
    places = torch.arange(min(longer.shape[1], max_length), device=items.device)
    start = batch.lengths + 1 - lengths
    kept = longer.gather(1, start[:, None] + places)
    return replace(batch, items=kept, lengths=lengths, targets=None, negatives=None)


def whole(batch: Batch, max_length: int) -> Batch:
    """Each row of a training batch with its last target, of which the newest are kept.

    Raises:
        ValueError: The batch holds no targets.
    """
    if batch.targets is None:
        raise ValueError("this batch holds no targets to complete its rows with")
    last = batch.targets.gather(1, (batch.lengths - 1).clamp(min=0)[:, None])
    return append(batch, last[:, 0], max_length)


def split_at_random(batch: Batch) -> tuple[Batch, Batch, Int[Tensor, "B"]]:
    """Cut each row at a random place: what came before, and what comes, newest first.

    Of n items, the first t are the past, t uniform in 1 … n - 2 (1 for n = 2); the
    others are the future, reversed.

    Source:
        Ma et al., "Disentangled Self-Supervision …", KDD 2020, section 3.2.

    Args:
        batch: Rows of two items or more.

    Returns:
        The past, the future, and the item right after each cut.
    """
    device, n = batch.items.device, batch.lengths
    chance = torch.rand(len(batch), device=device)
    spots = (n - 2).clamp(min=1)
    t = 1 + (chance * spots).long().minimum(spots - 1)
    steps = torch.arange(batch.items.shape[1], device=device)
    before = batch.items.masked_fill(steps >= t[:, None], batch.num_items)
    backwards = (n[:, None] - 1 - steps).clamp(min=0)
    after = batch.items.gather(1, backwards)
    after = after.masked_fill(steps >= (n - t)[:, None], batch.num_items)
    following = batch.items.gather(1, t[:, None])[:, 0]
    past = replace(batch, items=before, lengths=t, targets=None, negatives=None)
    future = replace(past, items=after, lengths=n - t)
    return past, future, following
