import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data.arrays import (
    as_rows,
    canonical_order,
    positions,
    stable_order,
    write_in_order,
)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(-(2**62), 2**62) | st.integers(0, 3))
    )
)
def test_canonical_order_is_the_stable_sort_at_every_width(
    rows: list[tuple[int, int]],
) -> None:
    user = np.array([row[0] for row in rows], dtype=np.int64)
    time = np.array([row[1] for row in rows], dtype=np.int64)
    order = canonical_order(user, time)
    expected = sorted(range(len(rows)), key=lambda index: rows[index])
    assert (list(range(len(rows))) if order is None else order.tolist()) == expected


def test_stable_order_is_a_stable_argsort_at_every_width_of_the_keys() -> None:
    chance = np.random.default_rng(0)
    for bits in (1, 20, 53, 54, 55, 56, 58, 60, 62, 63):  # 54 and 10 are packed
        for kinds in (3, 100, 1000):
            pool = chance.integers(0, 1 << bits, kinds, dtype=np.uint64)
            near = chance.integers(0, 4, kinds, dtype=np.uint64)
            key = chance.choice(np.append(pool, pool ^ near), 1000).astype(np.int64)
            assert stable_order(key).tolist() == np.argsort(key, kind="stable").tolist()


def test_positions_count_within_each_users_run() -> None:
    assert positions(np.array([0, 0, 2, 2, 2, 5])).tolist() == [0, 1, 0, 1, 2, 0]
    assert positions(np.array([], dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_column_is_written_in_the_order_of_the_indices(dtype: type) -> None:
    row, column = np.zeros(3, np.int64), np.array([5, 6, 7], dtype)
    write_in_order(row, column, None)
    assert row.tolist() == [5, 6, 7]
    write_in_order(row, column, np.array([2, 0, 1]))
    assert row.tolist() == [7, 5, 6]


def test_only_columns_that_are_all_rows_of_one_array_are_not_copied() -> None:
    whole = np.array([[0, 1, 2], [3, 4, 5]])
    first, second = whole
    assert as_rows(first.view(), second) is whole
    for columns in ([second, first], [first], [first, first], [first, second.copy()]):
        found = as_rows(*columns)
        assert not np.shares_memory(found, whole)
        assert np.array_equal(found, columns)
    whole.flags.writeable = False
    assert as_rows(*whole).flags.writeable
