"""The normalised adjacency of a relation, built once and cached in the graph."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, identity
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE, INTERACTS, EdgeType, EventWeight
from graphseq.errors import GraphError
from graphseq.nn.sparse import CompressedRows, SymmetricOperator
from graphseq.nn.two_hops import TwoHops

SOURCES = ("edge_index", "edge_weight", "weight")  # what an operator is made of


class Variant(NamedTuple):
    """What distinguishes the operators that are cached for one relation.

    Attributes:
        undirected: Whether A + Aᵀ replaces A.
        self_loops: Whether each node has an edge of weight 1 to itself.
        event_weight: The weight of a user-item edge.
        max_fraction: Of :func:`two_hops` only.
    """

    undirected: bool = False
    self_loops: bool = False
    event_weight: EventWeight = "binary"
    max_fraction: float | None = None


def operator(
    graph: HeteroData,
    relation: EdgeType,
    *,
    undirected: bool = False,
    self_loops: bool = False,
    event_weight: EventWeight = "binary",
    excluded: Int[Tensor, "2 m"] | None = None,
) -> SymmetricOperator:
    """The normalised adjacency of one relation, built once and cached in the graph.

    User-item edges become the (U+V, U+V) block matrix [[0, R], [R^T, 0]], users first.
    An edge (i, j) of any other relation is the entry in row i and column j: i
    aggregates from j. Edges without ``edge_weight`` have weight 1. The result is cached
    in ``graph[relation].operator``, on the device of the edges, and follows
    ``graph.to(...)``; after a change of the edges or weights it is built again.

    An entry (i, j) is divided by the roots of the sum of row i and of the sum of
    column j: no entry exceeds 1, and none of a positive weight is 0. For a symmetric
    relation both sums are the degree.

    Departs from the source:
        PyG's ``gcn_norm`` divides by the column sums of both ends, which differ from
        these if the edges are not symmetric.

    Args:
        graph: Holds the relation.
        relation: The edges.
        undirected: Whether A + A^T replaces A.
        self_loops: Whether each node has an edge of weight 1 to itself.
        event_weight: The weight of a user-item edge: 1 (``binary``), the number of the
            pair's events (``count``), or the sum of their weights, such as ratings
            (``weight``).
        excluded: Edges to leave out of this call, (2, m), for a relation whose edges
            all weigh 1; the others are normalised again. Of user-item edges, users and
            items.

    Raises:
        GraphError: The graph does not have the relation, or no positive weights.
    """
    found = _cached(graph, relation, Variant(undirected, self_loops, event_weight))
    assert isinstance(found, SymmetricOperator)
    if excluded is None:
        return found
    first, second = excluded
    if relation == INTERACTS:
        second = second + int(graph["user"].num_nodes)
    return found.without_edges(first, second)


def two_hops(graph: HeteroData, max_fraction: float = 1.0) -> TwoHops:
    """The items that each item shares attributes with, built once and cached.

    Args:
        graph: With the relation of items and attributes.
        max_fraction: Attributes of more than this fraction of all items are ignored.

    Raises:
        GraphError: The graph has no attributes, or none is left.
    """
    found = _cached(graph, HAS_ATTRIBUTE, Variant(max_fraction=max_fraction))
    assert isinstance(found, TwoHops)
    return found


def _cached(
    graph: HeteroData, relation: EdgeType, variant: Variant
) -> SymmetricOperator | TwoHops:
    if relation not in graph.edge_types:
        raise GraphError(
            f"cannot propagate over {relation}: this graph holds {graph.edge_types}; "
            "add the relation when the graph is built, as in "
            'build_graph(split, [CoOccurrence("item")])'
        )
    store = graph[relation]
    sources = [store[name] for name in SOURCES if name in store]
    cache: dict[Any, Any] = store.get("operator", {})
    sizes = [int(graph[end].num_nodes) for end in (relation[0], relation[2])]
    if not _are_same(cache.get("edges"), sources, sizes):
        cache = {}
    if variant not in cache:
        matrix = _matrix(graph, relation, variant.event_weight)
        built: SymmetricOperator | TwoHops
        if variant.max_fraction is not None:
            built = _two_hops(matrix, variant.max_fraction)
        else:
            built = _normalised(matrix, relation, variant)
        cache = {**cache, variant: built.to(store.edge_index.device)}
    cache["edges"] = sources, [version_of(source) for source in sources], sizes
    store.operator = cache
    found: SymmetricOperator | TwoHops = cache[variant]
    return found


def _are_same(known: Any, sources: list[Tensor], sizes: list[int]) -> bool:
    """Whether edges are those of the cached operators, also in a copy of the graph.

    Where PyG has joined several graphs, it has joined their caches, too: not the same.
    """
    if known is None or len(known) != 3 or known[2] != sizes:
        return False
    if len(known[0]) != len(sources):
        return False
    for source, former, version in zip(sources, *known[:2], strict=True):
        if former is source:
            if version_of(source) != version:
                return False
        elif former.shape != source.shape or (
            not source.is_meta and (former.to(source.device) != source).any()
        ):
            return False
    return True


def version_of(tensor: Tensor) -> int:
    """How often a tensor was changed in place."""
    return 0 if tensor.is_inference() else tensor._version


def _matrix(graph: HeteroData, relation: EdgeType, weight: EventWeight) -> csr_matrix:
    """The edges of a relation as a matrix on the CPU."""
    store = graph[relation]
    row, column = store.edge_index.cpu().numpy()
    shape = (graph[relation[0]].num_nodes, graph[relation[2]].num_nodes)
    if relation == INTERACTS:
        return event_matrix(graph, weight)
    weights = np.ones(len(row), np.float32)
    if "edge_weight" in store:
        weights = store.edge_weight.cpu().numpy()
    return csr_matrix((weights, (row, column)), shape)


def event_matrix(graph: HeteroData, event_weight: EventWeight) -> csr_matrix:
    """The user-item matrix of the training events, (U, V).

    Args:
        graph: With user-item edges.
        event_weight: The entry of a pair, as for :func:`operator`.

    Raises:
        GraphError: The events have no weights, or their sums are not all positive.
    """
    store = graph[INTERACTS]
    row, column = store.edge_index.cpu().numpy()
    shape = (graph["user"].num_nodes, graph["item"].num_nodes)
    values = np.ones(len(row), np.float32)
    if event_weight == "weight":
        if "weight" not in store:
            raise GraphError(
                "the weights of events are to be read, and this log has none. Read it "
                "with its column of weights (--weight COLUMN, or weight= in read_log), "
                "or count events (event_weight='count')"
            )
        values = store.weight.cpu().numpy().astype(np.float32)
    matrix = csr_matrix((values, (row, column)), shape)
    if event_weight == "binary":
        matrix.data[:] = 1
    elif matrix.nnz and not (np.isfinite(matrix.data) & (matrix.data > 0)).all():
        raise GraphError(
            "weights must be positive, and the events of a user and an item add up to "
            f"{matrix.data.min():g}. Drop such events (--min-rating), or shift the "
            "weights above 0"
        )
    return matrix


def _normalised(
    matrix: csr_matrix, relation: EdgeType, variant: Variant
) -> SymmetricOperator:
    """R^-1/2 A C^-1/2 of a relation."""
    if relation[0] != relation[2]:
        matrix = _block(matrix)
    elif variant.undirected:
        matrix = matrix + matrix.T.tocsr()
    if variant.self_loops:
        matrix = (matrix + identity(matrix.shape[0], np.float32)).tocsr()
    flipped = matrix.T.tocsr()
    if _same(matrix, flipped):
        return SymmetricOperator(_scaled(matrix))
    return SymmetricOperator(_scaled(matrix, flipped), _scaled(flipped, matrix))


def _two_hops(matrix: csr_matrix, max_fraction: float) -> TwoHops:
    """Items over the attributes that at most a fraction of the items have."""
    sizes = np.diff(matrix.tocsc().indptr)
    kept = matrix[:, sizes <= max_fraction * matrix.shape[0]]
    if not kept.nnz:
        raise GraphError(
            f"each of the {matrix.shape[1]} attributes belongs to more than "
            f"{max_fraction:.0%} of the {matrix.shape[0]} items, so none links items; "
            "raise max_fraction"
        )
    kept.sort_indices()
    sizes = sizes[sizes <= max_fraction * matrix.shape[0]]
    values = (1 / np.sqrt(np.maximum(sizes, 1)))[kept.indices].astype(np.float32)
    return TwoHops.of(_compressed(kept, values), kept.shape[1])


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
    return _compressed(matrix, values)


def _compressed(matrix: csr_matrix, values: NDArray[np.float32]) -> CompressedRows:
    """The entries of a matrix with other values, with ids of 32 bits if they fit."""
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
