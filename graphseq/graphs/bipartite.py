"""From a split to the one data object that every model reads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, ITEM, USER
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
