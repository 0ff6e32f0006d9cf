"""Propagation over a graph: X <- R^-1/2 A C^-1/2 X, without weights or self-loops.

R and C hold the row and column sums of A: the degrees D, if A is symmetric.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, EdgeType
from graphseq.errors import GraphError
from graphseq.nn.sparse import CompressedRows, SymmetricOperator
from graphseq.schema import Configurable, Count, Dropout

__all__ = ["CompressedRows", "Readout", "SymmetricOperator", "operator", "propagate"]

Readout = Literal["last", "mean"]


def propagate(
    x: Float[Tensor, "N D"],
    operator: SymmetricOperator,
    layers: int,
    readout: Readout = "last",
    rows: Int[Tensor, "n"] | None = None,
) -> Float[Tensor, "n D"]:
    r"""Node vectors after a number of steps of parameter-free propagation.

    .. math:: X^{(l)} = D^{-1/2} A D^{-1/2} X^{(l-1)}

    For a relation that is not symmetric, the first D holds the row sums of A and the
    second one its column sums.

    Source:
        Wu et al., "Simplifying Graph Convolutional Networks", 2019, arXiv:1902.07153,
        without self-loops: ``last``. He et al., LightGCN, 2020, arXiv:2002.02126,
        Eq. (7)-(8) with equal weights: ``mean``.

    Args:
        x: Vectors of all N nodes; for user-item edges users first, then items.
        operator: The normalised adjacency.
        layers: Number of steps; 0 returns x.
        readout: The ``last`` step (exactly 0 for a node without edges), or the
            ``mean`` of x and all steps.
        rows: Nodes to return, in this order, repeats allowed; ``None``: all. The last
            step is computed for these nodes only.

    Returns:
        (N, D), or (n, D) for the requested rows.
    """
    if layers < 0 or readout not in ("last", "mean"):
        raise GraphError(
            "propagate expects layers >= 0 and readout 'last' or 'mean'; found "
            f"layers={layers!r}, readout={readout!r}"
        )
    total = x if rows is None else x.index_select(0, rows)
    for layer in range(1, layers + 1):
        x = operator.multiply(x, rows if layer == layers else None)
        if readout == "mean":
            total = total + (x if layer == layers else _pick(x, rows))
    if readout == "mean":
        return total / (layers + 1)
    return x if layers else total


def operator(graph: HeteroData, relation: EdgeType) -> SymmetricOperator:
    """The normalised adjacency of one relation, built once and cached in the graph.

    User-item edges become the (U+V, U+V) block matrix [[0, R], [R^T, 0]], users first,
    with a 1 for each pair however often it occurs. An edge (i, j) of any other relation
    is the entry in row i and column j: i aggregates from j. Edges without
    ``edge_weight`` have weight 1. The result is cached as ``graph[relation].operator``,
    on the device of the edges, and follows ``graph.to(...)``; delete it after a change
    of the edges.

    An entry (i, j) is divided by the roots of the sum of row i and of the sum of
    column j: no entry exceeds 1, and none of a positive weight is 0. For a symmetric
    relation both sums are the degree.

    Departs from the source:
        PyG's ``gcn_norm`` divides by the column sums of both ends, which differ from
        these if the edges are not symmetric.

    Raises:
        GraphError: The graph does not have the relation.
    """
    if relation not in graph.edge_types:
        raise GraphError(
            f"cannot propagate over {relation}: this graph holds {graph.edge_types}; "
            "add the relation when the graph is built, as in "
            'build_graph(split, [CoOccurrence("item")])'
        )
    store = graph[relation]
    if "operator" not in store:
        store.operator = _normalised(graph, relation).to(store.edge_index.device)
    return store.operator  # type: ignore[no-any-return]


def _pick(x: Tensor, rows: Tensor | None) -> Tensor:
    return x if rows is None else x.index_select(0, rows)


def _normalised(graph: HeteroData, relation: EdgeType) -> SymmetricOperator:
    """D^-1/2 A D^-1/2 of a relation, on the CPU."""
    source, _, target = relation
    store = graph[relation]
    edges = store.edge_index.cpu().numpy()
    shape = (graph[source].num_nodes, graph[target].num_nodes)
    weight = np.ones(edges.shape[1], np.float32)
    if "edge_weight" in store:
        weight = store.edge_weight.cpu().numpy()
    matrix = csr_matrix((weight, (edges[0], edges[1])), shape)
    if source != target:
        if relation == INTERACTS:
            matrix.data[:] = 1
        return SymmetricOperator(_scaled(_block(matrix)))
    flipped = matrix.T.tocsr()
    if _same(matrix, flipped):
        return SymmetricOperator(_scaled(matrix))
    return SymmetricOperator(_scaled(matrix, flipped), _scaled(flipped, matrix))


def _block(matrix: csr_matrix) -> csr_matrix:
    """[[0, R], [R^T, 0]] of a (U, V) matrix R."""
    flipped = matrix.T.tocsr()
    nodes = sum(matrix.shape)
    pointers = np.concatenate([matrix.indptr, matrix.nnz + flipped.indptr[1:]])
    columns = np.concatenate([matrix.indices + matrix.shape[0], flipped.indices])
    values = np.concatenate([matrix.data, flipped.data])
    return csr_matrix((values, columns, pointers), (nodes, nodes))


def _same(a: csr_matrix, b: csr_matrix) -> bool:
    """Whether two matrices in canonical order hold the same entries."""
    pairs = ((a.indptr, b.indptr), (a.indices, b.indices), (a.data, b.data))
    return all(np.array_equal(x, y) for x, y in pairs)


def _scaled(matrix: csr_matrix, flipped: csr_matrix | None = None) -> CompressedRows:
    """Entry (i, j) over the roots of the sums of row i and of column j.

    Args:
        matrix: The adjacency.
        flipped: Its transpose, for the column sums; ``None`` if it is symmetric.
    """
    matrix.sort_indices()
    row = _inverse_roots(matrix)
    column = row if flipped is None else _inverse_roots(flipped)
    values = matrix.data * np.repeat(row, np.diff(matrix.indptr))
    values = (values * column[matrix.indices]).astype(np.float32)
    small = matrix.nnz <= np.iinfo(np.int32).max
    ids = torch.int32 if small else torch.int64
    return CompressedRows(
        torch.from_numpy(matrix.indptr).to(ids),
        torch.from_numpy(matrix.indices).to(ids),
        torch.from_numpy(values),
    )


def _inverse_roots(matrix: csr_matrix) -> NDArray[np.float64]:
    """One over the roots of the row sums; 0 where a sum is 0."""
    sums = np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()
    roots: NDArray[np.float64] = np.zeros(len(sums))
    np.divide(1, np.sqrt(sums), out=roots, where=sums > 0)
    return roots


class GraphEncoder(Configurable, nn.Module):
    """Parameter-free propagation over any relation, with edge dropout in training.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eq. (1).

    Args:
        layers: Steps, l.
        readout: The ``last`` step, or the ``mean`` of all.
        dropout: Probability of dropping an entry of the adjacency, drawn in each call.
    """

    def __init__(
        self, *, layers: Count = 2, readout: Readout = "last", dropout: Dropout = 0.0
    ) -> None:
        super().__init__()
        self.layers = layers
        self.readout: Readout = readout
        self.dropout = dropout

    def forward(
        self,
        graph: HeteroData,
        relation: EdgeType,
        nodes: Float[Tensor, "N D"],
        rows: Int[Tensor, "n"],
        excluded: Int[Tensor, "2 m"] | None = None,
    ) -> Float[Tensor, "n D"]:
        """Vectors of the requested nodes.

        Args:
            graph: Holds the relation.
            relation: The edges.
            nodes: Vectors of all nodes; for user-item edges users first.
            rows: Nodes to return.
            excluded: Edges to leave out, of a relation whose edges have weight 1.
        """
        step = operator(graph, relation)
        if excluded is not None:
            step = step.without_edges(*excluded)
        if self.training and self.dropout:
            step = step.dropout(self.dropout)
        return propagate(nodes, step, self.layers, self.readout, rows)
