"""The k heaviest entries of each row: exact, with ties going to the smaller id."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Integers = NDArray[np.integer[Any]]
Rows = tuple[Integers, NDArray[np.float32], Integers]
"""Columns (E,) and weights (E,) of some rows, and the entries of each row (R,)."""

LARGEST = np.int64(np.float32(np.inf).view(np.int32))  # as integers, weights are below


def strongest(matrix: csr_matrix, k: int) -> csr_matrix:
    """Keep each row's k heaviest entries: by weight ↓, then column ↑.

    Args:
        matrix: (R, C), float32 entries above 0, no entry twice.
        k: How many entries of a row stay.
    """
    from graphseq.graphs.compiled import heaviest

    k = min(k, max(1, matrix.shape[1]))
    found = heaviest(matrix.indptr, matrix.indices, matrix.data, k)
    return stacked([found], matrix.shape)


def stacked(parts: Iterable[Rows], shape: tuple[int, int]) -> csr_matrix:
    """Rows that were found a block at a time, as one matrix."""
    columns, weights, lengths = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    matrix = csr_matrix((weights, columns, pointers), shape)
    matrix.has_sorted_indices = True
    return matrix


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
        edges = np.append(np.arange(0, max(total, 1), block_rows), total)
    return [slice(a, b) for a, b in pairwise(edges.tolist())]
