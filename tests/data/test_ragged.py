"""Ragged lists against plain Python lists."""

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data.ragged import Ragged

lists = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6)


def ragged(rows: list[list[int]]) -> Ragged:
    items = torch.tensor([item for row in rows for item in row], dtype=torch.int64)
    return Ragged(items, torch.tensor([0, *map(len, rows)]).cumsum(0))


def unpacked(found: Ragged) -> list[list[int]]:
    items, ptr = found.items.tolist(), found.ptr.tolist()
    return [items[a:b] for a, b in pairwise(ptr)]


@given(rows=lists, data=st.data())
def test_every_operation_is_that_of_plain_lists(
    rows: list[list[int]], data: st.DataObject
) -> None:
    made = ragged(rows)
    assert made.lengths.tolist() == [len(row) for row in rows]
    assert made.rows.tolist() == [n for n, row in enumerate(rows) for _ in row]
    assert unpacked(made.distinct()) == [sorted(set(row)) for row in rows]
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1)) if rows else st.just([]))
    index = torch.tensor(chosen, dtype=torch.int64)
    assert unpacked(made.take(index)) == [rows[n] for n in chosen]
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    assert unpacked(made.between(start, stop)) == rows[start:stop]
    width = max(map(len, rows), default=0)
    expected = [row + [10] * (width - len(row)) for row in rows]
    assert made.padded(10).tolist() == expected
