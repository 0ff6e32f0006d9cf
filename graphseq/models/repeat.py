"""Repeat: the user's own history first, then the most popular items."""

from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.direct import DirectModel
from graphseq.models.scoring import Blocks, Scorer, rows_of_block, width
from graphseq.schema import Fraction, Size
from graphseq.sequences.batch import Batch

Order = Literal["recency", "decay", "count"]


@final
class Repeat(DirectModel):
    r"""The items of the user's history, then all others by popularity.

    A baseline for logs in which users choose items again: a model that is evaluated
    with the history kept should exceed it. With the history excluded it is
    :class:`POP`. It has no parameters; all scores of a user differ.

    Items of the history are ordered by their last occurrence, newest first
    (``recency``); by the sum of :math:`γ^{a}` over their occurrences, a events before
    the end (``decay``); or by the number of occurrences (``count``). Ties go to the
    newer item. Other items are ordered by their number of training events, ties by
    ascending id.

    Args:
        num_users: U.
        num_items: V.
        order: How the history is ordered.
        decay: γ of ``decay``; 0 is ``recency``, 1 is ``count``.
    """

    requires = (INTERACTS,)

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        order: Order = "recency",
        decay: Fraction = 0.9,
    ) -> None:
        super().__init__()
        self.num_users = num_users
        self.num_items = num_items
        self.order: Order = order
        self.decay = decay

    def scorer(self, graph: HeteroData) -> Scorer:
        """Ranks as scores: 1 to V by popularity, and above V for the history."""
        item = graph[INTERACTS].edge_index[1]
        counts = torch.bincount(item, minlength=self.num_items)
        best = counts.argsort(descending=True, stable=True)
        popular = torch.empty(self.num_items, device=item.device)
        popular[best] = torch.arange(
            self.num_items, 0, -1, device=item.device, dtype=popular.dtype
        )
        rate = {"recency": 0.0, "decay": self.decay, "count": 1.0}[self.order]
        return RepeatScorer(popular, rate)


class RepeatScorer(Scorer):
    """Scores of :class:`Repeat`.

    Args:
        popular: Score of every item outside the history: V for the most popular one,
            down to 1.
        decay: γ.
    """

    def __init__(self, popular: Float[Tensor, "V"], decay: float) -> None:
        self.popular, self.decay = popular, decay
        self.num_items, self.device = len(popular), popular.device

    def blocks(self, batch: Batch) -> Blocks:
        """As :meth:`.Scorer.blocks`; whole numbers, exact in float32."""
        row, item, rank = own_ranks(batch, self.decay)
        columns = width(self.num_items)
        step = rows_of_block(columns, self.device)
        buffer = self.popular.new_empty(min(step, len(batch)), columns)
        for first in range(0, len(batch), step):
            scores = buffer[: min(step, len(batch) - first)]
            scores[:, : self.num_items] = self.popular
            scores[:, self.num_items :] = -torch.inf
            ends = row.new_tensor([first, first + len(scores)])
            here = slice(*torch.searchsorted(row, ends).tolist())
            own = (self.num_items + rank[here]).to(scores.dtype)
            scores[row[here] - first, item[here]] = own
            yield first, scores


def own_ranks(
    batch: Batch, decay: float
) -> tuple[Int[Tensor, "P"], Int[Tensor, "P"], Int[Tensor, "P"]]:
    """Each distinct item of each row, and its rank in the row's history.

    Args:
        batch: The histories.
        decay: γ.

    Returns:
        Row, item and rank; the largest rank of a row is its number of distinct items,
        and that of its best item.
    """
    items, lengths = batch.items.cpu(), batch.lengths.cpu()
    row, position = ((items < batch.num_items) & batch.mask.cpu()).nonzero(
        as_tuple=True
    )
    pair, place = torch.unique(
        row * batch.num_items + items[row, position], return_inverse=True
    )
    age = lengths[row] - 1 - position
    weight = torch.zeros(len(pair), dtype=torch.float64)
    weight.index_add_(0, place, torch.tensor(decay, dtype=weight.dtype) ** age)
    newest = torch.zeros_like(pair).scatter_reduce_(0, place, position, "amax")
    row, item = pair // batch.num_items, pair % batch.num_items
    order = np.lexsort((newest.numpy(), weight.numpy(), row.numpy()))
    row, item = row[order], item[order]
    rank = torch.arange(len(row)) - torch.searchsorted(row, row) + 1
    return tuple(found.to(batch.items.device) for found in (row, item, rank))  # type: ignore[return-value]
