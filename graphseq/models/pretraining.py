"""S3-Rec's pre-training: what the parts of a sequence say of each other."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import ATTRIBUTE, HAS_ATTRIBUTE, INTERACTS
from graphseq.errors import GraphError
from graphseq.models.backbone import Backbone
from graphseq.models.by_length import by_length
from graphseq.nn.transformer import Transformer
from graphseq.objectives import attribute_loss, double_sigmoid
from graphseq.sequences.batch import Batch
from graphseq.sequences.cloze import (
    bernoulli_mask,
    hide,
    last_place,
    sample_negatives,
    segment,
    swap,
)


class Pretraining(nn.Module):
    """The four tasks, each with a linear map of its own.

    Source:
        Zhou et al., S3-Rec, CIKM 2020, sections 4.2.1-4.2.4, as its code has them.

    Args:
        dim: D.
        weights: Tasks to learn, and their weights, of ``item`` (MIP), ``segment`` (SP),
            ``attribute`` (AAP) and ``hidden_attribute`` (MAP).
        mask_rate: Probability with which an item is hidden; the last one always is.
        num_attributes: Attributes of the graph, or more.
    """

    def __init__(
        self,
        dim: int,
        weights: Mapping[str, float],
        *,
        mask_rate: float = 0.2,
        num_attributes: int = 0,
    ) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.mask_rate = mask_rate
        maps = {task: nn.Linear(dim, dim) for task in weights}
        for linear in maps.values():
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        self.maps = nn.ModuleDict(maps)
        self.attributes: nn.Parameter | None = None
        if {"attribute", "hidden_attribute"} & set(weights):
            self.attributes = nn.Parameter(torch.empty(num_attributes, dim))
            nn.init.normal_(self.attributes, std=0.02)

    def forward(
        self, backbone: Backbone, full: Batch, graph: HeteroData
    ) -> dict[str, Float[Tensor, ""]]:
        """The weighted terms: sums over all that is asked, divided by the rows.

        Args:
            backbone: Its transformer, both ways, reads the sequences.
            full: Whole sequences, without targets.
            graph: Holds everyone's events and, if need be, the attributes.
        """
        table = backbone.items(graph)
        places = (bernoulli_mask(full, self.mask_rate) | last_place(full)) & full.mask
        masked = hide(full, places)
        encoder = cast(Transformer, backbone.encoder)
        states = by_length(
            lambda b: encoder(backbone.read(table, b), b.mask, causal=False), masked
        )
        terms = {}
        if "item" in self.weights:
            terms["item"] = self.items(states, table, full, places)
        if "segment" in self.weights:
            flat = graph[INTERACTS].edge_index[1]
            terms["segment"] = self.segments(backbone, table, full, flat)
        for task, where in (
            ("attribute", full.mask & ~places),
            ("hidden_attribute", places),
        ):
            if task in self.weights:
                mapped, of = self.maps[task](states[where]), full.items[where]
                terms[task] = self.attributes_of(mapped, of, graph)
        return {k: self.weights[k] * term / len(full) for k, term in terms.items()}

    def items(
        self,
        states: Float[Tensor, "B L D"],
        table: Float[Tensor, "V D"],
        full: Batch,
        places: Bool[Tensor, "B L"],
    ) -> Float[Tensor, ""]:
        """The hidden items, each against one that its row does not hold."""
        mapped = self.maps["item"](states[places])
        true, false = table[full.items[places]], table[sample_negatives(full)[places]]
        return double_sigmoid((mapped * true).sum(dim=1), (mapped * false).sum(dim=1))

    def segments(
        self,
        backbone: Backbone,
        table: Float[Tensor, "V D"],
        full: Batch,
        flat: Tensor,
    ) -> Float[Tensor, ""]:
        """A segment, told from someone's by what surrounds it."""
        places = segment(full)
        parts = (
            hide(full, places),
            hide(full, ~places),
            hide(swap(full, places, flat), ~places),
        )
        three = replace(
            full,
            user=full.user.repeat(3),
            items=torch.cat([part.items for part in parts]),
            lengths=full.lengths.repeat(3),
            example=None,
        )
        encoder = cast(Transformer, backbone.encoder)
        around, true, false = by_length(
            lambda b: encoder.last(backbone.read(table, b), b.mask, causal=False), three
        ).chunk(3)
        mapped = self.maps["segment"](around)
        return double_sigmoid((mapped * true).sum(dim=1), (mapped * false).sum(dim=1))

    def attributes_of(
        self,
        mapped: Float[Tensor, "N D"],
        items: Tensor,
        graph: HeteroData,
    ) -> Float[Tensor, ""]:
        """All attributes of some items, from the states at their places."""
        vectors = cast(Tensor, self.attributes)
        number = int(graph[ATTRIBUTE].num_nodes)
        if number > len(vectors):
            raise GraphError(
                f"S3Rec was made for {len(vectors)} attributes and this graph has "
                f"{number}; set num_attributes={number}"
            )
        item, attribute = graph[HAS_ATTRIBUTE].edge_index
        sums = vectors.new_zeros(int(graph["item"].num_nodes), vectors.shape[1])
        owned = sums.index_add(0, item, vectors[attribute])
        return attribute_loss(mapped, vectors, owned[items])
