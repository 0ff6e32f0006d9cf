"""Build the graph of a split; read and write its relations as sparse matrices."""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from graphseq.constants import INTERACTS, ITEM, USER, EdgeType
from graphseq.data import Split, Vocabulary
from graphseq.data.arrays import as_rows
from graphseq.data.split import check_held_out
from graphseq.errors import GraphError
from graphseq.graphs.content import check_content
from graphseq.graphs.progress import report_step
from graphseq.schema import Configurable, describe

ROWS_AT_A_TIME = 1_000


def build_graph(split: Split, transforms: Sequence[BaseTransform] = ()) -> HeteroData:
    """Build one graph from the training events; attach the held-out events.

    Held-out events are never edges: a transform can reach them only through
    ``graph.validation`` and ``graph.test``. The user-item edges and their times share
    the memory of the split: clone them before writing to them.

    Args:
        split: Training events and held-out rows.
        transforms: Steps that add relations, in order; each is a PyG transform.

    Returns:
        A graph with

        * ``graph["user"]`` and ``graph["item"]``: num_nodes (U, V) and vocabulary;
        * ``graph["user", "interacts", "item"]``: edge_index (2, E) int64, the training
          events by user, then time, with repeats, so that the edges of a user are its
          sequence; time (E,) int64; weight (E,) float32, such as a rating, if the log
          has weights;
        * the relations of the transforms: edge_index (2, E), edge_weight (E,) float32;
        * ``graph.validation`` and ``graph.test``: :class:`graphseq.data.HeldOut`;
        * ``graph.provenance``: JSON data that describe how the graph was made.

    Raises:
        GraphError: The first argument is not a split, or the second not a list; two
            steps add the same relation; a
            transform of another package returns no graph, or one with edges, weights
            or an order of events that cannot be.
        DataError: The held-out rows of the split break the rules of :class:`.HeldOut`.
    """
    if not isinstance(split, Split) or isinstance(transforms, BaseTransform):
        raise GraphError(
            "build_graph takes a split and a list of transforms, as in build_graph("
            "leave_one_out(log), [CoOccurrence('item')]); found "
            f"{type(split).__name__} and {type(transforms).__name__}"
        )
    for transform in transforms:
        if not callable(transform):
            raise GraphError(
                f"a transform is an object, such as CoOccurrence('item'); found "
                f"{transform!r:.80}"
            )
    check_steps(transforms)
    train = split.train
    for part in ("validation", "test"):
        rows = getattr(split, part)
        check_held_out(rows, part, train.num_users, train.num_items)
    graph = HeteroData()
    graph[USER].num_nodes, graph[USER].vocabulary = train.num_users, train.users
    graph[ITEM].num_nodes, graph[ITEM].vocabulary = train.num_items, train.items
    edges = graph[INTERACTS]
    events = as_rows(train.user, train.item, train.time)
    edges.edge_index = torch.from_numpy(events[:2])
    edges.time = torch.from_numpy(events[2])
    if train.weight is not None:
        edges.weight = torch.tensor(train.weight)
    graph.validation, graph.test = split.validation, split.test
    for transform in transforms:
        report_step(transform)
        graph = apply_step(transform, graph)
    graph.provenance = provenance_of(split, transforms)
    return graph


def check_steps(transforms: Sequence[BaseTransform]) -> None:
    """Refuse two steps that add the same relation, of which the first would be lost.

    Raises:
        GraphError: Steps of the package add one relation, or vectors of items, twice.
    """
    first: dict[Any, Any] = {}
    for transform in _flat(transforms):
        if (added := getattr(transform, "adds", None)) is None:
            continue
        if added in first:
            raise GraphError(twice(added, _name(first[added]), _name(transform)))
        first[added] = transform


def _flat(transforms: Sequence[Any]) -> Iterator[Any]:
    """The transforms, with those that PyG's ``Compose`` holds."""
    for transform in transforms:
        inner = isinstance(transform, Compose)
        yield from _flat(transform.transforms) if inner else [transform]


def twice(added: EdgeType | str, first: str, second: str) -> str:
    """The message for two steps that add the same."""
    what = added if isinstance(added, str) else f"the relation {'–'.join(added)}"
    return (
        f"{first} and {second} both add {what}, and the second would replace what the "
        "first adds. Leave one of them out, or join what they read"
    )


def apply_step(transform: BaseTransform, graph: HeteroData) -> HeteroData:
    """The graph after a step; what a step of another package adds is checked.

    Raises:
        GraphError: The step returns no graph, or edges and weights that cannot be.
    """
    graph = transform(graph)
    if not isinstance(graph, HeteroData):
        raise GraphError(
            f"{_name(transform)} returned {type(graph).__name__}; a transform returns "
            "the graph"
        )
    if not type(transform).__module__.startswith("graphseq."):
        check_content(graph)
    return graph


