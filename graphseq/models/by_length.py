"""Sequences of any length through an encoder, without much padding."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from graphseq.sequences.batch import Batch

Read = Callable[[Batch], Tensor]


def by_length(
    read: Read, batch: Batch, *, parts: int = 8, worth: float = 0.7
) -> Float[Tensor, "B *rest"]:
    """What ``read`` makes of every row, the rows read in parts of similar length.

    Where rows of any length meet (users in random order, retrieved sequences), one of
    50 items would make 255 rows of five as wide as itself. Where a pass costs more than
    padding, on a GPU or compiled, and where the rows are of one length anyway, there is
    one part.

    Args:
        read: Makes a state of every row, (b, D), or of every place of it, (b, l, D), of
            a batch of b rows and l places.
        batch: B sequences, of any length.
        parts: Passes at most, each as wide as its own longest row; none is of fewer
            than 16 rows, unless the batch is.
        worth: Share of the batch's places, padding included, that the parts may have
            together if they are to be worth their passes.

    Returns:
        As ``read`` would have it of the whole batch; zeros where padding was not read.
    """
    parts = min(parts, len(batch) // 16)
    if parts < 2 or batch.items.device.type != "cpu" or torch.compiler.is_compiling():
        return read(batch)
    order = batch.lengths.argsort()
    chunks = order.chunk(parts)
    widest = [max(1, int(batch.lengths[rows[-1]])) for rows in chunks]
    places = sum(len(rows) * w for rows, w in zip(chunks, widest, strict=True))
    if places > worth * batch.items.numel():
        return read(batch)
    states = []
    for rows, width in zip(chunks, widest, strict=True):
        found = read(_part(batch, rows, width))
        if found.dim() == 3:
            found = F.pad(found, (0, 0, 0, batch.items.shape[1] - width))
        states.append(found)
    return torch.cat(states)[order.argsort()]


def _part(batch: Batch, rows: Tensor, width: int) -> Batch:
    """Some rows of a batch, cut to the longest of them; nothing is asked of them."""
    return replace(
        batch,
        user=batch.user[rows],
        items=batch.items[rows, :width],
        lengths=batch.lengths[rows],
        targets=None,
        negatives=None,
        example=None,
    )
