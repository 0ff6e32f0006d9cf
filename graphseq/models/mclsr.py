"""MCLSR: contrast between a user's sequence and three graphs."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.models.backbone import Backbone, Encoding
from graphseq.models.base import Model
from graphseq.models.next_item import Softmax, next_item
from graphseq.models.sequence_model import Auxiliary, Terms
from graphseq.nn.dropout import dropout
from graphseq.nn.features import embed_items
from graphseq.nn.heads import ProjectionHead
from graphseq.nn.pooling import AdditivePooling, QueryPooling
from graphseq.nn.propagation import GraphEncoder, Readout
from graphseq.objectives import nt_xent, same_id_mask
from graphseq.objectives.contrastive import Scheme, Similarity
from graphseq.schema import (
    Count,
    Dropout,
    Fraction,
    InvalidOption,
    Positive,
    Size,
    Weight,
)
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import SequenceSampler

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


def _node_table(rows: int, dim: int) -> nn.Parameter:
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
        layers: Steps of propagation.
        readout: The ``last`` step (Eq. 1) or the ``mean`` of all.
        temperature: τ.
        similarity: What the contrast compares by.
        scheme: ``one_sided`` as in Eq. (8), ``symmetric`` or ``cross_only``.
        shared_head: One projection for both interests, Eq. (7), or one for each.
        mask_same_user: Whether rows of one user are masked out as negatives.
        graph_dropout: Fraction of graph entries dropped in each training step.
    """

    requires = (INTERACTS,)

    def __init__(
        self,
        *,
        relation: Literal["interacts"] = "interacts",
        weight: Weight = 0.1,
        layers: Count = 2,
        readout: Readout = "last",
        temperature: Positive = 0.5,
        similarity: Similarity = "cosine",
        scheme: Scheme = "one_sided",
        shared_head: bool = True,
        mask_same_user: bool = True,
        graph_dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        self.weight, self.mask_same_user = weight, mask_same_user
        self.encoder = GraphEncoder(
            layers=layers, readout=readout, dropout=graph_dropout
        )
        self.make_contrast = partial(
            ProjectedContrast,
            shared_head=shared_head,
            temperature=temperature,
            similarity=similarity,
            scheme=scheme,
        )

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the users' vectors, the attention and the projection."""
        self.users = _node_table(num_users, backbone.dim)
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
        layers: Steps of propagation in each graph.
        readout: The ``last`` step (Eq. 1) or the ``mean`` of all.
        temperature: τ.
        similarity: What the contrast compares by.
        scheme: ``one_sided`` as in Eq. (8), ``symmetric`` or ``cross_only``.
        max_nodes: Largest number of the batch's nodes that are contrasted.
        graph_dropout: Fraction of graph entries dropped in each training step.
    """

    def __init__(
        self,
        *,
        kind: Literal["item", "user"] = "item",
        weight: Weight = 0.05,
        layers: Count = 2,
        readout: Readout = "last",
        temperature: Positive = 0.5,
        similarity: Similarity = "cosine",
        scheme: Scheme = "one_sided",
        max_nodes: Size = 2048,
        graph_dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        self.kind, self.weight, self.max_nodes = kind, weight, max_nodes
        self.requires = (INTERACTS, RELATIONS[kind])
        self.encoder = GraphEncoder(
            layers=layers, readout=readout, dropout=graph_dropout
        )
        self.make_contrast = partial(
            ProjectedContrast,
            temperature=temperature,
            similarity=similarity,
            scheme=scheme,
        )

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the users' vectors and the projection."""
        self.users = _node_table(num_users, backbone.dim)
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


@final
class MCLSR(Model):
    """Wang et al., "Multi-level Contrastive Learning Framework …", CIKM 2022.

    arXiv:2208.13007.

    A user's *current* interest is read from the sequence, the *general* one from the
    user-item graph. Interest-level contrast ties the two; feature-level contrast ties
    the user-item graph to the user-user and item-item graphs. Only the current interest
    and the raw item table rank items, so a user needs no node in a graph.

    Departs from the paper:
        By default, the softmax covers all items, and every prefix of a sequence is a
        training example in one pass; the paper samples 1280 negatives per prefix
        (``softmax="uniform", sampler="prefix"``). As in all public code, the targets of
        a training batch are edges of the user-item graph, unless ``target_edges`` are
        left out. The target is part of the denominator of Eq. (14); Eqs. (8), (11),
        (14) are means, not sums; pairs from the same user are masked out in Eq. (8).

    Args:
        num_users: U.
        num_items: V.
        dim: D.
        max_length: Longest history that is read.
        layers: Steps of propagation in each graph, l.
        readout: The ``last`` step (Eq. 1) or the ``mean`` of all.
        alpha: Weight of the current interest in the trained blend, Eq. (13).
        interest_weight: β, of the contrast between interests.
        user_weight: γ of the contrast between user features.
        item_weight: γ of the contrast between item features.
        temperature: τ of every contrast.
        similarity: What the contrasts compare by.
        scheme: ``one_sided`` as in Eq. (8), ``symmetric`` or ``cross_only``.
        shared_head: One projection for both interests, Eq. (7), or one for each.
        mask_same_user: Whether rows of one user are masked out as negatives.
        positions: Counted from the oldest item (``chronological``) or from the newest
            (``recency``).
        key_dropout: Layer norm and dropout on the keys of the attention; 0 is neither.
        graph_dropout: Fraction of graph entries dropped in each training step.
        softmax: Denominator of Eq. (14): ``full``, or ``uniform``, ``log_uniform``
            (as ComiRec) or ``in_batch`` (with logQ correction) samples.
        num_negatives: Items sampled for ``uniform`` (per row) and ``log_uniform``.
        max_contrast_items: Largest number of items in the item-level contrast.
        target_edges: Whether the user-item graph of a batch has the edges that the
            batch predicts (``kept``), or not (``left_out``, with ``sampler="prefix"``:
            with a target at every position, no edge would be left). The co-occurrence
            graphs keep what follows from them.
        sampler: How training examples are cut from the sequences.
    """

    requires = (INTERACTS, USER_CO_OCCURS, ITEM_CO_OCCURS)

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        dim: Size = 64,
        max_length: Size = 20,
        layers: Count = 2,
        readout: Readout = "last",
        alpha: Fraction = 0.5,
        interest_weight: Weight = 1.0,
        user_weight: Weight = 0.05,
        item_weight: Weight = 0.05,
        temperature: Positive = 0.5,
        similarity: Similarity = "cosine",
        scheme: Scheme = "one_sided",
        shared_head: bool = True,
        mask_same_user: bool = True,
        positions: Literal["chronological", "recency"] = "chronological",
        key_dropout: Dropout = 0.0,
        graph_dropout: Dropout = 0.0,
        softmax: Softmax = "full",
        num_negatives: Size = 1280,
        max_contrast_items: Size = 2048,
        target_edges: Literal["kept", "left_out"] = "kept",
        sampler: SequenceSampler = "targets",
    ) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items
        self.max_length, self.sampler = max_length, sampler
        self.alpha = alpha
        self.interest_weight = interest_weight
        self.user_weight, self.item_weight = user_weight, item_weight
        self.mask_same_user = mask_same_user
        self.recency = positions == "recency"
        self.without_targets = target_edges == "left_out"
        self.key_dropout = key_dropout
        self.max_contrast_items = max_contrast_items
        self.num_negatives = num_negatives if softmax == "uniform" else 0
        self.next_item = partial(
            next_item, softmax=softmax, num_negatives=num_negatives
        )
        self.users = _node_table(num_users, dim)
        self.items = _node_table(num_items, dim)
        self.position = _node_table(max_length, dim)
        self.encoder = GraphEncoder(
            layers=layers, readout=readout, dropout=graph_dropout
        )
        self.norm = nn.LayerNorm(dim, eps=1e-9) if key_dropout else None
        self.current = AdditivePooling(dim)
        self.general = QueryPooling(dim)
        contrast = partial(
            ProjectedContrast,
            temperature=temperature,
            similarity=similarity,
            scheme=scheme,
        )
        self.interest_contrast = contrast(dim, shared_head=shared_head)
        self.user_contrast, self.item_contrast = contrast(dim), contrast(dim)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Two options need one target per row."""
        for name, value in (("positions", "recency"), ("target_edges", "left_out")):
            if options[name] == value and options["sampler"] != "prefix":
                found = f"found sampler={options['sampler']!r}"
                yield InvalidOption(name, f"{value!r} needs sampler='prefix', {found}")

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The current interest, Eqs. (2)-(3), which alone ranks: Eq. (16)."""
        values = embed_items(self.items, batch.items)
        interests: Tensor = self.current(self.keys(values, batch), values, batch.mask)
        return interests[:, 0]

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The raw item table, Eq. (16)."""
        return self.items

    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        """Next item, plus contrast between interests and between features: Eq. (15)."""
        at, _ = batch.target_positions()

        # Current interest of every prefix that has a target: Eqs. (2)-(3).
        values = embed_items(self.items, batch.items)
        keys = self.keys(values, batch)
        current = self.current.prefixes(keys, values, batch.mask)[at]

        # The user-item graph, once, and the general interest: Eqs. (4)-(6).
        found = general_interests(
            batch,
            graph,
            self.users,
            self.items,
            self.encoder,
            self.general,
            without_targets=self.without_targets,
        )
        blend = self.alpha * current + (1 - self.alpha) * found.general  # Eq. (13)
        terms = {"next_item": self.next_item(blend, self.items, batch, graph)}  # (14)
        if self.interest_weight:  # Eqs. (7)-(8)
            mask = same_id_mask(batch.target_users()) if self.mask_same_user else None
            loss = self.interest_contrast(current, found.general, mask)
            terms["interest"] = self.interest_weight * loss
        if self.user_weight:  # Eqs. (9)-(11)
            second = self.encoder(graph, USER_CO_OCCURS, self.users, found.user_rows)
            terms["user"] = self.user_weight * self.user_contrast(found.users, second)
        if self.item_weight:  # Eqs. (9), (10), (12)
            rows = found.item_rows
            some = torch.randperm(len(rows), device=rows.device)
            some = some[: self.max_contrast_items]
            second = self.encoder(graph, ITEM_CO_OCCURS, self.items, rows[some])
            loss = self.item_contrast(found.items[some], second)
            terms["item"] = self.item_weight * loss
        return terms

    def keys(
        self, values: Float[Tensor, "B L D"], batch: Batch
    ) -> Float[Tensor, "B L D"]:
        """The keys of the attention: the items with their positions."""
        steps = torch.arange(values.shape[1], device=values.device)
        if self.recency:
            steps = (batch.lengths[:, None] - 1 - steps).clamp(min=0)
        keys = values + self.position[steps]
        if self.norm is None:
            return keys
        return dropout(self.norm(keys), self.key_dropout, self.training)
