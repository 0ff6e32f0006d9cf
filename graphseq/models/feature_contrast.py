"""Contrast of nodes' vectors in two relations, for any backbone."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Len
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, EdgeType
from graphseq.models.backbone import Backbone
from graphseq.models.encoding import Encoding
from graphseq.models.graph_contrast import (
    RELATIONS,
    ProjectedContrast,
    item_side,
    node_table,
)
from graphseq.models.sequence_model import Auxiliary, Terms
from graphseq.nn.propagation import GraphEncoder
from graphseq.objectives.contrastive import Scheme, Similarity
from graphseq.schema import InvalidOption, Positive, Size, Weight


def reads_users(encoder: GraphEncoder) -> bool:
    """Whether item vectors depend on the users' ones, over the user-item graph."""
    layers = encoder.layers
    return layers % 2 == 1 or (encoder.readout == "mean" and layers > 0)


@final
class FeatureContrast(Auxiliary):
    """Contrast of nodes' vectors in two relations of the graph.

    Items have the backbone's vectors, users vectors of their own. Where the backbone's
    features are themselves propagated over one of the relations, both views of an item
    are made of nearly the same vectors, and there is little to learn.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eqs. (9)-(12): the user-item graph and a
        co-occurrence graph.

    Args:
        kind: Whose vectors are contrasted: ``item`` or ``user``.
        relations: The two relations; ``None`` are the paper's: ``interacts``, and
            co-occurrence of the kind.
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
        relations: Annotated[
            Sequence[Literal["interacts", "item", "precedes", "has", "user"]], Len(2, 2)
        ]
        | None = None,
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
        """The two relations."""
        names = options["relations"] or ("interacts", options["kind"])
        return tuple(RELATIONS[name] for name in names)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """The relations differ, and link nodes of the kind."""
        kind, names = options["kind"], list(options["relations"] or [])
        if len(set(names)) < len(names):
            found = f"found {names} of them"
            yield InvalidOption("relations", f"expected two relations, {found}")
        for name in names:
            source, _, target = RELATIONS[name]
            if kind not in (source, target):
                message = f"{name!r} does not link nodes of kind={kind!r}"
                yield InvalidOption("relations", message)

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the users' vectors, where they are read, and the projection."""
        over_users = INTERACTS in self.requires and reads_users(self.encoder)
        self.users = None
        if self.kind == "user" or over_users:
            self.users = node_table(num_users, backbone.dim)
        self.contrast = self.make_contrast(backbone.dim)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast of the batch's users or items."""
        batch, items = encoding.batch, encoding.items
        rows = batch.distinct_users if self.kind == "user" else batch.distinct_items
        rows = rows[torch.randperm(len(rows), device=rows.device)[: self.max_nodes]]
        views = [self.view(r, graph, items, rows) for r in self.requires]
        return {f"{self.kind}_features": self.weight * self.contrast(*views)}

    def view(
        self,
        relation: EdgeType,
        graph: HeteroData,
        items: Float[Tensor, "V D"],
        rows: Int[Tensor, "n"],
    ) -> Float[Tensor, "n D"]:
        """Vectors of the nodes in one relation."""
        if self.kind == "item":
            return item_side(self.encoder, graph, relation, items, rows, self.users)
        assert self.users is not None
        nodes: Tensor = self.users
        if relation == INTERACTS:
            nodes = torch.cat([self.users, items])
        return self.encoder(graph, relation, nodes, rows)  # type: ignore[no-any-return]
