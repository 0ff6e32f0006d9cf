"""Targets further on than the next item."""

from dataclasses import replace

import torch
from torch import Tensor

from graphseq.sequences.batch import Batch


def ahead(batch: Batch, steps: int) -> Batch:
    """A batch over again for each step: in copy s, a place asks for s items further on.

    Every pair of a place and one of the targets up to ``steps - 1`` places after it is
    asked for in some row once, if the windows of a long sequence overlap so far.
    """

    def shifted(tensor: Tensor, step: int) -> Tensor:
        rest = torch.full_like(tensor[:, :step], batch.num_items)
        return torch.cat([tensor[:, step:], rest], dim=1)

    def copies(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return torch.cat([shifted(tensor, step) for step in range(steps)])

    return replace(
        batch,
        user=batch.user.repeat(steps),
        items=batch.items.repeat(steps, 1),
        lengths=batch.lengths.repeat(steps),
        targets=copies(batch.targets),
        negatives=copies(batch.negatives),
        example=None,
    )
