"""The k heaviest entries of each row: exact, with ties going to the smaller id."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sparse_dot_topn import sp_matmul_topn

Integers = NDArray[np.integer[Any]]

WEIGHT_BITS = 31  # a float32 above zero, read as an integer, keeps its order
LARGEST = np.int64(np.float32(np.inf).view(np.int32))


def strongest(matrix: csr_matrix, k: int) -> csr_matrix:
    """Keep each row's k heaviest entries, in order of weight ↓, then column ↑.

    Row, weight and column are packed into one integer, so that a plain sort ranks
    everything and no tie is left to chance.

    Args:
        matrix: (R, C), float32 entries above 0, no entry twice.
        k: How many entries of a row stay.
    """
    id_bits = max(1, (matrix.shape[1] - 1).bit_length())
    most_rows = 1 << max(1, 63 - WEIGHT_BITS - id_bits)
    if matrix.shape[0] > most_rows:
        starts = range(0, matrix.shape[0], most_rows)
        parts = [strongest(matrix[start : start + most_rows], k) for start in starts]
        return vstack(parts, format="csr")
    lengths = np.diff(matrix.indptr)
    if not len(lengths) or lengths.max() <= k:
        return matrix
    row = np.repeat(np.arange(len(lengths)), lengths)
    crowded = lengths[row] > k
    light = LARGEST - matrix.data[crowded].view(np.int32)
    key = (row[crowded] << WEIGHT_BITS | light) << id_bits | matrix.indices[crowded]
    key.sort()
    key = key[_places(np.where(lengths > k, lengths, 0)) < k]
    weight = LARGEST - (key >> id_bits & (1 << WEIGHT_BITS) - 1)
    kept = weight.astype(np.int32).view(np.float32), key & (1 << id_bits) - 1
    data = np.concatenate([matrix.data[~crowded], kept[0]])
    rows = np.concatenate([row[~crowded], key >> id_bits + WEIGHT_BITS])
    columns = np.concatenate([matrix.indices[~crowded], kept[1]])
    return csr_matrix((data, (rows, columns)), matrix.shape)


def strongest_counts(
    rows: csr_matrix, columns: csr_matrix, k: int, distinct: int
) -> csr_matrix:
    """The k largest entries of each row of ``rows @ columns``, never made whole.

    The product of two binary matrices counts; sparse_dot_topn keeps the largest counts
    of a row but lets chance choose among equals. So each 1 in column j of the right
    factor is replaced by ``M + n - 1 - j``: entry (i, j) becomes its count times that.
    With M above (largest count · n), larger counts still come first, equal ones fall
    with j, no two entries of a row are equal, and ``// M`` gives the count back.

    Args:
        rows: Binary, (R, C).
        columns: Binary, (C, n).
        k: How many entries of a row stay.
        distinct: A bound on the counts.
    """
    n = columns.shape[1]
    base = np.int64(distinct * n + 1)
    marked = csr_matrix(
        (base + (n - 1 - columns.indices.astype(np.int64)), *_places_of(columns)),
        columns.shape,
    )
    if not rows.nnz or not columns.nnz:
        return csr_matrix((rows.shape[0], n), dtype=np.float32)
    found = sp_matmul_topn(rows.astype(np.int64), marked, top_n=k)
    counts = (found.data // base).astype(np.float32)
    return csr_matrix((counts, *_places_of(found)), found.shape)


def fits_in_marks(distinct: int, n: int) -> bool:
    """Whether counts up to ``distinct`` over n columns can be marked in 64 bits."""
    return distinct * (distinct * n + n + 1) < 2**63


def blocks(work: Integers, block_rows: int | None, budget: int) -> list[slice]:
    """Consecutive rows to treat at a time: by number, or by the work they make.

    Args:
        work: Cost of each row, (R,).
        block_rows: Rows of a block; ``None`` fills blocks up to the budget.
        budget: Work in a block, the block's first row aside.
    """
    total = len(work)
    if block_rows is None:
        reached = np.cumsum(work)
        filled = (reached - 1).clip(0) // budget
        cuts = np.flatnonzero(np.diff(filled)) + 1
        edges = np.concatenate([[0], cuts, [total]])
    else:
        edges = np.append(np.arange(0, total, block_rows), total)
    return [slice(a, b) for a, b in pairwise(edges.tolist())]


def _places(lengths: Integers) -> Integers:
    """0, 1, 2 … within each of some consecutive runs."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


def _places_of(matrix: csr_matrix) -> tuple[Integers, Integers]:
    return matrix.indices, matrix.indptr
