"""Incremental co-occurrence and transition edges.

A node has changed if its weights to other nodes may have. The lists of changed nodes
are computed again. Weights are the same in both directions, so these rows also give the
changes of the other lists: an unchanged node's list loses its changed neighbours, and
those whose new weight ranks no later than the list's last entry return. An edge outside
of a full list ranked after its last entry, and still does. So the k heaviest edges are
known if at least k of them rank within that limit; if fewer do, because weights fell,
the list is computed again as well.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.data import Vocabulary
from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.product import Factors, Integers, keep_strongest, sizes_of
from graphseq.graphs.progress import progress_callback

Mask = NDArray[np.bool_]
Entries = tuple[Integers, Integers, NDArray[np.float32]]
"""Rows, columns and weights, (E,) each."""

BY_DEGREE = ("cosine", "jaccard", "iuf")  # weights that depend on the nodes' degrees
BY_SIZE = ("adamic_adar", "iuf")  # weights that depend on the neighbours' degrees
NEVER = np.iinfo(np.int64).max // 2


def new_ids(older: HeteroData, newer: HeteroData, kind: str) -> Integers | None:
    """The ids in a newer graph of the nodes of an older one, (n,).

    ``None`` if nodes are gone or in another order: ties between edges of equal weight,
    which go to the smaller id, may then differ.
    """
    if "vocabulary" not in older[kind]:
        return None
    known: Vocabulary = newer[kind].vocabulary
    ids = known.encode(older[kind].vocabulary.ids, missing=-1)
    return ids if np.all(ids >= 0) and np.all(np.diff(ids) > 0) else None


def relation_matrix(
    graph: HeteroData, relation: EdgeType, ids: Integers, size: int
) -> csr_matrix:
    """The weights of a relation between nodes of one kind, under new ids.

    Edges stay sorted by source, then target, since the ids are ascending.
    """
    source, target = graph[relation].edge_index.cpu().numpy()
    weight = graph[relation].edge_weight.cpu().numpy()
    lengths = np.zeros(size, np.int64)
    lengths[ids] = np.bincount(source, minlength=len(ids))
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((weight, ids[target].astype(np.int32), pointers), (size, size))


def changed_nodes(step: CoOccurrence, old: csr_matrix, new: csr_matrix) -> Mask:
    """The nodes whose edge weights may have changed, (N,).

    The weight between two other nodes is the same as before.

    Args:
        step: The step that links the nodes.
        old: The neighbours of each node before, binary, (N, M).
        new: The same now.
    """
    before, now = (_hubs_cleared(nodes, step.hub_cap) for nodes in (old, new))
    difference = now - before
    difference.eliminate_zeros()
    changed: Mask = np.diff(difference.indptr) > 0
    if step.weight in BY_DEGREE:
        changed |= np.diff(old.indptr) != np.diff(new.indptr)
    if step.weight in BY_SIZE:
        resized = (sizes_of(before) != sizes_of(now)).astype(np.float32)
        changed |= now @ resized > 0
    return changed


def changed_sources(
    window: int, old: Integers, new: Integers, users: int, items: int
) -> Mask:
    """The items whose successors within a window may have changed, (V,).

    In the common prefix of a user's two sequences, successors are the same, except for
    the last ``window`` positions.

    Args:
        window: Largest distance between an item and its successor.
        old: User and item of every event before, by user, then time, (2, E).
        new: The same now.
        users: U.
        items: V.
    """
    (old_position, old_length, old_start), (position, length, _) = (
        _positions(events[0], users) for events in (old, new)
    )
    shorter = np.minimum(old_length, length)
    fork = np.where(old_length == length, NEVER, shorter)  # the first that differs
    shared = position < old_length[new[0]]
    other = old[1][(old_start[new[0]] + position)[shared]]
    differs = np.flatnonzero(shared)[other != new[1][shared]]
    np.minimum.at(fork, new[0][differs], position[differs])
    changed = np.zeros(items, dtype=np.bool_)
    for events, own in ((old, old_position), (new, position)):
        changed[events[1][own >= fork[events[0]] - window]] = True
    return changed


def update_edges(
    step: CoOccurrence, old: csr_matrix, nodes: csr_matrix, changed: Mask
) -> tuple[csr_matrix, Integers]:
    """The edges of all nodes now, and the rows that were computed.

    Args:
        step: The step that links the nodes. With ``top_k`` it must not use
            ``symmetrize="min"``, whose edges do not determine the lists of each end.
        old: The edges before, (N, N), sorted by column.
        nodes: The neighbours of each node now, binary, (N, M).
        changed: The nodes whose weights may differ from ``old``, (N,).
    """
    from graphseq.graphs.kernels import limits, within

    size, k = len(changed), step.top_k
    last = np.zeros(size, np.int64)  # the rank of the last entry of each full list
    if k is not None:
        last = limits(old.indptr, old.indices, old.data, k)
    listed = within(old.indptr, old.indices, old.data, last)
    row = np.repeat(np.arange(size), np.diff(old.indptr))
    lost = listed & changed[old.indices] & ~changed[row]
    entering = _entering(step, nodes, np.flatnonzero(changed), last, changed)
    gained = np.bincount(entering[0], minlength=size)
    fewer = np.bincount(row[lost], minlength=size)
    short = (last > 0) & (gained < fewer) & ~changed
    differs = changed | (gained > 0) | (fewer > 0)  # lists that may differ
    computed = np.concatenate([np.flatnonzero(changed), np.flatnonzero(short)])
    with progress_callback(lambda _: None):
        fresh = step.pruned(nodes, computed)
    stays = listed & (differs & ~changed & ~short)[row] & ~lost
    enters = ~short[entering[0]]
    row_in, column_in, weight_in = entering
    merged = _matrix(
        size,
        (row[stays], old.indices[stays], old.data[stays]),
        (row_in[enters], column_in[enters], weight_in[enters]),
    )
    if k is not None:
        merged = keep_strongest(merged, k)
    # Edges whose two lists are unchanged stay. If only one list has changed, the other
    # may still contain the edge.
    equal, facing = ~differs[row], differs[old.indices]
    half = equal & facing & listed
    rest = _matrix(
        size,
        (row[half], old.indices[half], old.data[half]),
        (_rows_of(merged, np.arange(size)), merged.indices, merged.data),
        (_rows_of(fresh, computed), fresh.indices, fresh.data),
    )
    return _selected(old, equal & ~facing) + step.symmetric(rest), computed


def _entering(
    step: CoOccurrence, nodes: csr_matrix, rows: Integers, last: Integers, changed: Mask
) -> Entries:
    """The edges from changed nodes that rank within the lists of unchanged ones."""
    from graphseq.graphs.kernels import entering

    factors = Factors.of(nodes, step.weight, step.hub_cap, rows)

    def compute(block: slice) -> Entries:
        found: Entries = entering(*factors.arguments(block), last, changed)
        return found

    return _joined(*factors.compute(compute, f"{step.kind}-{step.kind} edges"))


def _joined(*parts: Entries) -> Entries:
    row, column, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    return row, column, weight


def _rows_of(matrix: csr_matrix, ids: Integers) -> Integers:
    """The row of each entry, under the ids of the rows."""
    return np.repeat(ids, np.diff(matrix.indptr))


def _selected(matrix: csr_matrix, mask: Mask) -> csr_matrix:
    """The matrix of a part of its entries."""
    pointers = np.concatenate([[0], np.cumsum(mask)])[matrix.indptr]
    return csr_matrix((matrix.data[mask], matrix.indices[mask], pointers), matrix.shape)


def _matrix(size: int, *parts: Entries) -> csr_matrix:
    """A square matrix of entries without duplicates."""
    row, column, weight = _joined(*parts)
    matrix = csr_matrix((weight, (row, column)), (size, size))
    matrix.sort_indices()
    return matrix


def _positions(user: Integers, users: int) -> tuple[Integers, Integers, Integers]:
    """Position of each event in its user's sequence; length and start of each."""
    lengths = np.bincount(user, minlength=users)
    starts = np.cumsum(lengths) - lengths
    return np.arange(len(user)) - starts[user], lengths, starts


def _hubs_cleared(matrix: csr_matrix, cap: int | None) -> csr_matrix:
    """The matrix with empty columns for neighbours of more nodes than the cap."""
    if cap is None:
        return matrix
    kept = matrix.copy()
    kept.data[sizes_of(matrix)[matrix.indices] > cap] = 0
    kept.eliminate_zeros()
    return kept