def describe_steps(transforms: Sequence[BaseTransform]) -> list[Any]:
    """Transforms as JSON data, the same in every process."""
    return [_described(transform) for transform in transforms]


def _described(transform: Any) -> Any:
    """A transform as JSON data, with those that PyG's ``Compose`` holds."""
    if isinstance(transform, Configurable):
        return describe(transform)
    if isinstance(transform, Compose):
        return {"Compose": describe_steps(transform.transforms)}
    return _name(transform)


def _name(transform: Any) -> str:
    """The text of a transform; where that holds an address, the name of its class."""
    if inspect.isroutine(transform):
        return f"{transform.__module__}.{transform.__qualname__}"
    text = repr(transform)
    return text if " at 0x" not in text else type(transform).__qualname__


def provenance_of(split: Split, transforms: Sequence[BaseTransform]) -> dict[str, Any]:
    """How a graph was made; only ``counts`` depends on the held-out events."""
    return {
        "split": {"protocol": split.method, "parameters": describe(split.parameters)},
        "transforms": describe_steps(transforms),
        "has_time": split.train.has_time,
        "counts": {
            "users": split.train.num_users,
            "items": split.train.num_items,
            "training_events": len(split.train),
            "validation_users": len(split.validation.user),
            "test_users": len(split.test.user),
            "dropped": dict(split.dropped),
        },
    }


def require(graph: HeteroData, relation: EdgeType, reader: str) -> None:
    """Refuse a graph without a relation.

    Args:
        graph: Any graph.
        relation: The relation to read.
        reader: The reader's name, for the message.

    Raises:
        GraphError: The graph lacks the relation.
    """
    if relation not in graph.edge_types:
        raise GraphError(
            f"{reader} reads {relation} edges; this graph has {graph.edge_types}. "
            f"Start from build_graph(split), and list the step that adds {relation} "
            f"before this one."
        )


def raw_items(graph: HeteroData, reader: str) -> Vocabulary:
    """The raw ids of the items of a graph with events.

    Args:
        graph: Any graph.
        reader: The reader's name, for the message.

    Raises:
        GraphError: The graph lacks the events, or the raw ids.
    """
    require(graph, INTERACTS, reader)
    if "vocabulary" not in graph[ITEM]:
        raise GraphError(
            f"{reader} needs the raw ids of the items; this graph has no vocabulary. "
            "Start from build_graph(split)"
        )
    items: Vocabulary = graph[ITEM].vocabulary
    return items


def interaction_matrix(graph: HeteroData, reader: str) -> csr_matrix:
    """The binary user-item matrix of the training events, (U, V).

    Raises:
        GraphError: The graph has no user-item edges.
    """
    require(graph, INTERACTS, reader)
    return binary_matrix(graph, INTERACTS)


def binary_matrix(graph: HeteroData, relation: EdgeType) -> csr_matrix:
    """A relation as a matrix with a 1 for each pair, however often it occurs."""
    row, column = graph[relation].edge_index.cpu().numpy()
    shape = (graph[relation[0]].num_nodes, graph[relation[2]].num_nodes)
    matrix = csr_matrix((np.ones(len(row), np.float32), (row, column)), shape)
    matrix.data[:] = 1
    return matrix


def write_relation(
    graph: HeteroData, relation: EdgeType, matrix: csr_matrix
) -> HeteroData:
    """Store the entries of a matrix as edges, ordered by row, then column.

    The cached operator of older edges is dropped. The graph shares the memory of the
    weights: do not change the matrix afterwards. Its columns are freed before the rows
    are written, if the caller keeps no reference to it.
    """
    device = graph[INTERACTS].edge_index.device
    store = graph[relation]
    index = np.empty((2, matrix.nnz), np.int64)
    index[1] = matrix.indices
    pointers, weights = matrix.indptr, matrix.data.astype(np.float32, copy=False)
    del matrix
    for start in range(0, len(pointers) - 1, ROWS_AT_A_TIME):  # bounds temporaries
        some = pointers[start : start + ROWS_AT_A_TIME + 1]
        rows = np.arange(start, start + len(some) - 1)
        index[0, some[0] : some[-1]] = np.repeat(rows, np.diff(some))
    store.edge_index = torch.from_numpy(index).to(device)
    store.edge_weight = torch.from_numpy(weights).to(device)
    forget_operator(graph, relation)
    return graph


def forget_operator(graph: HeteroData, relation: EdgeType) -> None:
    """Drop the cached normalised adjacency of a relation whose edges have changed."""
    graph[relation].pop("operator", None)
