"""Edges by co-occurrence after a change: from the old ones and the rows that changed.

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

from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.factors import Factors
from graphseq.graphs.progress import watching
from graphseq.graphs.pruning import strongest

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
    from graphseq.graphs.offers import limits, within

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
    from graphseq.graphs.offers import offered

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
