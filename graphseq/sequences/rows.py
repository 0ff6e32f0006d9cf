"""Batches made of the rows of a batch: cut, extended, shifted or split."""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from graphseq.sequences.batch import Batch


def with_items(
    batch: Batch, items: Int[Tensor, "B L"], lengths: Int[Tensor, "B"] | None = None
) -> Batch:
    """The batch with other items, without targets and negatives."""
    lengths = batch.lengths if lengths is None else lengths
    return replace(
        batch, items=items, lengths=lengths, targets=None, negatives=None, views=None
    )


def newest(batch: Batch, max_length: int) -> Batch:
    """The newest ``max_length`` items of every row.

    A batch that is cut has no targets and negatives; a short one stays as it is.
    """
    if batch.items.shape[1] <= max_length:
        return batch
    lengths = batch.lengths.clamp(max=max_length)
    steps = torch.arange(max_length, device=lengths.device)
    items = batch.items.gather(1, (batch.lengths - lengths)[:, None] + steps)
    items = items.masked_fill(steps >= lengths[:, None], batch.num_items)
    return with_items(batch, items, lengths)


def append(batch: Batch, items: Int[Tensor, "B"], max_length: int) -> Batch:
    """Append one item to every row, and keep the newest ``max_length`` items.

    Args:
        batch: Sequences.
        items: The item that follows each row; ``V`` appends a masked position.
        max_length: Items kept of a row.

    Returns:
        A batch without targets and negatives.
    """
    padding = torch.full_like(batch.items[:, :1], batch.num_items)
    longer = torch.cat([batch.items, padding], dim=1)
    rows = torch.arange(items.shape[0], device=items.device)
    longer[rows, batch.lengths] = items
    lengths = (batch.lengths + 1).clamp(max=max_length)
    positions = torch.arange(min(longer.shape[1], max_length), device=items.device)
    start = batch.lengths + 1 - lengths
    kept = longer.gather(1, start[:, None] + positions)
    return with_items(batch, kept, lengths)


def full_sequences(batch: Batch, max_length: int) -> Batch:
    """Each row of a training batch with its last target appended.

    Args:
        batch: Sequences with targets.
        max_length: Newest items kept of a row.

    Raises:
        ValueError: The batch has no targets.
    """
    return append(batch, last_targets(batch), max_length)


def last_targets(batch: Batch) -> Int[Tensor, "B"]:
    """The target of each row's last position.

    Raises:
        ValueError: The batch has no targets.
    """
    if batch.targets is None:
        raise ValueError("this batch has no targets; cut it with a SequenceLoader")
    return batch.targets.gather(1, (batch.lengths - 1).clamp(min=0)[:, None])[:, 0]


def multi_step_targets(batch: Batch, steps: int) -> Batch:
    """The batch once for each step; in copy s, targets lie s items further on.

    Every pair of a position and one of the targets up to ``steps - 1`` positions after
    it occurs in some row once, if the windows of a long sequence overlap that far.

    Args:
        batch: B sequences with targets.
        steps: How many of the following items each position predicts.

    Returns:
        A batch of ``steps * B`` rows.
    """
    if steps == 1:
        return batch

    def shift(tensor: Tensor, step: int) -> Tensor:
        rest = torch.full_like(tensor[:, :step], batch.num_items)
        return torch.cat([tensor[:, step:], rest], dim=1)

    def shifted_copies(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return torch.cat([shift(tensor, step) for step in range(steps)])

    return replace(
        batch,
        user=batch.user.repeat(steps),
        items=batch.items.repeat(steps, 1),
        lengths=batch.lengths.repeat(steps),
        targets=shifted_copies(batch.targets),
        negatives=shifted_copies(batch.negatives),
        example=None,
    )


def split_at_random(batch: Batch) -> tuple[Batch, Batch, Int[Tensor, "B"]]:
    """Split each row at a random position into its past and its reversed future.

    Of n items, the first t are the past, t uniform in 1 … n - 2 (1 for n = 2); the
    others are the future, newest first.

    Source:
        Ma et al., "Disentangled Self-Supervision …", KDD 2020, section 3.2.

    Args:
        batch: Rows of two items or more.

    Returns:
        The past, the future, and the first item of the future.
    """
    device, n = batch.items.device, batch.lengths
    chance = torch.rand(len(batch), device=device)
    choices = (n - 2).clamp(min=1)
    t = 1 + (chance * choices).long().minimum(choices - 1)
    steps = torch.arange(batch.items.shape[1], device=device)
    past = batch.items.masked_fill(steps >= t[:, None], batch.num_items)
    backwards = (n[:, None] - 1 - steps).clamp(min=0)
    future = batch.items.gather(1, backwards)
    future = future.masked_fill(steps >= (n - t)[:, None], batch.num_items)
    following = batch.items.gather(1, t[:, None])[:, 0]
    return with_items(batch, past, t), with_items(batch, future, n - t), following
