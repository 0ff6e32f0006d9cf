"""Build the graph of a split; read and write its relations as matrices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, ITEM, USER, EdgeType
from graphseq.data import Split
from graphseq.errors import GraphError
from graphseq.graphs.progress import begin
from graphseq.schema import Configurable, describe


def build_graph(split: Split, transforms: Sequence[BaseTransform] = ()) -> HeteroData:
    """The graph of a split's training events, with what is held out beside it.

    Held-out events are never edges: no transform can reach them but through
    ``graph.validation`` and ``graph.test``.

    Args:
        split: Training events and held-out rows.
        transforms: Steps that add relations, in order; each is a PyG transform.

    Returns:
        A graph with

        * ``graph["user"]`` and ``graph["item"]``: num_nodes (U, V) and vocabulary;
        * ``graph["user", "interacts", "item"]``: edge_index (2, E) int64, the training
          events by user, then time, repeats kept, so a user's run of edges is the
          user's sequence; time (E,) int64;
        * what the transforms add, with edge_index (2, E) and edge_weight (E,) float32;
        * ``graph.validation`` and ``graph.test``: :class:`graphseq.data.HeldOut`;
        * ``graph.provenance``: JSON data that says how all this was made.

    Raises:
        GraphError: There is no split, or no list of transforms.
    """
    if not isinstance(split, Split) or isinstance(transforms, BaseTransform):
        raise GraphError(
            "build_graph takes a split and a list of transforms, as in build_graph("
            f"leave_one_out(log), [CoOccurrence('item')]); found {_kind(split)} and "
            f"{_kind(transforms)}"
        )
    train = split.train
    graph = HeteroData()
    graph[USER].num_nodes, graph[USER].vocabulary = train.num_users, train.users
    graph[ITEM].num_nodes, graph[ITEM].vocabulary = train.num_items, train.items
    edges = graph[INTERACTS]
    edges.edge_index = torch.from_numpy(np.stack([train.user, train.item]))
    edges.time = torch.tensor(train.time)
    graph.validation, graph.test = split.validation, split.test
    for transform in transforms:
        begin(transform)
        graph = transform(graph)
    graph.provenance = provenance_of(split, transforms)
    return graph


def _kind(value: object) -> str:
    return type(value).__name__


def described(transforms: Sequence[BaseTransform]) -> list[Any]:
    """Steps as JSON data."""
    return [describe(t) if isinstance(t, Configurable) else repr(t) for t in transforms]


def provenance_of(split: Split, transforms: Sequence[BaseTransform]) -> dict[str, Any]:
    """How a graph was made; ``counts`` alone depends on what is held out."""
    return {
        "split": {"protocol": split.protocol, "parameters": describe(split.parameters)},
        "transforms": described(transforms),
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


PIECE = 10_000  # rows


def require(graph: HeteroData, relation: EdgeType, reader: str) -> None:
    """Refuse a graph that lacks a relation.

    Args:
        graph: Any graph.
        relation: What is to be read.
        reader: Who reads it, for the message.

    Raises:
        GraphError: If the relation is not there.
    """
    if relation not in graph.edge_types:
        raise GraphError(
            f"{reader} reads {relation} edges; this graph holds {graph.edge_types}. "
            f"Start from build_graph(split), and list the step that adds {relation} "
            f"before this one."
        )


def interaction_matrix(graph: HeteroData, reader: str) -> csr_matrix:
    """Who chose what in training, (U, V): a 1 for a pair however often it occurs.

    Raises:
        GraphError: If the graph has no user-item edges.
    """
    require(graph, INTERACTS, reader)
    user, item = graph[INTERACTS].edge_index.cpu().numpy()
    shape = (graph[USER].num_nodes, graph[ITEM].num_nodes)
    matrix = csr_matrix((np.ones(len(user), np.float32), (user, item)), shape)
    matrix.data[:] = 1
    return matrix


def write_relation(
    graph: HeteroData, relation: EdgeType, matrix: csr_matrix
) -> HeteroData:
    """Put the entries of a matrix into the graph as edges, ordered by row, then column.

    What was cached for older edges of that relation is dropped. The weights are not
    copied: leave the matrix alone afterwards.
    """
    device = graph[INTERACTS].edge_index.device
    store = graph[relation]
    index = np.empty((2, matrix.nnz), np.int64)
    lengths = np.diff(matrix.indptr)
    for start in range(0, len(lengths), PIECE):  # what lies between is never whole
        some = slice(*matrix.indptr[[start, min(start + PIECE, len(lengths))]])
        own = lengths[start : start + PIECE]
        index[0, some] = np.repeat(np.arange(start, start + len(own)), own)
    index[1] = matrix.indices
    weights = matrix.data.astype(np.float32, copy=False)
    store.edge_index = torch.from_numpy(index).to(device)
    store.edge_weight = torch.from_numpy(weights).to(device)
    forget_operator(graph, relation)
    return graph


def forget_operator(graph: HeteroData, relation: EdgeType) -> None:
    """Drop the normalised adjacency kept with a relation whose edges have changed."""
    graph[relation].pop("operator", None)
