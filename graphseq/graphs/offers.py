"""Inner loops of updates: what a list's last entry was, and what may now enter it.

As in :mod:`graphseq.graphs.compiled`, an entry is ranked by one integer: the bits of
its weight, then its column, counted from above; the larger comes first.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphseq.graphs.compiled import IDS, add_up, kept_code, weigh

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@kept_code
def limits(indptr: Ints, indices: Ints, data: Floats, k: int) -> Ints:
    """The rank of the k-th entry of each row, (R,); 0 where there are fewer than k."""
    found = np.zeros(len(indptr) - 1, np.int64)
    bits = data.view(np.int32)
    for row in range(len(found)):
        start, stop = indptr[row], indptr[row + 1]
        if stop - start < k:
            continue
        keys = np.empty(stop - start, np.int64)
        for place in range(start, stop):
            keys[place - start] = np.int64(bits[place]) << 32 | np.int64(
                IDS - indices[place]
            )
        found[row] = np.partition(keys, len(keys) - k)[len(keys) - k]
    return found


@kept_code
def within(indptr: Ints, indices: Ints, data: Floats, limits: Ints) -> Mask:
    """Which entries of a matrix come no later than the limit of their row, (E,)."""
    found = np.empty(len(indices), np.bool_)
    bits = data.view(np.int32)
    for row in range(len(indptr) - 1):
        for place in range(indptr[row], indptr[row + 1]):
            key = np.int64(bits[place]) << 32 | np.int64(IDS - indices[place])
            found[place] = key >= limits[row]
    return found


@kept_code
def offered(
    indptr: Ints,
    indices: Ints,
    ids: Ints,
    across: Ints,
    choosers: Ints,
    terms: Ints,
    degrees: Ints,
    kind: int,
    limits: Ints,
    closed: Mask,
) -> tuple[Ints, Ints, Floats]:
    """The edges of some nodes that come within the limits of their other ends.

    Args:
        indptr: Where the neighbours of each of R nodes begin in ``indices``, (R + 1,).
        indices: These neighbours.
        ids: The nodes themselves, (R,).
        across: Where the nodes that chose each neighbour begin in ``choosers``.
        choosers: These nodes, uint32.
        terms: What a shared neighbour adds to the sum of a pair; above 0.
        degrees: Neighbours of every node, (N,).
        kind: How an edge weighs.
        limits: Rank that an edge must reach in the row of its other end, (N,).
        closed: Other ends that are not asked for, (N,).

    Returns:
        The other ends (E,), the nodes (E,), and the weights (E,).
    """
    sums = np.zeros(len(degrees), terms.dtype)
    met = np.empty(len(degrees), np.uint32)
    others, nodes = np.empty(1024, np.int32), np.empty(1024, np.int32)
    weights, weight, end = np.empty(1024, np.float32), np.empty(1, np.float32), 0
    bits = weight.view(np.int32)
    for row in range(len(ids)):
        own, last = np.float64(degrees[ids[row]]), np.int64(IDS - ids[row])
        neighbours = indices[indptr[row] : indptr[row + 1]]
        count = add_up(neighbours, across, choosers, terms, sums, met)
        if end + count > len(nodes):
            room = 2 * len(nodes) + count
            others = np.concatenate((others, np.empty(room, np.int32)))
            nodes = np.concatenate((nodes, np.empty(room, np.int32)))
            weights = np.concatenate((weights, np.empty(room, np.float32)))
        for node in met[:count]:
            total = np.float64(sums[node])
            sums[node] = 0
            if closed[node]:  # among them the node itself
                continue
            weight[0] = weigh(kind, total, own, np.float64(degrees[node]))
            if np.int64(bits[0]) << 32 | last >= limits[node]:
                others[end], nodes[end] = node, ids[row]
                weights[end] = weight[0]
                end += 1
    return others[:end].copy(), nodes[:end].copy(), weights[:end].copy()
