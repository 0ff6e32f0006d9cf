"""Inner loops of co-occurrence, pruning and updates, compiled by numba on first use.

One integer, a key, ranks each edge of a row: the bits of the weight (the bits of
positive float32 numbers sort like the numbers), then the complement of the neighbour's
id. The largest key is the heaviest edge, ties go to the smallest id, and no two keys
are equal. Sums are integers, so the order of rows, blocks and threads does not matter.

numba caches the machine code next to this file or in the user's cache folder. If it can
write neither, each process compiles for three seconds.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from graphseq.graphs.product import ONE

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

IDS = 2**32 - 1  # 32 bits; the bits of the weight are above them in a key
COUNT, BINARY, COSINE, JACCARD, ADAMIC_ADAR, IUF = range(6)
SAFE = 1 - 1e-6  # a margin far above the rounding of float64 and float32


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a kernel on its first call, without the GIL, and cache the code."""
    function = inspect.unwrap(function)  # the tests wrap all functions to check types
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to cache it in
        return njit(nogil=True)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call."""
    return njit(inspect.unwrap(function))


@compiled
def shared(
    indptr: Ints,
    indices: Ints,
    ids: Ints,
    across: Ints,
    choosers: Ints,
    terms: Ints,
    degrees: Ints,
    kind: int,
    most: int,
    room: int,
) -> tuple[Ints, Floats, Ints]:
    """The heaviest co-occurrences of R nodes, by row, then column.

    Args:
        indptr: Where the neighbours of each of R nodes begin in ``indices``, (R + 1,).
        indices: These neighbours.
        ids: The nodes themselves, (R,).
        across: Where the nodes that chose each neighbour begin in ``choosers``.
        choosers: These nodes, uint32.
        terms: What each shared neighbour adds to the sum of a pair; above 0.
        degrees: Neighbours of every node, (N,).
        kind: Number of the edge weight.
        most: Edges that a row keeps.
        room: An upper bound on the edges of all rows.

    Returns:
        Columns (E,), weights (E,), and the number of edges of each row (R,).
    """
    sums = np.zeros(len(degrees), terms.dtype)
    columns, weights = np.empty(room, np.int32), np.empty(room, np.float32)
    lengths = np.empty(len(ids), np.int64)
    keys = np.empty(min(most, len(degrees)), np.int64)
    weight, rooted, end = np.empty(1, np.float32), kind in (COSINE, IUF), 0
    by_degree = rooted or kind == JACCARD
    bits = weight.view(np.int32)
    for row in range(len(ids)):
        neighbours = indices[indptr[row] : indptr[row + 1]]
        add_up(neighbours, across, choosers, terms, sums)
        sums[ids[row]] = 0  # no node is linked to itself
        held, least, limit = 0, np.int64(IDS), 0.0
        own = np.float64(degrees[ids[row]])
        for neighbour in neighbours:
            for node in choosers[across[neighbour] : across[neighbour + 1]]:
                total = np.float64(sums[node])
                sums[node] = 0  # so that a node counts once
                other = np.float64(degrees[node]) if by_degree else 0.0
                # Most edges are far too light: skip them without a root or a division.
                if rooted and total * total < limit * other:
                    continue
                weight[0] = weigh(kind, total, own, other)
                key = np.int64(bits[0]) << 32 | np.int64(IDS - node)
                if key <= least:
                    continue
                held = _offer(keys, held, key)
                if held == len(keys):
                    least = keys[0]
                    bits[0] = least >> 32
                    unit = 1.0 if kind == COSINE else float(ONE)
                    limit = own * (weight[0] * unit) ** 2 * SAFE
        _write(keys[:held], columns[end:], weights[end:])
        lengths[row] = held
        end += held
    return columns[:end], weights[:end], lengths


@compiled
def heaviest(
    indptr: Ints, indices: Ints, data: Floats, most: int
) -> tuple[Ints, Floats, Ints]:
    """The heaviest entries of each row of a matrix, in the form of :func:`shared`."""
    rows = len(indptr) - 1
    lengths = np.minimum(indptr[1:] - indptr[:-1], most)
    room, end, keys = lengths.sum(), 0, np.empty(most, np.int64)
    columns, weights = np.empty(room, np.int32), np.empty(room, np.float32)
    bits = data.view(np.int32)
    for row in range(rows):
        held = 0
        for at in range(indptr[row], indptr[row + 1]):
            key = np.int64(bits[at]) << 32 | np.int64(IDS - indices[at])
            held = _offer(keys, held, key)
        _write(keys[:held], columns[end:], weights[end:])
        end += held
    return columns, weights, lengths


@inlined
def add_up(
    neighbours: Ints, across: Ints, choosers: Ints, terms: Ints, sums: Ints
) -> None:
    """Add the terms of neighbours to the sums of all their nodes.

    The loop does nothing else: a branch on each sum costs more than a second pass.
    """
    for neighbour in neighbours:
        term = terms[neighbour]
        for node in choosers[across[neighbour] : across[neighbour + 1]]:
            sums[node] += term


@inlined
def weigh(kind: int, total: float, own: float, other: float) -> float:
    """The weight of an edge, from the sum and the degrees of its ends."""
    if kind == COUNT:
        return total
    if kind == BINARY:
        return min(total, 1.0)
    if kind == COSINE:
        return np.sqrt(total * total / (own * other))  # type: ignore[no-any-return]
    if kind == JACCARD:
        return total / (own + other - total)
    if kind == ADAMIC_ADAR:
        return total / ONE
    return total / ONE / np.sqrt(own * other)  # type: ignore[no-any-return]


@inlined
def _offer(keys: Ints, held: int, key: int) -> int:
    """Keep a key if it is among the largest; a full array is a heap, smallest first."""
    if held < len(keys):
        keys[held] = key
        held += 1
        if held == len(keys):
            for at in range(held // 2 - 1, -1, -1):
                _sink(keys, at)
    elif key > keys[0]:
        keys[0] = key
        _sink(keys, 0)
    return held


@inlined
def _sink(heap: Ints, at: int) -> None:
    """Move a key down the heap until no child is smaller."""
    key = heap[at]
    while True:
        below = 2 * at + 1
        if below + 1 < len(heap) and heap[below + 1] < heap[below]:
            below += 1
        if below >= len(heap) or heap[below] >= key:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = key


@inlined
def _write(keys: Ints, columns: Ints, weights: Floats) -> None:
    """Write the columns and weights of keys, sorted by column."""
    bits = weights.view(np.int32)
    for at in range(len(keys)):
        keys[at] = (IDS - (keys[at] & IDS)) << 31 | keys[at] >> 32
    keys.sort()
    for at in range(len(keys)):
        columns[at] = keys[at] >> 31
        bits[at] = keys[at] & (2**31 - 1)


@compiled
def limits(indptr: Ints, indices: Ints, data: Floats, k: int) -> Ints:
    """The key of the k-th entry of each row, (R,); 0 if the row has fewer than k."""
    found = np.zeros(len(indptr) - 1, np.int64)
    bits = data.view(np.int32)
    for row in range(len(found)):
        start, stop = indptr[row], indptr[row + 1]
        if stop - start < k:
            continue
        keys = np.empty(stop - start, np.int64)
        for at in range(start, stop):
            keys[at - start] = np.int64(bits[at]) << 32 | np.int64(IDS - indices[at])
        found[row] = np.partition(keys, len(keys) - k)[len(keys) - k]
    return found


@compiled
def within(indptr: Ints, indices: Ints, data: Floats, limits: Ints) -> Mask:
    """Whether each entry ranks no later than the limit of its row, (E,)."""
    found = np.empty(len(indices), np.bool_)
    bits = data.view(np.int32)
    for row in range(len(indptr) - 1):
        for at in range(indptr[row], indptr[row + 1]):
            key = np.int64(bits[at]) << 32 | np.int64(IDS - indices[at])
            found[at] = key >= limits[row]
    return found


@compiled
def entering(
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
    """The edges of R nodes that rank within the lists of their other ends.

    The arguments are those of :func:`shared`, and two of all N nodes: ``limits``, the
    key that an edge must reach in the row of its other end, and ``closed``, the other
    ends to ignore, among them the R nodes.

    Returns:
        The other ends (E,), the nodes (E,), and the weights (E,).
    """
    sums = np.zeros(len(degrees), terms.dtype)
    others, nodes = np.empty(1024, np.int32), np.empty(1024, np.int32)
    weights, weight, end = np.empty(1024, np.float32), np.empty(1, np.float32), 0
    bits = weight.view(np.int32)
    for row in range(len(ids)):
        own, last = np.float64(degrees[ids[row]]), np.int64(IDS - ids[row])
        neighbours = indices[indptr[row] : indptr[row + 1]]
        add_up(neighbours, across, choosers, terms, sums)
        for neighbour in neighbours:
            for node in choosers[across[neighbour] : across[neighbour + 1]]:
                total = np.float64(sums[node])
                sums[node] = 0
                if total == 0 or closed[node]:
                    continue
                weight[0] = weigh(kind, total, own, np.float64(degrees[node]))
                if np.int64(bits[0]) << 32 | last < limits[node]:
                    continue
                if end == len(nodes):
                    others = np.concatenate((others, np.empty(end, np.int32)))
                    nodes = np.concatenate((nodes, np.empty(end, np.int32)))
                    weights = np.concatenate((weights, np.empty(end, np.float32)))
                others[end], nodes[end] = node, ids[row]
                weights[end] = weight[0]
                end += 1
    return others[:end].copy(), nodes[:end].copy(), weights[:end].copy()
