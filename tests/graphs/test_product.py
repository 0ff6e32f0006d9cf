"""The factors of a co-occurrence product against loops, and its blocks in threads."""

import math
import time
from typing import get_args

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from graphseq import runtime
from graphseq.constants import EdgeWeight
from graphseq.graphs.product import (
    ONE,
    Factors,
    blocks,
    keep_strongest,
    multiply_adds,
    terms_of,
    without_hubs,
)


def some_nodes(size: int = 40, neighbours: int = 15, seed: int = 0) -> csr_matrix:
    rng = np.random.default_rng(seed)
    nodes = csr_matrix(
        rng.random((size, neighbours)) * (rng.random((size, neighbours)) < 0.2)
    )
    nodes.data[:] = 1
    return nodes


@pytest.mark.parametrize("cap", [None, 1, 7, 100])
def test_multiply_adds_are_those_of_the_loop(cap: int | None) -> None:
    nodes = some_nodes()
    sets = [set(row.indices.tolist()) for row in nodes]
    sizes = [sum(v in row for row in sets) for v in range(nodes.shape[1])]
    used = {v for v, size in enumerate(sizes) if cap is None or size <= cap}
    expected = [sum(sizes[v] for v in row & used) for row in sets]
    assert multiply_adds(nodes, cap).tolist() == expected
    assert Factors.of(nodes, "count", cap).work.tolist() == expected
    assert without_hubs(nodes, cap).shape == (40, len(used))


def test_what_sharing_adds_is_one_or_the_inverse_of_a_logarithm() -> None:
    sizes = np.array([0, 1, 2, 5, 1000])
    for weight in get_args(EdgeWeight):
        found = terms_of(weight, sizes).tolist()
        if weight == "adamic_adar":
            assert found == [round(ONE / math.log(max(d, 2))) for d in sizes.tolist()]
        elif weight == "iuf":
            assert found[1:] == [
                round(ONE / math.log(1 + d)) for d in sizes[1:].tolist()
            ]
        else:
            assert found == [1] * 5


def test_selected_rows_keep_their_nodes_and_all_degrees() -> None:
    nodes, rows = some_nodes(), np.array([3, 0, 39])
    factors = Factors.of(nodes, "cosine", 7, rows)
    assert factors.ids.tolist() == [3, 0, 39]
    assert factors.degrees.tolist() == np.diff(nodes.indptr).tolist()
    assert factors.work.tolist() == multiply_adds(nodes, 7)[rows].tolist()
    pointers, neighbours, ids, *_ = factors.arguments(slice(1, 3))
    assert ids.tolist() == [0, 39]
    some = without_hubs(nodes, 7)[[0, 39]]
    assert neighbours[pointers[0] : pointers[-1]].tolist() == some.indices.tolist()


def test_blocks_come_in_their_order_whichever_is_done_first() -> None:
    factors = Factors.of(some_nodes(), "count", None)

    def compute(part: slice) -> int:
        time.sleep(0.02 if part.start == 0 else 0)
        return int(part.start)

    with runtime.limit_threads(4):
        found = list(factors.compute(compute, "edges", block_rows=10))
    assert found == [0, 10, 20, 30]


def test_strongest_keeps_ties_with_smaller_ids_over_many_row_slices() -> None:
    wide = csr_matrix(([1.0, 2, 2, 1, 3], ([0, 0, 0, 2, 2], [9, 7, 2**31 - 2, 5, 1])))
    wide = csr_matrix(
        (wide.data.astype(np.float32), wide.indices, wide.indptr), (3, 2**31 - 1)
    )
    assert keep_strongest(wide, 1).tocoo().col.tolist() == [7, 1]
    assert keep_strongest(wide, 2).nnz == 4


def test_blocks_hold_their_budget_and_cover_all_rows() -> None:
    work = np.array([3, 3, 3, 20, 1, 1, 0, 9])
    cut = blocks(work, None, 9)
    assert [row for step in cut for row in range(8)[step]] == list(range(8))
    assert all(work[step][1:].sum() <= 9 for step in cut)
    assert len(cut) > 2
    assert blocks(work, 3, 9) == [slice(0, 3), slice(3, 6), slice(6, 8)]
