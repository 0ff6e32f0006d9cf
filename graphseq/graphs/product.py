"""The co-occurrence product: its factors, blocks of rows in threads, top-k pruning."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from graphseq import runtime
from graphseq.constants import EdgeWeight
from graphseq.graphs.progress import track

Integers = NDArray[np.integer[Any]]
Rows = tuple[Integers, NDArray[np.float32], Integers]
"""Columns (E,) and weights (E,) of a block of rows, and entries of each row (R,)."""

Result = TypeVar("Result")

BLOCK_WORK = 8_000_000  # multiply-adds in a block of rows: a tenth of a second
ONE = 2**32  # fixed-point unit of sums of inverse logarithms


@dataclass(frozen=True)
class Factors:
    """The arguments of the loops in :mod:`graphseq.graphs.kernels`.

    Attributes:
        chosen: The neighbours of R nodes among M, binary, (R, M).
        across: The nodes of each neighbour, (M, N).
        ids: The node of each row, (R,).
        terms: What each shared neighbour adds to a pair, (M,).
        degrees: Neighbours of every node, hubs included, (N,).
        kind: Number of the edge weight in the kernels.
        work: Multiply-adds of each row, (R,).
    """

    chosen: csr_matrix
    across: csr_matrix
    ids: Integers
    terms: Integers
    degrees: Integers
    kind: int
    work: Integers

    @classmethod
    def of(
        cls,
        nodes: csr_matrix,
        weight: EdgeWeight,
        hub_cap: int | None,
        rows: Integers | None = None,
    ) -> "Factors":
        """The factors for rows of a node-neighbour matrix (N, M); default: all rows."""
        degrees, kept = np.diff(nodes.indptr), without_hubs(nodes, hub_cap)
        sizes, chosen = sizes_of(kept), kept if rows is None else kept[rows]
        return cls(
            chosen=chosen,
            across=kept.T.tocsr(),
            ids=np.arange(len(degrees)) if rows is None else np.asarray(rows, np.int64),
            terms=terms_of(weight, sizes),
            degrees=degrees,
            kind=get_args(EdgeWeight).index(weight),
            work=_work(chosen, sizes),
        )

    def arguments(self, block: slice) -> tuple[Any, ...]:
        """The first arguments of a kernel for a block of rows."""
        return (
            self.chosen.indptr[block.start : block.stop + 1],
            self.chosen.indices,
            self.ids[block],
            self.across.indptr,
            self.across.indices.astype(np.int32, copy=False).view(np.uint32),
            self.terms,
            self.degrees,
            self.kind,
        )

    def compute(
        self,
        function: Callable[[slice], Result],
        stage: str,
        block_rows: int | None = None,
    ) -> Iterator[Result]:
        """Apply a function to all blocks of rows in threads; yield results in order.

        Args:
            function: Computes one block.
            stage: Name of the stage in progress reports.
            block_rows: Rows of a block; ``None`` fills blocks with equal work.
        """
        parts = blocks(self.work, block_rows, BLOCK_WORK)
        return track(
            _in_threads(function, parts),
            (int(self.work[part].sum()) for part in parts),
            stage=stage,
            unit="multiply-adds",
        )


def multiply_adds(nodes: csr_matrix, hub_cap: int | None) -> Integers:
    """Multiply-adds of each row of a product, (N,)."""
    kept = without_hubs(nodes, hub_cap)
    return _work(kept, sizes_of(kept))


def sizes_of(nodes: csr_matrix) -> Integers:
    """Number of nodes of each neighbour, (M,)."""
    return np.bincount(nodes.indices, minlength=nodes.shape[1])


def terms_of(weight: EdgeWeight, sizes: Integers) -> Integers:
    """What each shared neighbour adds: 1, or an inverse logarithm of its size, (M,)."""
    if weight not in ("adamic_adar", "iuf"):
        return np.ones(len(sizes), np.int32)
    sizes = np.maximum(sizes, 2) if weight == "adamic_adar" else sizes + 1
    logs = np.log(sizes, out=np.ones(len(sizes)), where=sizes > 1)
    return np.rint(ONE / logs).astype(np.int64)


def without_hubs(nodes: csr_matrix, cap: int | None) -> csr_matrix:
    """The columns of neighbours with at most ``cap`` nodes, (N, at most M)."""
    return nodes if cap is None else nodes[:, sizes_of(nodes) <= cap]


def keep_strongest(matrix: csr_matrix, k: int) -> csr_matrix:
    """Keep each row's k heaviest entries: by weight ↓, then column ↑.

    Args:
        matrix: (R, C), float32 entries above 0, without duplicates.
        k: Entries to keep in a row.
    """
    from graphseq.graphs.kernels import heaviest

    k = min(k, max(1, matrix.shape[1]))
    found = heaviest(matrix.indptr, matrix.indices, matrix.data, k)
    return stack_rows([found], matrix.shape)


def stack_rows(parts: Iterable[Rows], shape: tuple[int, int]) -> csr_matrix:
    """Blocks of rows as one matrix."""
    columns, weights, lengths = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    matrix = csr_matrix((weights, columns, pointers), shape)
    matrix.has_sorted_indices = True
    return matrix


def blocks(work: Integers, block_rows: int | None, budget: int) -> list[slice]:
    """Divide rows into consecutive blocks, by number or by work.

    Args:
        work: Work of each row, (R,).
        block_rows: Rows of a block; ``None`` fills blocks up to the budget.
        budget: Work in a block, its first row not counted.
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


def _work(chosen: csr_matrix, sizes: Integers) -> Integers:
    work: Integers = np.rint(chosen @ sizes.astype(np.float64)).astype(np.int64)
    return work


def _in_threads(
    function: Callable[[slice], Result], parts: list[slice]
) -> Iterator[Result]:
    """Results in the order of the parts, computed in the current number of threads."""
    workers = min(len(parts), runtime.current_threads()) if len(parts) > 1 else 1
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(function, parts)
