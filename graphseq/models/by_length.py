"""Sequences of any length through an encoder, without much padding."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from graphseq.models.backbone import Backbone
from graphseq.sequences.batch import Batch


def last_by_length(
    backbone: Backbone, table: Float[Tensor, "V D"], batch: Batch, *, parts: int = 8
) -> Float[Tensor, "B D"]:
    """The state at each row's last item, the rows read in parts of similar length.

    The loader's rows are of similar length, but what is retrieved for them is not, and
    one row of 50 items would make 255 rows of five as wide as itself.

    Args:
        backbone: What reads them.
        table: The item vectors.
        batch: B sequences, of any length.
        parts: Passes, each as wide as its own longest row. Where a pass costs more than
            padding, on a GPU, there is one.
    """
    if batch.items.device.type != "cpu":
        return backbone.last(table, batch)
    order = batch.lengths.argsort()
    states = []
    for rows in order.chunk(parts):
        lengths = batch.lengths[rows]
        width = max(1, int(lengths[-1]))
        part = replace(
            batch,
            user=batch.user[rows],
            items=batch.items[rows, :width],
            lengths=lengths,
            targets=None,
            negatives=None,
            example=None,
        )
        states.append(backbone.last(table, part))
    return torch.cat(states)[order.argsort()]
