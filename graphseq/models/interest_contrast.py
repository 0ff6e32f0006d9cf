"""Contrast of a sequence's state with the interest in a graph, for any backbone."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple, final

import torch
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
from graphseq.nn.features import embed_items
from graphseq.nn.pooling import QueryPooling
from graphseq.nn.propagated import Relation
from graphseq.nn.propagation import GraphEncoder
from graphseq.objectives import same_id_mask
from graphseq.objectives.contrastive import Scheme, Similarity
from graphseq.schema import InvalidOption, Positive, Weight
from graphseq.sequences.batch import Batch


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
    user_rows, item_rows = batch.distinct_users, batch.distinct_items
    rows = torch.cat([user_rows, item_rows + len(users)])
    edges = None
    if without_targets:
        edges = batch.target_edges()
    nodes = torch.cat([users, items])
    found = encoder(graph, INTERACTS, nodes, rows, excluded=edges)
    of_users, of_items = found.split([len(user_rows), len(item_rows)])
    index = torch.searchsorted(item_rows, batch.items)  # padding V: past the end
    query = of_users[torch.searchsorted(user_rows, batch.user)]
    general = pooling.prefixes(query, embed_items(of_items, index), batch.mask)
    return Interests(
        batch.at_targets(general), user_rows, item_rows, of_users, of_items
    )


@final
class InterestContrast(Auxiliary):
    """Contrast of the sequence's state with the interest in a graph.

    Any encoder's state at a target is the current interest. The general interest is a
    weighted mean of the propagated vectors of the prefix's items, which before the
    propagation are the backbone's. The query of its attention is

    * ``graph``: the propagated vector of the user, as in the paper: the graph holds the
      user's later events too;
    * ``history``: the mean of the propagated vectors of the prefix's items. It has no
      user table, and any relation of the items can be read.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eqs. (4)-(8). ``history`` is this package's.

    Args:
        relation: The relation of the general interest; ``interacts`` if users are
            vectors of the graph.
        users: What the query of the general interest is.
        weight: β.
        encoder: Propagates over the graph; ``None`` is ``GraphEncoder()``.
        temperature: τ.
        similarity: What the contrast compares by.
        scheme: ``one_sided`` as in Eq. (8), ``symmetric`` or ``cross_only``.
        shared_head: One projection for both interests, Eq. (7), or one for each.
        mask_same_user: Whether rows of one user are masked out as negatives.
    """

    def __init__(
        self,
        *,
        relation: Relation = "interacts",
        users: Literal["graph", "history"] = "graph",
        weight: Weight = 0.1,
        encoder: GraphEncoder | None = None,
        temperature: Positive = 0.5,
        similarity: Similarity = "cosine",
        scheme: Scheme = "one_sided",
        shared_head: bool = True,
        mask_same_user: bool = True,
    ) -> None:
        super().__init__()
        self.relation, self.weight = RELATIONS[relation], weight
        self.mask_same_user = mask_same_user
        self.requires = self.required_relations(self.options)
        self.encoder = encoder or GraphEncoder()
        self.from_graph = users == "graph"
        self.make_contrast = partial(
            ProjectedContrast,
            shared_head=shared_head,
            temperature=temperature,
            similarity=similarity,
            scheme=scheme,
        )

    @classmethod
    def required_relations(cls, options: Mapping[str, Any]) -> tuple[EdgeType, ...]:
        """The relation."""
        return (RELATIONS[options["relation"]],)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Users are nodes of the user-item graph; interests depend on the items."""
        relation, encoder = options["relation"], options["encoder"]
        if options["users"] == "graph" and relation != "interacts":
            message = f"relation={relation!r} has no users; set users='history'"
            yield InvalidOption("users", message)
        odd = encoder is not None and encoder.layers % 2 and encoder.readout == "last"
        if options["users"] == "history" and relation == "interacts" and odd:
            message = (
                f"after {encoder.layers} layers, the last item vectors depend on the "
                "users' only, which are zero; set readout='mean' or an even number"
            )
            yield InvalidOption("encoder", message)

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the users' vectors, the attention and the projection."""
        self.users = node_table(num_users, backbone.dim) if self.from_graph else None
        self.pooling = QueryPooling(backbone.dim)
        self.contrast = self.make_contrast(backbone.dim)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast at every target."""
        batch = encoding.batch
        if self.users is None:
            general = self.of_history(batch, graph, encoding.items)
        else:
            found = general_interests(
                batch, graph, self.users, encoding.items, self.encoder, self.pooling
            )
            general = found.general
        mask = same_id_mask(batch.target_users()) if self.mask_same_user else None
        loss = self.contrast(encoding.at_targets, general, mask)
        return {"interest": self.weight * loss}

    def of_history(
        self, batch: Batch, graph: HeteroData, items: Float[Tensor, "V D"]
    ) -> Float[Tensor, "N D"]:
        """The general interest of every prefix with a target, without users."""
        rows = batch.distinct_items
        vectors = item_side(self.encoder, graph, self.relation, items, rows)
        values = embed_items(vectors, torch.searchsorted(rows, batch.items))
        count = batch.mask.cumsum(dim=1).clamp(min=1)
        query = values.cumsum(dim=1) / count[..., None]
        general = self.pooling.prefixes(query, values, batch.mask)
        return batch.at_targets(general)
