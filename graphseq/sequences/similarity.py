"""Which item is most similar to which: by the item graph, or by item vectors."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS

SimilaritySource = Literal["offline", "online", "hybrid"]


class Neighbours(NamedTuple):
    """The item most similar to each.

    Attributes:
        item: Its id; V where there is none, (V,).
        score: Similarity, from 0 to 1; -inf where there is none, (V,).
    """

    item: Int[Tensor, "V"]
    score: Float[Tensor, "V"]


@torch.no_grad()
def from_graph(graph: HeteroData) -> Neighbours:
    """The neighbour on each item's heaviest edge; of ties, the smallest id.

    Scores are the weights, scaled from 0 (least) to 1 (greatest) over all edges.
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
    return Neighbours(item, _scale(score, weight.min(), weight.max()))


@torch.no_grad()
def from_vectors(items: Float[Tensor, "V D"], *, block_rows: int = 1024) -> Neighbours:
    """The other item with the greatest inner product.

    Scores are the products, scaled from 0 (least) to 1 (greatest) over all pairs, each
    item with itself included.

    Args:
        items: Item vectors.
        block_rows: Rows multiplied at a time, to bound the memory.
    """
    item, score, low, high = [], [], [], []
    for start in range(0, len(items), block_rows):
        products = items[start : start + block_rows] @ items.T
        low.append(products.min())
        high.append(products.max())
        products.diagonal(start).fill_(-torch.inf)
        best = products.max(dim=1)
        item.append(best.indices)
        score.append(best.values)
    bounds = torch.stack(low).min(), torch.stack(high).max()
    return Neighbours(torch.cat(item), _scale(torch.cat(score), *bounds))


def most_similar(
    graph: HeteroData, items: Float[Tensor, "V D"], by: SimilaritySource
) -> Int[Tensor, "V"]:
    """The item most similar to each; V where there is none.

    ``offline`` reads the graph, ``online`` the vectors; ``hybrid`` takes the candidate
    with the larger score.
    """
    if by == "offline":
        return from_graph(graph).item
    online = from_vectors(items)
    if by == "online":
        return online.item
    offline = from_graph(graph)
    return torch.where(online.score > offline.score, online.item, offline.item)


def _scale(score: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Scores scaled so that ``low`` becomes 0 and ``high`` becomes 1."""
    return (score - low) / (high - low).clamp(min=torch.finfo(score.dtype).tiny)
