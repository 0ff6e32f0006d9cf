"""Scores for users without any event: the training events of each item."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from graphseq.models.scoring import Blocks, Scorer, rows_of_block, width


class Popularity(Scorer):
    """The same scores for every row.

    Args:
        counts: Training events of each item, (V,).
    """

    def __init__(self, counts: Int[Tensor, "V"]) -> None:
        self.num_items, self.device = len(counts), torch.device("cpu")
        self._row = torch.full((width(len(counts)),), -torch.inf)
        self._row[: len(counts)] = counts.float()

    def blocks(self, batch: Any) -> Blocks:
        """As :meth:`Scorer.blocks`."""
        step = rows_of_block(len(self._row), self.device)
        for first in range(0, len(batch), step):
            yield first, self._row.repeat(min(step, len(batch) - first), 1)
