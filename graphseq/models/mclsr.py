"""MCLSR: contrast between a user's sequence and three graphs."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.models.base import Model
from graphseq.models.graph_contrast import ProjectedContrast, node_table
from graphseq.models.interest_contrast import general_interests
from graphseq.models.next_item import Softmax, next_item
from graphseq.models.sequence_model import Terms
from graphseq.nn.dropout import dropout
from graphseq.nn.features import embed_items
from graphseq.nn.pooling import AdditivePooling, QueryPooling
from graphseq.nn.propagation import GraphEncoder, Readout
from graphseq.objectives import same_id_mask
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
    ranks_with = ()

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
        self.users = node_table(num_users, dim)
        self.items = node_table(num_items, dim)
        self.position = node_table(max_length, dim)
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
        # Current interest of every prefix that has a target: Eqs. (2)-(3).
        values = embed_items(self.items, batch.items)
        keys = self.keys(values, batch)
        current = batch.at_targets(self.current.prefixes(keys, values, batch.mask))

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
