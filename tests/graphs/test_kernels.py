"""The compiled loops: exact in any number of threads, compiled on first use."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, random

from graphseq import runtime
from graphseq.graphs import CoOccurrence, kernels
from graphseq.graphs.product import keep_strongest

WEIGHTS = ["count", "binary", "cosine", "jaccard", "adamic_adar", "iuf"]


def heavy_tailed(nodes: int = 300, neighbours: int = 120) -> csr_matrix:
    rng = np.random.default_rng(0)
    row = rng.integers(0, nodes, 3000)
    column = (neighbours * rng.random(3000) ** 2.5).astype(np.int64)
    matrix = csr_matrix((np.ones(3000, np.float32), (row, column)), (nodes, neighbours))
    matrix.data[:] = 1
    return matrix


def whole(nodes: csr_matrix, weight: str, k: int, cap: int | None = None) -> csr_matrix:
    """The product made whole and sorted: the formulas in numpy, operation by operation.

    The weights must be the same to the last bit, so that ties are the same.
    """
    degrees, sizes = np.diff(nodes.indptr), np.diff(nodes.tocsc().indptr)
    block = nodes.astype(np.int64)
    if weight in ("adamic_adar", "iuf"):
        base = np.maximum(sizes, 2) if weight == "adamic_adar" else sizes + 1
        logs = np.log(base, out=np.ones(len(base)), where=base > 1)
        block.data = np.rint(2**32 / logs).astype(np.int64)[block.indices]
    if cap is not None:
        block.data[sizes[block.indices] > cap] = 0
    product = (block @ nodes.T.astype(np.int64)).tocoo()
    there = (product.row != product.col) & (product.data > 0)
    row, column = product.row[there], product.col[there]
    count = product.data[there].astype(np.float64)
    own, other = degrees[row].astype(np.float64), degrees[column]
    values = {
        "count": lambda: count,
        "binary": lambda: np.ones_like(count),
        "cosine": lambda: np.sqrt(count**2 / (own * other)),
        "jaccard": lambda: count / (own + other - count),
        "adamic_adar": lambda: count / 2**32,
        "iuf": lambda: count / 2**32 / np.sqrt(own * other),
    }[weight]()
    value = values.astype(np.float32)
    order = np.lexsort((column, -value, row))
    row, column, value = row[order], column[order], value[order]
    lengths = np.bincount(row, minlength=len(degrees))
    kept = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths) < k
    entries = value[kept], (row[kept], column[kept])
    return csr_matrix(entries, (len(degrees), len(degrees)))


def same(a: csr_matrix, b: csr_matrix) -> bool:
    return (
        a.shape == b.shape
        and np.array_equal(a.indptr, b.indptr)
        and np.array_equal(a.indices, b.indices)
        and np.array_equal(a.data.view(np.int32), b.data.view(np.int32))
    )


@pytest.mark.parametrize("k", [1, 7, 1000])
@pytest.mark.parametrize("weight", WEIGHTS)
def test_every_bit_is_that_of_the_whole_product(weight: str, k: int) -> None:
    nodes = heavy_tailed()
    expected = whole(nodes, weight, k)
    for number, rows in ((1, None), (1, 1), (4, 7), (3, 64)):
        step = CoOccurrence("user", weight=weight, top_k=k, block_rows=rows)
        with runtime.limit_threads(number):
            assert same(step.pruned(nodes), expected)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_neighbours_above_the_cap_add_nothing_but_to_degrees(weight: str) -> None:
    nodes = heavy_tailed()
    sizes = np.diff(nodes.tocsc().indptr)
    for cap in (1, 20, int(sizes.max()) - 1, int(sizes.max())):
        step = CoOccurrence("user", weight=weight, top_k=5, hub_cap=cap)
        assert same(step.pruned(nodes), whole(nodes, weight, 5, cap))


def test_ids_beyond_float32_keep_their_order() -> None:
    far = 2**24
    row = np.array([0, far + 1, far + 2, far + 3])
    nodes = csr_matrix((np.ones(4, np.float32), (row, 0 * row)), (far + 4, 1))
    step = CoOccurrence("user", top_k=2, symmetrize="none")
    found = step.pruned(nodes, row[[0, 1, 3]])
    assert found.indices.tolist() == [far + 1, far + 2, 0, far + 2, 0, far + 1]


@given(st.integers(0, 2**31), st.integers(1, 12))
def test_strongest_keeps_what_sorting_keeps(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = random(8, 10, 0.6, format="csr", dtype=np.float32, random_state=rng)
    matrix.data = rng.integers(1, 4, matrix.nnz).astype(np.float32) / 3
    found = keep_strongest(matrix, k)
    for row in range(8):
        entries = sorted(
            zip(-matrix[row].data, matrix[row].indices, strict=True)  # heaviest first
        )
        expected = sorted((int(column), -weight) for weight, column in entries[:k])
        kept = zip(found[row].indices.tolist(), found[row].data, strict=True)
        assert list(kept) == expected


def test_a_second_process_does_not_compile_the_kernels() -> None:
    found = [
        f
        for f in vars(kernels).values()
        if isinstance(f, numba.core.dispatcher.Dispatcher)
    ]
    loops = [f for f in found if "nogil" in f.targetoptions]
    assert loops
    assert all(loop.stats.cache_path for loop in loops)


def test_where_no_code_can_be_kept_it_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def njit(**options: bool) -> Callable[..., Any]:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(kernels, "njit", njit)
    assert kernels.compiled(lambda number: number + 1)(2) == 3
