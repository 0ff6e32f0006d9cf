"""Incremental update of co-occurrence and transition edges.

Call a node changed if its weights to other nodes may have. The lists of changed nodes
are computed anew. Weights are the same in both directions, so their rows also say what
changed for the others: an unchanged node's list loses its changed neighbours, and those
whose new weight comes no later than the list's last entry come back. Whatever stood
outside of a full list came after its last entry, and still does. So the k heaviest are
known if at least k entries come within that limit; where fewer do, because weights
fell, the list is computed anew as well.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.data import Vocabulary
from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.product import Factors, sizes_of, strongest
from graphseq.graphs.progress import watching

Integers = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]
Entries = tuple[Integers, Integers, NDArray[np.float32]]
"""Rows, columns and weights, (E,) each."""


class Renewed(NamedTuple):
    """Edges of all nodes, and what it took to know them.

    Attributes:
        links: What the step makes of all nodes, (N, N).
        rows: Rows that were computed.
    """

    links: csr_matrix
    rows: Integers


def renewed(
    step: CoOccurrence, old: csr_matrix, nodes: csr_matrix, changed: Mask
) -> Renewed:
    """The edges of all nodes now.

    Args:
        step: What links them; if it prunes, not by ``symmetrize="min"``, of which the
            lists cannot be told from the edges.
        old: The edges before, (N, N), sorted by column.
        nodes: Which neighbours each node chose, binary, (N, M).
        changed: The nodes whose weights may differ from those of ``old``, (N,).
    """
    from graphseq.graphs.kernels import limits, within

    size, k = len(changed), step.top_k
    last = np.zeros(size, np.int64)  # the rank of the last entry of each full list
    if k is not None:
        last = limits(old.indptr, old.indices, old.data, k)
    listed = within(old.indptr, old.indices, old.data, last)
    row = np.repeat(np.arange(size), np.diff(old.indptr))
    lost = listed & changed[old.indices] & ~changed[row]
    rows = np.flatnonzero(changed)
    told = _told(step, nodes, rows, last, changed)
    gained = np.bincount(told[0], minlength=size)
    fewer = np.bincount(row[lost], minlength=size)
    short = (last > 0) & (gained < fewer) & ~changed
    other = changed | (gained > 0) | (fewer > 0)  # lists that may differ
    again = np.concatenate([rows, np.flatnonzero(short)])
    with watching(lambda _: None):
        fresh = step.kept(nodes, again)
    stays = listed & (other & ~changed & ~short)[row] & ~lost
    come = ~short[told[0]]
    merged = _matrix(size, _entries(old, row, stays), *_some(told, come))
    if k is not None:
        merged = strongest(merged, k)
    # Edges between lists that are the same stay; of others, one end may still list one.
    alike, facing = ~other[row], other[old.indices]
    rest = _matrix(
        size,
        _entries(old, row, alike & facing & listed),
        (
            np.repeat(np.arange(size), np.diff(merged.indptr)),
            merged.indices,
            merged.data,
        ),
        (np.repeat(again, np.diff(fresh.indptr)), fresh.indices, fresh.data),
    )
    return Renewed(_filtered(old, alike & ~facing) + step.joined(rest), again)


def _told(
    step: CoOccurrence, nodes: csr_matrix, rows: Integers, last: Integers, changed: Mask
) -> Entries:
    """What some rows say of the lists of the nodes that have not changed."""
    from graphseq.graphs.kernels import offered

    factors = Factors.of(nodes, step.weight, step.hub_cap, rows)

    def compute(part: slice) -> Entries:
        found: Entries = offered(*factors.arguments(part), last, changed)
        return found

    return _joined(list(factors.computed(compute, f"{step.kind}-{step.kind} edges")))


def _joined(parts: list[Entries]) -> Entries:
    row, column, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    return row, column, weight


def _entries(matrix: csr_matrix, row: Integers, kept: Mask) -> Entries:
    """Some entries of a matrix, given the row of each."""
    return row[kept], matrix.indices[kept], matrix.data[kept]


def _filtered(matrix: csr_matrix, kept: Mask) -> csr_matrix:
    """A matrix of some of its entries."""
    pointers = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return csr_matrix((matrix.data[kept], matrix.indices[kept], pointers), matrix.shape)


def _some(entries: Entries, kept: Mask) -> Iterator[Entries]:
    row, column, weight = entries
    yield row[kept], column[kept], weight[kept]


def _matrix(size: int, *parts: Entries) -> csr_matrix:
    """Some entries, of which no two have the same place, as a square matrix."""
    row, column, weight = _joined(list(parts))
    matrix = csr_matrix((weight, (row, column)), (size, size))
    matrix.sort_indices()
    return matrix


BY_DEGREE = ("cosine", "jaccard", "iuf")  # weights that depend on the nodes' degrees
BY_SIZE = ("adamic_adar", "iuf")  # weights that depend on the neighbours' degrees
NEVER = np.iinfo(np.int64).max // 2


def renumbered(older: HeteroData, newer: HeteroData, kind: str) -> Integers | None:
    """The ids that the nodes of an older graph have in a newer one, (n,).

    None if some are gone, or if they do not stand in the same order: ties between edges
    of one weight, which go to the smaller id, may then fall otherwise.
    """
    if "vocabulary" not in older[kind]:
        return None
    known: Vocabulary = newer[kind].vocabulary
    ids = known.encode(older[kind].vocabulary.ids, missing=-1)
    return ids if np.all(ids >= 0) and np.all(np.diff(ids) > 0) else None


def relation_matrix(
    graph: HeteroData, relation: EdgeType, ids: Integers, size: int
) -> csr_matrix:
    """The weights of a relation between nodes of one kind, under other ids.

    Edges are sorted by source, then target, and so they stay: the ids are ascending.
    """
    source, target = graph[relation].edge_index.cpu().numpy()
    weight = graph[relation].edge_weight.cpu().numpy()
    lengths = np.zeros(size, np.int64)
    lengths[ids] = np.bincount(source, minlength=len(ids))
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((weight, ids[target].astype(np.int32), pointers), (size, size))


def changed_nodes(step: CoOccurrence, old: csr_matrix, new: csr_matrix) -> Mask:
    """The nodes of whose edges to others the weights may have changed, (N,).

    The weight between two nodes that are not among them is what it was.

    Args:
        step: What links them.
        old: Which neighbours each node chose before, binary, (N, M).
        new: The same now.
    """
    cap = getattr(step, "hub_cap", None)
    before, now = _without_hubs(old, cap), _without_hubs(new, cap)
    changed: Mask = np.diff(_difference(before, now).indptr) > 0
    if step.weight in BY_DEGREE:
        changed |= np.diff(old.indptr) != np.diff(new.indptr)
    if step.weight in BY_SIZE:
        resized = (sizes_of(before) != sizes_of(now)).astype(np.float32)
        changed |= now @ resized > 0
    return changed


def changed_sources(
    window: int, old: Integers, new: Integers, users: int, items: int
) -> Mask:
    """The items whose followers within a window may have changed, (V,).

    What two sequences of a user share at their start has the followers that it had,
    but for the last ``window`` places before they part.

    Args:
        window: Steps within which one item follows another.
        old: User and item of every event before, by user, then time, (2, E).
        new: The same now.
        users: U.
        items: V.
    """
    (place, length, start), (places, lengths, _) = (
        _runs(e[0], users) for e in (old, new)
    )
    parting = np.where(length == lengths, NEVER, np.minimum(length, lengths))
    there = places < length[new[0]]
    other = old[1][(start[new[0]] + places)[there]]
    differs = np.flatnonzero(there)[other != new[1][there]]
    np.minimum.at(parting, new[0][differs], places[differs])
    changed = np.zeros(items, dtype=np.bool_)
    for events, position in ((old, place), (new, places)):
        changed[events[1][position >= parting[events[0]] - window]] = True
    return changed


def _runs(user: Integers, users: int) -> tuple[Integers, Integers, Integers]:
    """Place of each event in its user's run; length and start of each run."""
    lengths = np.bincount(user, minlength=users)
    starts = np.cumsum(lengths) - lengths
    return np.arange(len(user)) - starts[user], lengths, starts


def _difference(old: csr_matrix, new: csr_matrix) -> csr_matrix:
    """What changed; no entry where nothing did."""
    found = new - old
    found.eliminate_zeros()
    return found


def _without_hubs(matrix: csr_matrix, cap: int | None) -> csr_matrix:
    """The matrix without neighbours that more nodes chose than a cap allows."""
    if cap is None:
        return matrix
    kept = matrix.copy()
    kept.data[sizes_of(matrix)[matrix.indices] > cap] = 0
    kept.eliminate_zeros()
    return kept
