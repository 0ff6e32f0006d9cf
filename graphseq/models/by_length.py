"""Encode the rows of a batch in parts of similar length."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from graphseq.sequences.batch import Batch


def by_length(
    encode: Callable[[Batch, Tensor | slice], Tensor],
    batch: Batch,
    *,
    parts: int = 8,
    worth: float = 0.7,
) -> Float[Tensor, "B *rest"]:
    """Encode the rows of a batch in parts of similar length, to save padding.

    In a batch of unsorted rows, one row of 50 items pads 255 rows of five items to its
    own width. A batch is encoded whole where a pass costs more than padding (on a GPU,
    or compiled), and where its rows have similar lengths anyway.

    Args:
        encode: Takes a batch of b rows and l positions and which rows these are.
            Returns a state for every row, (b, D), or for every position, (b, l, D).
        batch: B sequences of any length.
        parts: Largest number of passes; each has 16 rows or more, if the batch has.
        worth: Largest fraction of the batch's positions, padding included, that the
            parts may have together to be worth their passes.

    Returns:
        What ``encode`` returns for the whole batch; zeros at padding that was not read.
    """
    if torch.compiler.is_compiling() or batch.items.device.type != "cpu":
        return encode(batch, slice(None))
    parts = min(parts, len(batch) // 16)
    if parts < 2:
        return encode(batch, slice(None))
    order = batch.lengths.argsort()
    chunks = order.chunk(parts)
    widths = [max(1, int(batch.lengths[rows[-1]])) for rows in chunks]
    positions = sum(len(rows) * w for rows, w in zip(chunks, widths, strict=True))
    if positions > worth * batch.items.numel():
        return encode(batch, slice(None))
    states = []
    for rows, width in zip(chunks, widths, strict=True):
        state = encode(_rows(batch, rows, width), rows)
        if state.dim() == 3:
            state = F.pad(state, (0, 0, 0, batch.items.shape[1] - width))
        states.append(state)
    return torch.cat(states)[order.argsort()]


def _rows(batch: Batch, rows: Tensor, width: int) -> Batch:
    """Some rows of a batch, without targets, cut to their longest."""
    return replace(
        batch,
        user=batch.user[rows],
        items=batch.items[rows, :width],
        lengths=batch.lengths[rows],
        targets=None,
        negatives=None,
        example=None,
        views=None,
    )
