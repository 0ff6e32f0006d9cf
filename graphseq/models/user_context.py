"""A user's vector that joins the states of a sequence encoder."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER_CO_OCCURS, EdgeType
from graphseq.nn.adjacency import operator
from graphseq.nn.features import TargetEdges, embed_items, other_users
from graphseq.nn.propagation import Readout, propagate
from graphseq.schema import Configurable, Count, InvalidOption, Size, Weight
from graphseq.sequences.batch import Batch

RELATIONS: dict[str, EdgeType] = {"interacts": INTERACTS, "user": USER_CO_OCCURS}


class UserNodes(NamedTuple):
    """The users of some rows as nodes of a graph.

    Attributes:
        vectors: The vector of each, (B, D).
        known: Whether each has training events; the others have no vector, (B,).
    """

    vectors: Float[Tensor, "B D"]
    known: Bool[Tensor, "B"]

    def rows(self, rows: Int[Tensor, "R"]) -> "UserNodes":
        """Those of some of the rows."""
        return UserNodes(self.vectors[rows], self.known[rows])


@final
class UserContext(Configurable, nn.Module):
    r"""A vector z for the user of each row, which joins the sequence's state h.

    Where z comes from:

    * ``history``: :math:`z_{u,t}` is the mean of the vectors of the first t items of
      the row. It depends on no later item, needs no user table and serves unseen users;
    * ``graph``: the user's row of :math:`\hat A^l [Q; E]` over the user-item graph
      (``interacts``), or of :math:`\hat A^l Q` over the user-user graph (``user``),
      with a trainable vector in Q for each user. Users without training events, and
      those outside the graph, have the mean of their history.

    How it joins:

    * ``add``: :math:`h + W z`;
    * ``gate``: :math:`g ⊙ h + (1 - g) ⊙ z` with :math:`g = σ(W [h; z])`;
    * ``token``: the first position of the row holds :math:`W z`, before the oldest
      item. The encoder reads ``max_length`` + 1 positions, and no target is at it.

    Only states that score items are joined. Contrasts read those of the sequence alone,
    since two views of a user would share z; their token is zero.

    The graph holds all training events: the row of a user contains items that follow
    the position of the state, unlike in ranking. ``target_edges="left_out"`` removes
    the edges that the batch predicts, not the later ones; ``history`` has neither.

    Source:
        The user vectors of ``graph``: He et al., LightGCN, SIGIR 2020, Eqs. (3)-(8).
        The ways to join are this package's.

    Args:
        num_users: U, for the trainable vectors of ``graph``.
        dim: D.
        source: Where z comes from.
        join: How it joins the state.
        relation: The graph of ``graph``.
        layers: Steps of propagation in it. Each training step costs ``layers``
            products with its edges.
        readout: The ``mean`` of all layers, or the ``last`` one.
        target_edges: Whether a training step reads the edges that it predicts
            (``kept``), or not (``left_out``, with ``sampler="prefix"``).
        std: Standard deviation of the users' initial values.
    """

    def __init__(
        self,
        num_users: Size | None = None,
        *,
        dim: Size = 64,
        source: Literal["history", "graph"] = "history",
        join: Literal["add", "gate", "token"] = "add",
        relation: Literal["interacts", "user"] = "interacts",
        layers: Count = 2,
        readout: Readout = "mean",
        target_edges: TargetEdges = "kept",
        std: Weight = 0.02,
    ) -> None:
        super().__init__()
        self.dim, self.source, self.join = dim, source, join
        self.relation = RELATIONS[relation]
        self.requires = self.required_relations(self.options)
        self.layers = layers
        self.readout: Readout = readout
        self.target_edges: TargetEdges = target_edges
        self.table = None
        if source == "graph" and num_users is not None:
            self.table = nn.Parameter(torch.empty(num_users, dim))
            nn.init.normal_(self.table, std=std)
        self.map = nn.Linear(2 * dim if join == "gate" else dim, dim, bias=False)

    def misfits(self, graph: HeteroData) -> Iterator[str]:
        """Why the users' vectors are not those of a graph; nothing if they are."""
        if self.table is not None and INTERACTS in graph.edge_types:
            yield from other_users(self, len(self.table), graph)

    @classmethod
    def required_relations(cls, options: Mapping[str, Any]) -> tuple[EdgeType, ...]:
        """The events, and the graph of the users."""
        if options["source"] == "history":
            return ()
        return tuple(dict.fromkeys([INTERACTS, RELATIONS[options["relation"]]]))

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Options that the source does not read; vectors that no state depends on."""
        if options["source"] == "history":
            defaults = {"relation": "interacts", "target_edges": "kept"}
            for name, default in defaults.items():
                if options[name] != default:
                    yield InvalidOption(name, "only source='graph' reads it")
            return
        if options.get("num_users", 0) is None:
            yield InvalidOption("num_users", "expected the number of users, found None")
        if options["relation"] == "user":
            if options["target_edges"] == "left_out":
                message = (
                    "the edges between users count the items that they share, the "
                    "predicted ones included; set target_edges='kept'"
                )
                yield InvalidOption("target_edges", message)
        elif options["readout"] == "last" and options["layers"] % 2:
            message = (
                f"after {options['layers']} layers, the last vector of a user depends "
                "on items only; set readout='mean' or an even number of layers"
            )
            yield InvalidOption("readout", message)

    @staticmethod
    def check_sampler(users: Any, sampler: str) -> Iterator[str]:
        """Why training with a sampler would show the targets; nothing if it does not.

        Args:
            users: The part, its specification in a file, or ``None``.
            sampler: How training examples are cut from the sequences.
        """
        if users is None or sampler == "prefix":
            return
        if (users.source, users.join) == ("history", "token"):
            yield (
                "the first position would hold the mean of the whole row, targets "
                f"included; set sampler='prefix' (found {sampler!r}) or join='add'"
            )
        if users.source == "graph" and users.target_edges == "left_out":
            yield (
                "with a target at every position, target_edges='left_out' would leave "
                f"no edge of a user; set sampler='prefix' (found {sampler!r})"
            )

    def forward(
        self,
        items: Float[Tensor, "V D"],
        batch: Batch,
        graph: HeteroData,
        *,
        every_position: bool = False,
    ) -> Float[Tensor, "B *L D"]:
        """The user's vector of each row, or at each of its items.

        Args:
            items: The item vectors.
            batch: The sequences; a user id outside the graph is unseen.
            graph: The graph.
            every_position: Whether z is that of the prefix that ends at each position.
        """
        vectors, nodes = (
            embed_items(items, batch.items),
            self.nodes(items, batch, graph),
        )
        real = batch.items < len(items)
        return self.of_vectors(vectors, real, nodes, every_position=every_position)

    def of_vectors(
        self,
        x: Float[Tensor, "B L D"],
        real: Bool[Tensor, "B L"],
        nodes: UserNodes | None,
        *,
        every_position: bool = False,
    ) -> Float[Tensor, "B *L D"]:
        """The user's vector of each row, from the vectors of its items.

        Args:
            x: The vectors of the rows' items; zero elsewhere.
            real: True at real items.
            nodes: The rows' users in the graph, from :meth:`nodes`.
            every_position: Whether z is that of the prefix that ends at each position.
        """
        counted = real[..., None]
        if every_position:
            total, count = x.cumsum(dim=1), counted.cumsum(dim=1)
        else:
            total, count = x.sum(dim=1), counted.sum(dim=1)
        history = total / count.clamp(min=1)
        if nodes is None:
            return history
        vectors, known = nodes
        if every_position:
            vectors, known = vectors[:, None], known[:, None]
        return torch.where(known[..., None], vectors, history)

    def nodes(
        self, items: Float[Tensor, "V D"], batch: Batch, graph: HeteroData
    ) -> UserNodes | None:
        """The rows' users in the graph; ``None`` if z comes from the history.

        Args:
            items: The item vectors.
            batch: The sequences; a user id outside the graph is unseen.
            graph: The graph.
        """
        if self.table is None:
            return None
        number = len(self.table)
        events = operator(graph, INTERACTS)
        inside = (batch.user >= 0) & (batch.user < number)
        user, index = batch.user.where(inside, 0).unique(return_inverse=True)
        known = inside & (events.rows.pointers.diff()[user] > 0)[index]
        nodes: Tensor = self.table
        step = events
        if self.relation == INTERACTS:
            nodes = torch.cat([self.table, items])
            if self.training and self.target_edges == "left_out":
                step = operator(graph, INTERACTS, excluded=batch.target_edges())
        else:
            step = operator(graph, self.relation)
        found = propagate(nodes, step, self.layers, self.readout, user)
        return UserNodes(found[index], known)

    def combine(
        self, states: Float[Tensor, "N D"], users: Float[Tensor, "N D"]
    ) -> Float[Tensor, "N D"]:
        """The states with their users' vectors; with ``token``, unchanged."""
        if self.join == "token":
            return states
        if self.join == "add":
            return states + self.map(users)  # type: ignore[no-any-return]
        gate = torch.sigmoid(self.map(torch.cat([states, users], dim=1)))
        return gate * states + (1 - gate) * users


def has_token(users: Any) -> bool:
    """Whether a row begins with the token of its user.

    Args:
        users: The part, its specification in a file, or ``None``.
    """
    return getattr(users, "join", "") == "token"
