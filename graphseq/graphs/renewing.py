"""Edges by co-occurrence after a change: from the old ones and the rows that changed.

Call a node changed if its weights to other nodes may have. The rows of changed nodes
are computed anew, with all their edges. Weights are the same in both directions, so
these rows also say what changed in the rows of the others: an unchanged node's list
loses its changed neighbours and gets them back with their new weights. Whatever stood
outside of a full list came after its last entry, and still does. So the k heaviest are
known if at least k of the entries come no later than that last entry came before;
where fewer do, because weights fell, the row is computed anew as well.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, vstack

from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.progress import tracked, watching
from graphseq.graphs.pruning import blocks, strongest

Integers = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]

NO_LIMIT = np.iinfo(np.int64).max
HEAVIEST = np.int64(np.float32(np.inf).view(np.int32))
ROOM = 8_000_000  # multiply-adds of the rows treated at a time: some 200 MB


class Renewed(NamedTuple):
    """Edges that nodes keep, and what it took to know them.

    Attributes:
        links: What :meth:`CoOccurrence.kept` gives, (N, N).
        rows: Rows that were computed.
    """

    links: csr_matrix
    rows: Integers


def operations(nodes: csr_matrix) -> Integers:
    """Multiply-adds that each row of the co-occurrences takes, (N,)."""
    sizes = np.bincount(nodes.indices, minlength=nodes.shape[1])
    found: Integers = np.rint(nodes @ sizes.astype(np.float64)).astype(np.int64)
    return found


def renewed(
    step: CoOccurrence, old: csr_matrix, nodes: csr_matrix, changed: Mask
) -> Renewed:
    """The edges that nodes keep now.

    Args:
        step: What links them; if it prunes, not by ``symmetrize="min"``, of which the
            lists cannot be told from the edges.
        old: The edges before, both directions joined as the step says, (N, N).
        nodes: Which neighbours each node chose, binary, (N, M).
        changed: The nodes whose weights may differ from those of ``old``, (N,).
    """
    lists = old
    if step.top_k is not None and step.symmetrize == "max":
        lists = strongest(old, step.top_k)  # what came from the other end comes later
    limits = _limits(lists, step.top_k)
    own, told = _rows_of(step, nodes, changed, limits)
    known = lists.tocoo()
    stays = ~changed[known.row] & ~changed[known.col]
    merged = _matrix(lists.shape, _part(known, stays), told)
    short = np.zeros(len(changed), dtype=np.bool_)
    if step.top_k is not None:
        counts = np.diff(merged.indptr)
        short = (limits < NO_LIMIT) & (counts < step.top_k) & ~changed
        merged = strongest(merged, step.top_k)
    again, lacking = np.flatnonzero(changed), np.flatnonzero(short)
    fresh = _placed(step.kept(nodes, lacking), lacking) if len(lacking) else None
    entries = merged.tocoo()
    parts = [_part(entries, ~short[entries.row]), own, fresh]
    links = _matrix(lists.shape, *(part for part in parts if part is not None))
    return Renewed(links, np.concatenate([again, lacking]))


def _rows_of(
    step: CoOccurrence, nodes: csr_matrix, changed: Mask, limits: Integers
) -> tuple[coo_matrix, coo_matrix]:
    """What changed nodes keep, and what others may keep of them, both (N, N)."""
    whole = CoOccurrence(**step.options | {"top_k": None, "symmetrize": "none"})
    rows = np.flatnonzero(changed)
    work = operations(nodes)[rows]
    steps = blocks(work, None, ROOM)
    own, told = [csr_matrix((0, len(changed)), dtype=np.float32)], []
    for block in tracked(
        steps,
        (int(work[step].sum()) for step in steps),
        stage=f"{step.kind}-{step.kind} edges",
        unit="multiply-adds",
    ):
        with watching(lambda _: None):
            part = whole.kept(nodes, rows[block])
        own.append(part if step.top_k is None else strongest(part, step.top_k))
        back = _placed(part, rows[block]).T
        near = ~changed[back.row]
        near[near] = _keys(_part(back, near)) <= limits[back.row[near]]
        told.append(_part(back, near))
    shape = (len(changed), len(changed))
    return _placed(vstack(own), rows), _matrix(shape, *told).tocoo()


def _limits(lists: csr_matrix, k: int | None) -> Integers:
    """What comes no later than the last entry of each row has at most this key, (N,).

    Rows with fewer than k entries hold all there are: they have no limit.
    """
    lengths = np.diff(lists.indptr)
    limits = np.full(len(lengths), NO_LIMIT)
    full = np.flatnonzero(lengths >= (k or NO_LIMIT))
    if len(full):
        kept = lists[full]
        limits[full] = np.maximum.reduceat(_keys(kept.tocoo()), kept.indptr[:-1])
    return limits


def _keys(entries: coo_matrix) -> Integers:
    """Smaller where an entry is heavier, then where its column is smaller, (E,)."""
    id_bits = max(1, (entries.shape[1] - 1).bit_length())
    light = HEAVIEST - entries.data.view(np.int32)
    keys: Integers = light << id_bits | entries.col.astype(np.int64)
    return keys


def _placed(rows: csr_matrix, places: Integers) -> coo_matrix:
    """Some rows of a square matrix, in their places."""
    found, size = rows.tocoo(), rows.shape[1]
    return coo_matrix((found.data, (places[found.row], found.col)), (size, size))


def _part(entries: coo_matrix, kept: Mask) -> coo_matrix:
    columns = entries.data[kept], (entries.row[kept], entries.col[kept])
    return coo_matrix(columns, entries.shape)


def _matrix(shape: tuple[int, int], *parts: coo_matrix) -> csr_matrix:
    """All entries of some matrices, of which no two have the same place."""
    if not parts:
        return csr_matrix(shape, dtype=np.float32)
    data, row, col = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("data", "row", "col")
    )
    matrix = csr_matrix((data, (row, col)), shape)
    matrix.sort_indices()
    return matrix
