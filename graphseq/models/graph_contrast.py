"""Vectors of nodes in the relations of a graph, and contrasts of two of them."""

from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER_CO_OCCURS, EdgeType
from graphseq.nn.heads import ProjectionHead
from graphseq.nn.propagated import RELATIONS as ITEM_RELATIONS
from graphseq.nn.propagation import GraphEncoder
from graphseq.objectives import nt_xent
from graphseq.objectives.contrastive import Scheme, Similarity

RELATIONS: dict[str, EdgeType] = {**ITEM_RELATIONS, "user": USER_CO_OCCURS}


class ProjectedContrast(nn.Module):
    """NT-Xent between two projected views of the same rows, Eqs. (7)-(12).

    Args:
        dim: D.
        shared_head: One projection for both views, or one for each.
        temperature: τ.
        similarity: What the contrast compares by.
        scheme: ``one_sided`` as in Eq. (8), ``symmetric`` or ``cross_only``.
    """

    def __init__(
        self,
        dim: int,
        *,
        shared_head: bool = True,
        temperature: float = 0.5,
        similarity: Similarity = "cosine",
        scheme: Scheme = "one_sided",
    ) -> None:
        super().__init__()
        self.first = ProjectionHead(dim)
        self.second = None if shared_head else ProjectionHead(dim)
        self.loss = partial(
            nt_xent, temperature=temperature, similarity=similarity, scheme=scheme
        )

    def forward(
        self,
        a: Float[Tensor, "n D"],
        b: Float[Tensor, "n D"],
        exclude: Bool[Tensor, "n n"] | None = None,
    ) -> Float[Tensor, ""]:
        """The contrast of two views; pairs of ``exclude`` are not negatives."""
        views = self.first(a), (self.second or self.first)(b)
        loss: Tensor = self.loss(*views, exclude=exclude)
        return loss


def node_table(rows: int, dim: int) -> nn.Parameter:
    """Vectors of users, items or positions, from a truncated N(0, 0.02²)."""
    return nn.Parameter(
        nn.init.trunc_normal_(torch.empty(rows, dim), std=0.02, a=-0.04, b=0.04)
    )


def item_side(
    encoder: GraphEncoder,
    graph: HeteroData,
    relation: EdgeType,
    items: Float[Tensor, "V D"],
    rows: Int[Tensor, "m"],
    users: Float[Tensor, "U D"] | None = None,
) -> Float[Tensor, "m D"]:
    """Vectors of some items in a relation.

    Args:
        encoder: Propagates over the relation.
        graph: Holds it.
        relation: The edges.
        items: Vectors of all items.
        rows: The items to return.
        users: Vectors of all users, for the user-item graph; ``None``: zeros.
    """
    if relation != INTERACTS:
        return encoder(graph, relation, items, rows)  # type: ignore[no-any-return]
    number = int(graph["user"].num_nodes)
    if users is None:
        users = items.new_zeros(number, items.shape[1])
    nodes = torch.cat([users, items])
    return encoder(graph, relation, nodes, rows + number)  # type: ignore[no-any-return]
