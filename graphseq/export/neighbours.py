"""The nearest neighbours of every item in the graph's item relation, as a table."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM, ITEM_CO_OCCURS, PRECEDES

RELATIONS = (ITEM_CO_OCCURS, PRECEDES)


class Neighbours(NamedTuple):
    """Neighbours of V items.

    Attributes:
        items: Rows of items, the largest weight first, (V, K); V pads.
        weights: Weights of the edges, (V, K); 0 at padding.
    """

    items: Int[Tensor, "V K"]
    weights: Float[Tensor, "V K"]


def item_neighbours(graph: HeteroData, count: int) -> Neighbours | None:
    """The items with the heaviest edges into each item.

    Args:
        graph: The graph; co-occurrence of items is read, or else transitions, from the
            earlier item to the later one.
        count: K.

    Returns:
        The neighbours; ``None`` if the graph has neither relation.
    """
    for relation in RELATIONS:
        if relation in graph.edge_types:
            edges = graph[relation]
            index = edges.edge_index.cpu()
            weight = edges.get("edge_weight", torch.ones(index.shape[1])).cpu()
            return _heaviest(index, weight, int(graph[ITEM].num_nodes), count)
    return None


def _heaviest(
    edge_index: Int[Tensor, "2 E"], weight: Float[Tensor, "E"], size: int, count: int
) -> Neighbours:
    source, target = edge_index
    order = source.argsort(stable=True)
    order = order[weight[order].argsort(descending=True, stable=True)]
    order = order[target[order].argsort(stable=True)]
    source, target, weight = source[order], target[order], weight[order]
    degree = target.bincount(minlength=size)
    first = degree.cumsum(0) - degree
    rank = torch.arange(len(target)) - first[target]
    kept = rank < count
    items = torch.full((size, count), size)
    weights = torch.zeros(size, count)
    items[target[kept], rank[kept]] = source[kept]
    weights[target[kept], rank[kept]] = weight[kept].float()
    return Neighbours(items, weights)
