"""The co-occurrence product: its factors, its blocks of rows, and top-k pruning."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from graphseq import runtime
from graphseq.graphs.progress import tracked

Integers = NDArray[np.integer[Any]]
Rows = tuple[Integers, NDArray[np.float32], Integers]
"""Columns (E,) and weights (E,) of some rows, and the entries of each row (R,)."""

Weight = Literal["count", "binary", "cosine", "jaccard", "adamic_adar", "iuf"]
Found = TypeVar("Found")

BLOCK_WORK = 8_000_000  # multiply-adds of a block of rows: a tenth of a second
ONE = 2**32  # the unit of weights that are sums of logarithms, while they are summed


@dataclass(frozen=True)
class Factors:
    """What the loops of :mod:`graphseq.graphs.kernels` read of a product.

    Attributes:
        chosen: Which of M neighbours each of R rows chose, binary, (R, M).
        across: The nodes that chose each neighbour, (M, N).
        ids: The node of each row, (R,).
        terms: What sharing each neighbour adds, (M,).
        degrees: Neighbours of every node, those passed over too, (N,).
        kind: How an edge weighs, as the loops number it.
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
        weight: Weight,
        hub_cap: int | None,
        rows: Integers | None = None,
    ) -> "Factors":
        """The factors of some rows, or all, for nodes of any degree, (N, M)."""
        degrees, kept = np.diff(nodes.indptr), without_hubs(nodes, hub_cap)
        sizes, chosen = sizes_of(kept), kept if rows is None else kept[rows]
        return cls(
            chosen=chosen,
            across=kept.T.tocsr(),
            ids=np.arange(len(degrees)) if rows is None else np.asarray(rows, np.int64),
            terms=terms_of(weight, sizes),
            degrees=degrees,
            kind=get_args(Weight).index(weight),
            work=_work(chosen, sizes),
        )

    def arguments(self, part: slice) -> tuple[Any, ...]:
        """What the loops are called with for a block of rows, first of all."""
        return (
            self.chosen.indptr[part.start : part.stop + 1],
            self.chosen.indices,
            self.ids[part],
            self.across.indptr,
            self.across.indices.astype(np.int32, copy=False).view(np.uint32),
            self.terms,
            self.degrees,
            self.kind,
        )

    def computed(
        self,
        compute: Callable[[slice], Found],
        stage: str,
        block_rows: int | None = None,
    ) -> Iterator[Found]:
        """What comes of each block of rows, in their order, computed in threads.

        Args:
            compute: Computes a block.
            stage: What whoever watches is told.
            block_rows: Rows of a block; ``None`` goes by the work they make.
        """
        parts = blocks(self.work, block_rows, BLOCK_WORK)
        return tracked(
            _in_threads(compute, parts),
            (int(self.work[part].sum()) for part in parts),
            stage=stage,
            unit="multiply-adds",
        )


def multiply_adds(nodes: csr_matrix, hub_cap: int | None) -> Integers:
    """Multiply-adds that each row of a product takes, (N,)."""
    kept = without_hubs(nodes, hub_cap)
    return _work(kept, sizes_of(kept))


def sizes_of(nodes: csr_matrix) -> Integers:
    """How many nodes chose each neighbour, (M,)."""
    return np.bincount(nodes.indices, minlength=nodes.shape[1])


def terms_of(weight: Weight, sizes: Integers) -> Integers:
    """What sharing each neighbour adds: 1, or the inverse of a logarithm, (M,)."""
    if weight not in ("adamic_adar", "iuf"):
        return np.ones(len(sizes), np.int32)
    sizes = np.maximum(sizes, 2) if weight == "adamic_adar" else sizes + 1
    logs = np.log(sizes, out=np.ones(len(sizes)), where=sizes > 1)
    return np.rint(ONE / logs).astype(np.int64)


def without_hubs(nodes: csr_matrix, cap: int | None) -> csr_matrix:
    """The neighbours that at most so many nodes chose, (N, some of M)."""
    return nodes if cap is None else nodes[:, sizes_of(nodes) <= cap]


def _work(chosen: csr_matrix, sizes: Integers) -> Integers:
    made: Integers = np.rint(chosen @ sizes.astype(np.float64)).astype(np.int64)
    return made


def _in_threads(
    compute: Callable[[slice], Found], parts: list[slice]
) -> Iterator[Found]:
    """The blocks in their order, computed in as many threads as are in force."""
    workers = min(len(parts), runtime.current_threads()) if len(parts) > 1 else 1
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(compute, parts)


LARGEST = np.int64(np.float32(np.inf).view(np.int32))  # as integers, weights are below


def strongest(matrix: csr_matrix, k: int) -> csr_matrix:
    """Keep each row's k heaviest entries: by weight ↓, then column ↑.

    Args:
        matrix: (R, C), float32 entries above 0, no entry twice.
        k: How many entries of a row stay.
    """
    from graphseq.graphs.kernels import heaviest

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
