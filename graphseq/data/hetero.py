"""The events of a graph of PyG, such as its data sets AmazonBook and MovieLens100K."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from graphseq.constants import INTERACTS
from graphseq.data.arrays import Int64s
from graphseq.data.frames import parse_time_column
from graphseq.data.interactions import Interactions
from graphseq.data.vocabulary import Vocabulary
from graphseq.errors import DataError, GraphError

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

EdgeType = tuple[str, str, str]
LABELS = "edge_label_index"  # edges that PyG's own split holds out


def from_hetero(
    data: "HeteroData | Sequence[HeteroData]",
    relation: EdgeType | None = None,
    *,
    time: str | None = None,
    weight: str | None = None,
    include_held_out: bool | None = None,
) -> Interactions:
    """Interactions from the edges of one relation.

    Raw ids are the numbers of the nodes. Nodes without an edge stay in the vocabulary.

    Args:
        data: The graph, or a data set that holds one.
        relation: Edges from users to items; ``None``: the only ones that start at nodes
            named ``user``.
        time: Attribute of the edges with their times, (E,). ``None``: ``time``, if the
            edges have it; else their order is the order of the events.
        weight: Attribute of the edges with a weight of each event, such as ``rating``.
        include_held_out: Whether the edges that the data set holds out in
            ``edge_label_index`` are events too, after all others. They have no times
            and weights, so the others may have none. Required if there are such edges.

    Returns:
        The events, for a split of graphseq.

    Raises:
        DataError: The relation is missing or ambiguous; an attribute is missing or does
            not fit; times are in different units; held-out edges are neither included
            nor left out.
    """
    from torch.utils.data import Dataset

    given: Any = data
    holds_graphs = isinstance(given, Sequence | Dataset) and len(given) > 0  # type: ignore[arg-type]
    graph: Any = given[0] if holds_graphs else given
    if not hasattr(graph, "edge_types"):
        raise DataError(
            "from_hetero takes a HeteroData or a data set of one; found "
            f"{type(graph).__name__}. Pass the columns to Interactions.from_arrays"
        )
    relation = _relation(graph, relation)
    edges = graph[relation]
    if "edge_index" not in edges:
        raise DataError(
            f"the edges {relation} have no edge_index; they have "
            f"{', '.join(edges.keys())}. Load the graph without ToSparseTensor"
        )
    user, item = edges.edge_index.cpu().numpy()
    if time is None and "time" in edges:
        time = "time"
    times, steps = None, 0
    if time is not None:
        values = pl.Series(time, _column(edges, time, len(user)))
        times, steps = parse_time_column(values)
    weights = _column(edges, weight, len(user)) if weight is not None else None
    if LABELS in edges:
        user, item = _with_held_out(
            edges, user, item, include_held_out, times is None and weights is None
        )
    start, _, end = relation
    for kind in (start, end):
        if count_nodes(graph, kind) is None:
            raise DataError(
                f"the number of {kind} nodes is not known; set data[{kind!r}].num_nodes"
            )
    users, items = (int(graph[kind].num_nodes) for kind in (start, end))
    return Interactions.from_arrays(
        user,
        item,
        times,
        users=Vocabulary.numbered(users),
        items=Vocabulary.numbered(items),
        weight=weights,
        time_steps=steps,
    )


def count_nodes(graph: Any, kind: str) -> int | None:
    """The number of nodes of a kind, or None if the graph does not tell it."""
    with warnings.catch_warnings():  # PyG warns where it has to guess
        warnings.simplefilter("ignore")
        found: int | None = graph[kind].num_nodes
    return found


def check_event_order(graph: Any) -> None:
    """Refuse user-item edges that are not ordered by user, then time.

    The edges of a user are its sequence, so that edges in another order, or one added
    at the end, would be read as sequences of others.

    Raises:
        GraphError: They are in another order, or their times are not one for each.
    """
    if INTERACTS not in graph.edge_types:
        return
    store = graph[INTERACTS]
    user = store.edge_index[0]
    late = user[1:] < user[:-1]
    if "time" in store:
        if store.time.shape != user.shape:
            raise GraphError(
                f"{INTERACTS} has {len(user):,} edges and times of the shape "
                f"{tuple(store.time.shape)}; there must be one for each edge"
            )
        late |= (user[1:] == user[:-1]) & (store.time[1:] < store.time[:-1])
    if late.any():
        raise GraphError(
            f"{INTERACTS} is read as sequences, so its edges must be ordered by user, "
            f"then time, and edge {int(late.nonzero()[0]) + 1:,} is not. Sort "
            "edge_index, time and weight together"
        )


def _relation(graph: Any, relation: EdgeType | None) -> EdgeType:
    """The relation from users to items.

    Raises:
        DataError: It is missing, or there are several.
    """
    known: list[EdgeType] = [*graph.edge_types]
    listed = ", ".join(map(str, known)) or "none"
    if relation is not None:
        if relation not in known:
            raise DataError(f"the graph has no relation {relation}; it has {listed}")
        return relation
    found = [each for each in known if each[0] == "user" != each[2]]
    if len(found) != 1:
        raise DataError(
            "the events are the edges from users to items, and the graph has "
            f"{len(found)} relations from user to another kind of node; it has "
            f"{listed}. Pass relation=(…, …, …)"
        )
    return found[0]


def _column(edges: Any, name: str | None, size: int) -> Any:
    """An attribute of the edges as an array.

    Raises:
        DataError: It is missing, or has no value for each edge.
    """
    if name not in edges:
        listed = ", ".join(edges.keys())
        raise DataError(f"the edges have no attribute {name!r}; they have {listed}")
    from torch import bfloat16

    tensor = edges[name].detach().cpu()
    values = (tensor.float() if tensor.dtype == bfloat16 else tensor).numpy()
    if values.shape != (size,):
        raise DataError(
            f"the attribute {name!r} of {size:,} edges must have a value for each; "
            f"found the shape {values.shape}"
        )
    return values


def _with_held_out(
    edges: Any, user: Int64s, item: Int64s, include: bool | None, untimed: bool
) -> tuple[Int64s, Int64s]:
    """The events with those that the data set holds out, if they are to be included.

    Raises:
        DataError: ``include`` is needed and ``None``, the events have a time or a
            weight, or some of the edges are sampled negatives.
    """
    held_user, held_item = edges[LABELS].cpu().numpy()
    if include is None:
        raise DataError(
            f"the data set holds out {len(held_user):,} edges ({LABELS}), and a split "
            "of graphseq would hold out others. Pass include_held_out=True to make "
            "them events, or False to leave them out"
        )
    if not include:
        return user, item
    labels = edges.get("edge_label")
    if labels is not None and (labels == 0).any():
        raise DataError(
            f"{int((labels == 0).sum()):,} of the {len(held_user):,} edges that the "
            "data set holds out are pairs without an event (edge_label 0), as "
            "RandomLinkSplit adds them. Pass the graph before that split, or "
            "include_held_out=False"
        )
    if not untimed:
        raise DataError(
            f"the {len(held_user):,} edges that the data set holds out have no time "
            "and no weight, and the others have. Pass include_held_out=False"
        )
    return np.concatenate([user, held_user]), np.concatenate([item, held_item])
