"""Which item is most similar to which, and views that rest on it: CoSeRec's part."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS
from graphseq.errors import ConfigError
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.similar import insert, substitute
from graphseq.sequences.views import crop, mask, random_views, reorder

Similarity = Literal["offline", "online", "hybrid"]
NAMES = ("insert", "substitute", "mask", "reorder", "crop")
PRESETS: dict[str, dict[str, Any]] = {
    "s3": {
        "sampler": "user",
        "loss": "bce",
        "pooling": "flatten",
        "transformer": {"positions": "end"},
    },
    "recbole": {"sampler": "prefix", "loss": "ce", "pooling": "last"},
}
DATA: dict[str, dict[str, Any]] = {
    "beauty": {
        "threshold": 12,
        "short": ("insert", "substitute", "mask", "reorder"),
        "insert_rate": 0.5,
        "substitute_rate": 0.05,
        "offline_epochs": 220,
    },
    "sports": {},
    "yelp": {"insert_rate": 0.5, "offline_epochs": 300},
}
"""What the two models that have these views set, by name and by data set."""


class Neighbours(NamedTuple):
    """The item most similar to each.

    Attributes:
        item: Its id; V where there is none, (V,).
        score: How similar, from 0 to 1 among all pairs; -inf where there is none, (V,).
    """

    item: Int[Tensor, "V"]
    score: Float[Tensor, "V"]


@torch.no_grad()
def from_graph(graph: HeteroData) -> Neighbours:
    """The neighbour on the graph's heaviest edge; of equals, that of the smallest id.

    Scores are the weights between their least and greatest, over all edges.
    """
    edges, number = graph[ITEM_CO_OCCURS], int(graph["item"].num_nodes)
    (node, other), weight = edges.edge_index, edges.edge_weight
    item = torch.full((number,), number, device=node.device)
    score = torch.full((number,), -torch.inf, device=node.device)
    if not len(weight):
        return Neighbours(item, score)
    score = score.scatter_reduce(0, node, weight, "amax")
    heaviest = weight == score[node]
    item = item.scatter_reduce(0, node[heaviest], other[heaviest], "amin")
    return Neighbours(item, _between(score, weight.min(), weight.max()))


@torch.no_grad()
def from_table(table: Float[Tensor, "V D"], *, block_rows: int = 1024) -> Neighbours:
    """The item with the greatest inner product, itself aside.

    Scores are the products between their least and greatest, over all pairs, an item
    with itself included.

    Args:
        table: Item vectors.
        block_rows: Rows multiplied at a time, so that V² numbers are never held.
    """
    item, score, low, high = [], [], [], []
    for start in range(0, len(table), block_rows):
        products = table[start : start + block_rows] @ table.T
        low.append(products.min())
        high.append(products.max())
        products.diagonal(start).fill_(-torch.inf)
        best = products.max(dim=1)
        item.append(best.indices)
        score.append(best.values)
    bounds = torch.stack(low).min(), torch.stack(high).max()
    return Neighbours(torch.cat(item), _between(torch.cat(score), *bounds))


def most_similar(
    graph: HeteroData, table: Float[Tensor, "V D"], how: Similarity
) -> Int[Tensor, "V"]:
    """The item most similar to each; V where there is none.

    ``offline`` asks the graph and ``online`` the vectors; ``hybrid`` takes the one of
    the two that has the larger score.
    """
    if how == "offline":
        return from_graph(graph).item
    online = from_table(table)
    if how == "online":
        return online.item
    offline = from_graph(graph)
    return torch.where(online.score > offline.score, online.item, offline.item)


class InformedViews:
    """Two views of every row, some of them by similar items.

    Short rows draw from a set of gentle operators, the others from all five; the two
    views of a row draw for themselves.

    Source:
        Liu et al., CoSeRec, 2021, sections 3.2 and 3.3.3, as its code has them.

    Args:
        similarity: What is similar from then on: see :func:`most_similar`.
        offline_epochs: Epochs by the graph alone.
        threshold: Longest row that counts as short.
        short: Operators for short rows, of ``NAMES``.
        crop_keep: Share of a row that a crop keeps.
        mask_rate: Share of its items that are masked.
        reorder_rate: Share of its items that change places.
        insert_rate: Share of its items that get a similar one before them.
        substitute_rate: Share of its items that give way to a similar one.
        max_length: Longest view.

    Raises:
        ConfigError: There is no such operator, or none for short rows.
        OptionError: A rate is not from 0 to 1.
    """

    def __init__(
        self,
        *,
        similarity: Similarity,
        offline_epochs: int,
        threshold: int,
        short: Sequence[str],
        crop_keep: float,
        mask_rate: float,
        reorder_rate: float,
        insert_rate: float,
        substitute_rate: float,
        max_length: int,
    ) -> None:
        if not short or set(short) - set(NAMES):
            raise ConfigError(
                f"short sequences draw from {', '.join(NAMES)}; got "
                f"short={list(short)}; name one of them or more"
            )
        check_ranges(
            counts={"offline_epochs": offline_epochs, "threshold": threshold},
            rates={
                "crop_keep": crop_keep,
                "mask_rate": mask_rate,
                "reorder_rate": reorder_rate,
                "insert_rate": insert_rate,
                "substitute_rate": substitute_rate,
            },
        )
        self.similarity: Similarity = similarity
        self.offline_epochs = offline_epochs
        self.threshold = threshold
        self.gentle = [name in short for name in NAMES]
        self.insert = partial(insert, rate=insert_rate, max_length=max_length)
        self.substitute = partial(substitute, rate=substitute_rate)
        self.others = (
            partial(mask, rate=mask_rate),
            partial(reorder, rate=reorder_rate, reach_last=False),
            partial(crop, keep=crop_keep, reach_last=False),
        )

    def allowed(self, batch: Batch) -> Bool[Tensor, "B 5"]:
        """Which operators a row may draw."""
        gentle = torch.tensor(self.gentle, device=batch.items.device)
        return gentle | (batch.lengths > self.threshold)[:, None]

    def similar(
        self, graph: HeteroData, table: Float[Tensor, "V D"], epoch: int
    ) -> Int[Tensor, "V"]:
        """The item most similar to each in an epoch; V where there is none."""
        how = self.similarity if epoch >= self.offline_epochs else "offline"
        return most_similar(graph, table, how)

    def draw(self, batch: Batch, similar: Int[Tensor, "V"]) -> tuple[Batch, Batch]:
        """The views, given the item most similar to each."""
        informed = (
            partial(self.insert, similar=similar),
            partial(self.substitute, similar=similar),
        )
        return random_views(
            batch,
            (*informed, *self.others),
            distinct=False,
            allowed=self.allowed(batch),
        )


def _between(score: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Scores between bounds, as shares of the way from the one to the other."""
    return (score - low) / (high - low).clamp(min=torch.finfo(score.dtype).tiny)
