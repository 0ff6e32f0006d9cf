"""Inner loops of co-occurrence and pruning, compiled by numba when first used.

A row's edges are ranked by one integer each: the bits of the weight (a float32 above
zero, read as an integer, keeps its order), then the neighbour's id, counted from above.
The largest are the heaviest, and of equal weights those of the smallest ids; no two are
equal. Sums are of integers, so that nothing depends on the order in which rows, blocks
and threads come.

The machine code is kept beside this file, or in the user's cache folder where that
cannot be written, or nowhere: then each process compiles anew (three seconds).
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

ONE = 2**32  # the unit of weights that are sums of logarithms, while they are summed
IDS = 2**32 - 1  # of 32 bits; a key has the bits of the weight above them
COUNT, BINARY, COSINE, JACCARD, ADAMIC_ADAR, IUF = range(6)
SAFE = 1 - 1e-6  # far more than a float64 or float32 is rounded by


def kept_code(function: Callable[..., Any]) -> Any:
    """Compile when first called, to run without the interpreter; keep the code."""
    function = inspect.unwrap(function)  # the tests wrap all functions, to check types
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # there is no folder to keep it in
        return njit(nogil=True)(function)


def part_code(function: Callable[..., Any]) -> Any:
    """Compile as a part of what calls it."""
    return njit(inspect.unwrap(function))


@kept_code
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
    """The heaviest co-occurrences of some nodes, by row, then column.

    Args:
        indptr: Where the neighbours of each of R nodes begin in ``indices``, (R + 1,).
        indices: These neighbours.
        ids: The nodes themselves, (R,).
        across: Where the nodes that chose each neighbour begin in ``choosers``.
        choosers: These nodes, uint32.
        terms: What a shared neighbour adds to the sum of a pair; above 0.
        degrees: Neighbours of every node, (N,).
        kind: How an edge weighs.
        most: How many edges a row keeps.
        room: A bound on the edges that all of them keep.

    Returns:
        Columns (E,), weights (E,), and the number of edges of each row (R,).
    """
    sums = np.zeros(len(degrees), terms.dtype)
    met = np.empty(len(degrees), np.uint32)
    columns, weights = np.empty(room, np.int32), np.empty(room, np.float32)
    lengths = np.empty(len(ids), np.int64)
    keys = np.empty(min(most, len(degrees)), np.int64)
    weight, rooted, end = np.empty(1, np.float32), kind in (COSINE, IUF), 0
    bits = weight.view(np.int32)
    for row in range(len(ids)):
        neighbours = indices[indptr[row] : indptr[row + 1]]
        count = add_up(neighbours, across, choosers, terms, sums, met)
        sums[ids[row]] = 0  # no node is linked to itself
        held, least, limit = 0, np.float32(0), 0.0
        own = np.float64(degrees[ids[row]])
        for node in met[:count]:
            total, other = np.float64(sums[node]), np.float64(degrees[node])
            sums[node] = 0
            # Most are too light by far, which is seen without a root or a division.
            if total == 0 or (rooted and total * total < limit * other):
                continue
            weight[0] = weigh(kind, total, own, other)
            if weight[0] < least:
                continue
            key = np.int64(bits[0]) << 32 | np.int64(IDS - node)
            held = _offer(keys, held, key)
            if held == len(keys):
                bits[0] = keys[0] >> 32
                least = weight[0]
                unit = 1.0 if kind == COSINE else float(ONE)
                limit = own * (least * unit) ** 2 * SAFE
        _write(keys[:held], columns[end:], weights[end:])
        lengths[row] = held
        end += held
    return columns[:end], weights[:end], lengths


@kept_code
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
        for place in range(indptr[row], indptr[row + 1]):
            key = np.int64(bits[place]) << 32 | np.int64(IDS - indices[place])
            held = _offer(keys, held, key)
        _write(keys[:held], columns[end:], weights[end:])
        end += held
    return columns, weights, lengths


@part_code
def add_up(
    neighbours: Ints, across: Ints, choosers: Ints, terms: Ints, sums: Ints, met: Ints
) -> int:
    """Add to the sum of every node that has some of these neighbours, for each.

    Returns:
        How many nodes there are; ``met`` begins with them.
    """
    count = 0
    for neighbour in neighbours:
        term = terms[neighbour]
        for node in choosers[across[neighbour] : across[neighbour + 1]]:
            before = sums[node]
            if before == 0:
                met[count] = node
                count += 1
            sums[node] = before + term
    return count


@part_code
def weigh(kind: int, total: float, own: float, other: float) -> float:
    """The weight of an edge, from what its ends share and their degrees."""
    if kind == COUNT:
        return total
    if kind == BINARY:
        return 1.0
    if kind == COSINE:
        return np.sqrt(total * total / (own * other))  # type: ignore[no-any-return]
    if kind == JACCARD:
        return total / (own + other - total)
    if kind == ADAMIC_ADAR:
        return total / ONE
    return total / ONE / np.sqrt(own * other)  # type: ignore[no-any-return]


@part_code
def _offer(keys: Ints, held: int, key: int) -> int:
    """Keep a key if it is among the largest; once full, the smallest comes first."""
    if held < len(keys):
        keys[held] = key
        held += 1
        if held == len(keys):
            for place in range(held // 2 - 1, -1, -1):
                _sink(keys, place)
    elif key > keys[0]:
        keys[0] = key
        _sink(keys, 0)
    return held


@part_code
def _sink(heap: Ints, place: int) -> None:
    """Move a key down until none below it is smaller."""
    key = heap[place]
    while True:
        below = 2 * place + 1
        if below + 1 < len(heap) and heap[below + 1] < heap[below]:
            below += 1
        if below >= len(heap) or heap[below] >= key:
            break
        heap[place] = heap[below]
        place = below
    heap[place] = key


@part_code
def _write(keys: Ints, columns: Ints, weights: Floats) -> None:
    """Write out a row's keys by column."""
    bits = weights.view(np.int32)
    for place in range(len(keys)):
        keys[place] = (IDS - (keys[place] & IDS)) << 31 | keys[place] >> 32
    keys.sort()
    for place in range(len(keys)):
        columns[place] = keys[place] >> 31
        bits[place] = keys[place] & (2**31 - 1)


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
