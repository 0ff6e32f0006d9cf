"""Contrasts between a sequence and graphs, for any backbone: MCLSR's levels."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS, EdgeType
from graphseq.models.backbone import Backbone, Encoding
from graphseq.models.sequence_model import Auxiliary, Terms
from graphseq.nn.features import embed_items
from graphseq.nn.heads import ProjectionHead
from graphseq.nn.pooling import QueryPooling
from graphseq.nn.propagation import GraphEncoder
from graphseq.objectives import nt_xent, same_id_mask
from graphseq.objectives.contrastive import Scheme, Similarity
from graphseq.schema import Positive, Size, Weight
from graphseq.sequences.batch import Batch

RELATIONS = {"user": USER_CO_OCCURS, "item": ITEM_CO_OCCURS}


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


class Interests(NamedTuple):
    """General interests, and the vectors that they are made of.

    Attributes:
        general: Interest of every target's history in the user-item graph, (N, D).
        user_rows: The batch's distinct users, (n,).
        item_rows: The batch's distinct items, (m,).
        users: Their vectors in the user-item graph, (n, D).
        items: Their vectors in the user-item graph, (m, D).
    """

    general: Float[Tensor, "N D"]
    user_rows: Int[Tensor, "n"]
    item_rows: Int[Tensor, "m"]
    users: Float[Tensor, "n D"]
    items: Float[Tensor, "m D"]


def general_interests(
    batch: Batch,
    graph: HeteroData,
    users: Float[Tensor, "U D"],
    items: Float[Tensor, "V D"],
    encoder: GraphEncoder,
    pooling: QueryPooling,
    *,
    without_targets: bool = False,
) -> Interests:
    """The interest of every prefix with a target, from the user-item graph.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eqs. (4)-(6).

    Args:
        batch: Sequences with N targets.
        graph: With the user-item relation.
        users: Vectors of all users.
        items: Vectors of all items.
        encoder: Propagates both over the graph.
        pooling: Attention of the user's vector to those of the items.
        without_targets: Leave out the edges that the batch predicts.
    """
    at, targets = batch.target_positions()
    user_rows, item_rows = batch.user.unique(), batch.items[batch.mask].unique()
    rows = torch.cat([user_rows, item_rows + len(users)])
    edges = None
    if without_targets:
        edges = torch.stack([batch.target_users(), targets + len(users)])
    nodes = torch.cat([users, items])
    found = encoder(graph, INTERACTS, nodes, rows, excluded=edges)
    of_users, of_items = found.split([len(user_rows), len(item_rows)])
    index = torch.searchsorted(item_rows, batch.items)  # padding V: past the end
    query = of_users[torch.searchsorted(user_rows, batch.user)]
    general = pooling.prefixes(query, embed_items(of_items, index), batch.mask)
    return Interests(general[at], user_rows, item_rows, of_users, of_items)


def node_table(rows: int, dim: int) -> nn.Parameter:
    """Vectors of users, items or positions, from a truncated N(0, 0.02²)."""
    return nn.Parameter(
        nn.init.trunc_normal_(torch.empty(rows, dim), std=0.02, a=-0.04, b=0.04)
    )


@final
class InterestContrast(Auxiliary):
    """Contrast of the sequence's state with the interest in the user-item graph.

    Any encoder's state at a target is the current interest; the general interest is
    pooled from the user-item graph, in which the items have the backbone's vectors and
    the users vectors of their own.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eqs. (4)-(8).

    Args:
        relation: The relation of the general interest.
        weight: β.
        encoder: Propagates over the graph; ``None`` is ``GraphEncoder()``.
        temperature: τ.
        similarity: What the contrast compares by.
        scheme: ``one_sided`` as in Eq. (8), ``symmetric`` or ``cross_only``.
        shared_head: One projection for both interests, Eq. (7), or one for each.
        mask_same_user: Whether rows of one user are masked out as negatives.
    """

    requires = (INTERACTS,)

    def __init__(
        self,
        *,
        relation: Literal["interacts"] = "interacts",
        weight: Weight = 0.1,
        encoder: GraphEncoder | None = None,
        temperature: Positive = 0.5,
        similarity: Similarity = "cosine",
        scheme: Scheme = "one_sided",
        shared_head: bool = True,
        mask_same_user: bool = True,
    ) -> None:
        super().__init__()
        self.weight, self.mask_same_user = weight, mask_same_user
        self.encoder = encoder or GraphEncoder()
        self.make_contrast = partial(
            ProjectedContrast,
            shared_head=shared_head,
            temperature=temperature,
            similarity=similarity,
            scheme=scheme,
        )

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the users' vectors, the attention and the projection."""
        self.users = node_table(num_users, backbone.dim)
        self.pooling = QueryPooling(backbone.dim)
        self.contrast = self.make_contrast(backbone.dim)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast at every target."""
        batch = encoding.batch
        found = general_interests(
            batch, graph, self.users, encoding.items, self.encoder, self.pooling
        )
        mask = same_id_mask(batch.target_users()) if self.mask_same_user else None
        loss = self.contrast(encoding.at_targets, found.general, mask)
        return {"interest": self.weight * loss}


@final
class FeatureContrast(Auxiliary):
    """Contrast of nodes' vectors in the user-item graph and in a co-occurrence graph.

    Items have the backbone's vectors, users vectors of their own.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eqs. (9)-(12).

    Args:
        kind: Whose vectors are contrasted: ``item`` or ``user``.
        weight: γ.
        encoder: Propagates over each graph; ``None`` is ``GraphEncoder()``.
        temperature: τ.
        similarity: What the contrast compares by.
        scheme: ``one_sided`` as in Eq. (8), ``symmetric`` or ``cross_only``.
        max_nodes: Largest number of the batch's nodes that are contrasted.
    """

    def __init__(
        self,
        *,
        kind: Literal["item", "user"] = "item",
        weight: Weight = 0.05,
        encoder: GraphEncoder | None = None,
        temperature: Positive = 0.5,
        similarity: Similarity = "cosine",
        scheme: Scheme = "one_sided",
        max_nodes: Size = 2048,
    ) -> None:
        super().__init__()
        self.kind, self.weight, self.max_nodes = kind, weight, max_nodes
        self.requires = self.required_relations(self.options)
        self.encoder = encoder or GraphEncoder()
        self.make_contrast = partial(
            ProjectedContrast,
            temperature=temperature,
            similarity=similarity,
            scheme=scheme,
        )

    @classmethod
    def required_relations(cls, options: Mapping[str, Any]) -> tuple[EdgeType, ...]:
        """The user-item graph and the co-occurrence graph."""
        return (INTERACTS, RELATIONS[options["kind"]])

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the users' vectors and the projection."""
        self.users = node_table(num_users, backbone.dim)
        self.contrast = self.make_contrast(backbone.dim)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast of the batch's users or items."""
        batch, items = encoding.batch, encoding.items
        own = batch.user if self.kind == "user" else batch.items[batch.mask]
        rows = own.unique()
        rows = rows[torch.randperm(len(rows), device=rows.device)[: self.max_nodes]]
        offset = 0 if self.kind == "user" else len(self.users)
        nodes = torch.cat([self.users, items])
        first = self.encoder(graph, INTERACTS, nodes, rows + offset)
        vectors = self.users if self.kind == "user" else items
        second = self.encoder(graph, RELATIONS[self.kind], vectors, rows)
        return {f"{self.kind}_features": self.weight * self.contrast(first, second)}
