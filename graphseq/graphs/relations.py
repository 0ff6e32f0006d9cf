"""Relations of a graph as matrices, and back."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM, USER, EdgeType
from graphseq.errors import GraphError

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
