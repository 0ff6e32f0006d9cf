"""The known items most similar to new ones, by their vectors or attributes."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix, diags
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import ATTRIBUTE, HAS_ATTRIBUTE, ITEM

BLOCK = 2**24  # similarities at once


class Similar(NamedTuple):
    """Known items for each of n new items.

    Attributes:
        items: Dense ids, most similar first, (n, k).
        weights: Their weights: equal, or 0 for those not similar; a row sums to 1.
    """

    items: Int[Tensor, "n k"]
    weights: Float[Tensor, "n k"]

    def mean(self, table: Float[Tensor, "V *rest"]) -> Float[Tensor, "n *rest"]:
        """The mean of the rows of the known items, for each new item."""
        flat = table.reshape(len(table), -1).double()
        sums = flat.new_zeros(len(self.items), flat.shape[1])
        for items, weights in zip(self.items.T, self.weights.T, strict=True):
            sums += weights[:, None] * flat[items]
        return sums.to(table.dtype).view(-1, *table.shape[1:])


def similar_by_vectors(x: Float[Tensor, "N F"], known: int, k: int = 10) -> Similar:
    """By the cosine of their vectors; items with one of 0 or less have weight 0.

    Args:
        x: A vector for each item; those of the known items come first.
        known: Number of known items, V.
        k: Known items for each new one.
    """
    unit = torch.nn.functional.normalize(x.float(), dim=1)
    none = unit.new_empty(0, min(k, known))
    found = [(none, none.long())]
    for rows in unit[known:].split(max(1, BLOCK // known)):
        found.append(tuple((rows @ unit[:known].T).topk(min(k, known))))
    cosines, items = (torch.cat(each) for each in zip(*found, strict=True))
    equal = (cosines > 0).to(x)
    return Similar(items, equal / equal.sum(dim=1, keepdim=True).clamp(min=1))


def similar_by_attributes(
    graph: HeteroData, known: Int[Tensor, "V"], new: Int[Tensor, "n"], k: int = 10
) -> Similar:
    """By the attributes that they share; one of m known items counts 1 / m.

    Args:
        graph: With attributes of all items.
        known: Dense ids of the known items.
        new: Dense ids of the others.
        k: Known items for each new one.
    """
    item, attribute = graph[HAS_ATTRIBUTE].edge_index.cpu().numpy()
    shape = int(graph[ITEM].num_nodes), int(graph[ATTRIBUTE].num_nodes)
    has = csr_matrix((torch.ones(len(item)).numpy(), (item, attribute)), shape)
    theirs = has[known.cpu().numpy()]
    sizes = theirs.sum(axis=0).A1.clip(min=1)
    scaled, theirs = has[new.cpu().numpy()] @ diags(1 / sizes), theirs.T.tocsr()
    number = len(known)
    found, step = [], max(1, BLOCK // max(1, number))
    for start in range(0, scaled.shape[0], step):
        shared = torch.from_numpy((scaled[start : start + step] @ theirs).toarray())
        found.append(shared.topk(min(k, number)))
    items = known.cpu()[torch.cat([top.indices for top in found])]
    equal = torch.cat([top.values > 0 for top in found]).float()
    weights = equal / equal.sum(dim=1, keepdim=True).clamp(min=1)
    device = graph[HAS_ATTRIBUTE].edge_index.device
    return Similar(items.to(device), weights.to(device))
