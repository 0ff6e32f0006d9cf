"""Item features propagated over a relation of the graph."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import (
    HAS_ATTRIBUTE,
    INTERACTS,
    ITEM_CO_OCCURS,
    PRECEDES,
    EdgeType,
    EventWeight,
)
from graphseq.nn.adjacency import operator, two_hops
from graphseq.nn.features import Features, TargetEdges, other_users
from graphseq.nn.pretrained import Pretrained
from graphseq.nn.propagation import Readout, propagate
from graphseq.nn.sparse import SymmetricOperator
from graphseq.nn.two_hops import TwoHops
from graphseq.schema import Count, Dropout, Fraction, InvalidOption, Size, Weight

Relation = Literal["item", "precedes", "interacts", "has"]
Direction = Literal["successors", "predecessors", "both", "undirected"]
RELATIONS: dict[str, EdgeType] = {
    "item": ITEM_CO_OCCURS,
    "precedes": PRECEDES,
    "interacts": INTERACTS,
    "has": HAS_ATTRIBUTE,
}


@final
class Propagated(Features):
    r"""A vector for each item, propagated over a relation of the graph.

    With the adjacency A of the relation, the row sums R and the column sums C of A, and
    :math:`\hat A = R^{-1/2} A C^{-1/2}`, the vectors are the last of
    :math:`E, \hat A E, …, \hat A^l E`, or their mean. What A is:

    * ``item``: co-occurrence, from ``CoOccurrence("item")``;
    * ``precedes``: transitions, from ``Transitions``. Row i of A holds the items that
      follow i. ``successors`` reads A, ``predecessors`` its transpose, ``both`` the
      mean over E and the layers of each direction, ``undirected`` A + Aᵀ;
    * ``interacts``: the training events, as [[0, R], [Rᵀ, 0]] over users and items, and
      [Q; E] instead of E, with a trainable vector in Q for each user, or zeros.
      Unseen users can be ranked: only item vectors are used;
    * ``has``: attributes, over two hops (:class:`~graphseq.nn.two_hops.TwoHops`).

    A training step costs ``layers`` products of (V, D) with the relation's edges (twice
    that for ``both``, and for the items and the edges of ``interacts``), forward and
    again backward. The adjacency is normalised once and cached in the graph.

    Source:
        The propagation of He et al., LightGCN, SIGIR 2020, Eqs. (3)-(8), as the input
        of a sequence encoder. ``undirected`` transitions with ``self_loops`` and the
        ``last`` read-out: Zhu et al., "Graph-based Embedding Smoothing …", TKDE 2021.

    Args:
        num_items: V.
        num_users: U, for the users' vectors of ``interacts``.
        dim: D.
        table: The vectors E; ``None`` is a trainable vector for each item.
        relation: The edges to propagate over.
        direction: Which neighbours an item reads, for ``precedes``.
        layers: Propagation steps, l.
        readout: ``mean`` of the layers 0 … l, or the ``last`` one.
        self_loops: Whether each node has an edge of weight 1 to itself.
        users: Whether users have trainable vectors or zeros, for ``interacts``.
        event_weight: Whether a user-item edge weighs 1 (``binary``), as many as the
            pair has events (``count``), or the sum of their weights, such as ratings
            (``weight``), for ``interacts``.
        max_fraction: Attributes of more than this fraction of the items are ignored,
            for ``has``.
        edge_dropout: Probability of dropping an entry of the adjacency in each training
            step; the others are divided by 1 - p. For ``has``, of a pair of an item and
            an attribute; the links that are left are normalised again, by the sizes
            of all attributes.
        target_edges: Whether a training step reads the edges that it predicts
            (``kept``), or not (``left_out``, for ``interacts`` with
            ``sampler="prefix"``; each step then normalises all edges again). Item
            co-occurrence and transitions keep what follows from them.
        std: Standard deviation of the initial values.
    """

    def __init__(
        self,
        num_items: int,
        num_users: Size | None = None,
        *,
        dim: Size = 64,
        table: Pretrained | None = None,
        relation: Relation = "item",
        direction: Direction = "both",
        layers: Count = 1,
        readout: Readout = "mean",
        self_loops: bool = False,
        users: Literal["trained", "zero"] = "trained",
        event_weight: EventWeight = "binary",
        max_fraction: Fraction = 0.1,
        edge_dropout: Dropout = 0.0,
        target_edges: TargetEdges = "kept",
        std: Weight = 0.02,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.relation = RELATIONS[relation]
        self.requires = (self.relation,)
        self.direction: Direction = direction
        self.layers = layers
        self.readout: Readout = readout
        self.self_loops, self.max_fraction = self_loops, max_fraction
        self.event_weight: EventWeight = event_weight
        self.edge_dropout = edge_dropout
        self.target_edges: TargetEdges = target_edges
        self.table = table
        self.weight = None
        if table is None:
            self.weight = nn.Parameter(torch.empty(num_items, dim))
            nn.init.normal_(self.weight, std=std)
        self.users = None
        if relation == "interacts" and users == "trained" and num_users is not None:
            self.users = nn.Parameter(torch.empty(num_users, dim))
            nn.init.normal_(self.users, std=std)

    @classmethod
    def required_relations(cls, options: Mapping[str, Any]) -> tuple[EdgeType, ...]:
        """The relation."""
        return (RELATIONS[options["relation"]],)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Another width; options of other relations; vectors that are never read."""
        relation, table = options["relation"], options["table"]
        if table is not None and table.dim != options["dim"]:
            message = f"expected width dim={options['dim']}, found {table.dim}"
            yield InvalidOption("table", message)
        reads = {
            "direction": ("precedes", "both"),
            "users": ("interacts", "trained"),
            "event_weight": ("interacts", "binary"),
            "max_fraction": ("has", 0.1),
            "target_edges": ("interacts", "kept"),
        }
        for name, (reader, default) in reads.items():
            if relation != reader and options[name] != default:
                message = f"only relation={reader!r} reads it, found {relation!r}"
                if name == "target_edges":
                    message += ", whose edges count the events of many users"
                yield InvalidOption(name, message)
        if relation == "has" and options["self_loops"]:
            yield InvalidOption("self_loops", "relation='has' leaves out the diagonal")
        if relation == "interacts":
            yield from cls._unread(options)
            weight = options["event_weight"]
            if options["target_edges"] == "left_out" and weight != "binary":
                message = f"'left_out' needs event_weight='binary', found {weight!r}"
                yield InvalidOption("target_edges", message)

    @classmethod
    def _unread(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Tables that no item vector depends on, over the user-item graph."""
        layers, trained = options["layers"], options["users"] == "trained"
        if trained and options.get("num_users", 0) is None:
            message = "expected the number of users, or users='zero'; found None"
            yield InvalidOption("num_users", message)
        all_layers = options["readout"] == "mean" or options["self_loops"]
        if trained and not (layers and (all_layers or layers % 2)):
            message = (
                f"after {layers} layers, no item vector depends on the users' ones; "
                "set users='zero' or readout='mean'"
            )
            yield InvalidOption("users", message)
        if layers % 2 and not all_layers:
            message = (
                f"after {layers} layers, the last item vectors depend on users only; "
                "set readout='mean', self_loops=True or an even number of layers"
            )
            yield InvalidOption("readout", message)

    def forward(
        self, graph: HeteroData, excluded: Int[Tensor, "2 m"] | None = None
    ) -> Float[Tensor, "V D"]:
        """The table after propagation.

        Args:
            graph: Holds the relation.
            excluded: Users and items of edges to leave out, for ``left_out``.
        """
        table: Tensor | None = self.weight
        if self.table is not None:
            table = self.table(graph)
        assert table is not None
        return self.smooth(table, graph, excluded)

    @property
    def num_items(self) -> int | None:
        """V; ``None`` for a part of :class:`Fused`, which has no table."""
        return super().num_items if self.table is None else self.table.num_items

    def misfits(self, graph: HeteroData) -> Iterator[str]:
        """Why the table cannot be read, or the users' vectors are not the graph's."""
        yield from () if self.table is None else self.table.misfits(graph)
        if self.users is not None and INTERACTS in graph.edge_types:
            yield from other_users(self, len(self.users), graph)

    def smooth(
        self,
        table: Float[Tensor, "V D"],
        graph: HeteroData,
        excluded: Int[Tensor, "2 m"] | None = None,
    ) -> Float[Tensor, "V D"]:
        """Another table after propagation; arguments as for the call."""
        step = self._operator(graph, excluded)
        if self.relation == INTERACTS:
            users: Tensor | None = self.users
            if users is None:
                users = table.new_zeros(step.num_nodes - len(table), self.dim)
            nodes = torch.cat([users, table])
            return propagate(nodes, step, self.layers, self.readout)[len(users) :]
        if self.relation != PRECEDES or self.direction in ("successors", "undirected"):
            return propagate(table, step, self.layers, self.readout)
        before = propagate(table, step.transpose, self.layers, self.readout)
        if self.direction == "predecessors":
            return before
        after = propagate(table, step, self.layers, self.readout)
        if self.readout == "last":
            return (after + before) / 2
        return ((self.layers + 1) * (after + before) - table) / (2 * self.layers + 1)

    def release_table(self) -> None:
        """Drop the own table: :meth:`smooth` then reads one that parts share."""
        self.register_parameter("weight", None)

    def _operator(
        self, graph: HeteroData, excluded: Tensor | None
    ) -> SymmetricOperator | TwoHops:
        """The normalised adjacency of this call."""
        step: SymmetricOperator | TwoHops
        if self.relation == HAS_ATTRIBUTE:
            step = two_hops(graph, self.max_fraction)
        else:
            step = operator(
                graph,
                self.relation,
                undirected=self.direction == "undirected",
                self_loops=self.self_loops,
                event_weight=self.event_weight,
                excluded=excluded if self.target_edges == "left_out" else None,
            )
        if self.training and self.edge_dropout:
            step = step.dropout(self.edge_dropout)
        return step
