"""Rows with one item more, completed rows, rows cut in two."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphseq.sequences import Batch
from graphseq.sequences.whole import append, whole

V = 20


def batch_of(rows: list[list[int]], targets: list[list[int]] | None = None) -> Batch:
    def padded(lists: list[list[int]]) -> torch.Tensor:
        width = max(1, max(map(len, rows)))
        return torch.tensor([row + [V] * (width - len(row)) for row in lists])

    lengths = torch.tensor([len(row) for row in rows])
    asked = None if targets is None else padded(targets)
    return Batch(torch.arange(len(rows)), padded(rows), lengths, V, asked)


def rows_of(batch: Batch) -> list[list[int]]:
    assert (batch.items[~batch.mask] == V).all()
    pairs = zip(batch.items.tolist(), batch.lengths.tolist(), strict=True)
    return [row[:n] for row, n in pairs]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, V - 1), max_size=6), min_size=1, max_size=5),
    st.integers(1, 8),
)
def test_append_keeps_the_newest(rows: list[list[int]], most: int) -> None:
    batch = batch_of(rows)
    before = batch.items.clone()
    found = append(batch, torch.arange(len(rows)), most)
    assert rows_of(found) == [[*row, i][-most:] for i, row in enumerate(rows)]
    assert torch.equal(batch.items, before)
    assert torch.equal(found.user, batch.user)


def test_an_appended_padding_id_is_a_masked_place() -> None:
    found = append(batch_of([[1, 2], [3]]), torch.full((2,), V), 2)
    assert found.items.tolist() == [[2, V], [3, V]]
    assert found.lengths.tolist() == [2, 2]


def test_a_whole_row_ends_with_its_last_target() -> None:
    batch = batch_of([[1, 2, 3], [4]], [[2, 3, 9], [8]])
    assert rows_of(whole(batch, 10)) == [[1, 2, 3, 9], [4, 8]]
    assert rows_of(whole(batch, 3)) == [[2, 3, 9], [4, 8]]
    found = whole(batch, 10)
    assert found.targets is None and found.negatives is None


def test_a_batch_without_targets_has_no_whole_rows() -> None:
    with pytest.raises(ValueError, match="no targets"):
        whole(batch_of([[1]]), 5)


def test_past_and_reversed_future_make_up_the_row() -> None:
    rows = [[1, 2], [3, 4, 5], [6, 7, 8, 9, 10, 11]]
    torch.manual_seed(0)
    cuts: list[set[int]] = [set(), set(), set()]
    for _ in range(200):
        batch = batch_of(rows)
        past, future, following = split_at_random(batch)
        pairs = zip(rows_of(past), rows_of(future), following.tolist(), strict=True)
        for i, (before, after, next_item) in enumerate(pairs):
            assert before + after[::-1] == rows[i]
            assert next_item == after[-1]
            cuts[i].add(len(before))
        assert rows_of(batch) == rows
    assert cuts == [{1}, {1}, {1, 2, 3, 4}]


def test_every_cut_is_equally_likely() -> None:
    torch.manual_seed(0)
    many = batch_of([[1, 2, 3, 4, 5]] * 3000)
    counts = split_at_random(many)[0].lengths.bincount(minlength=4)[1:]
    assert (counts - 1000).abs().max() < 5 * (3000 * 2 / 9) ** 0.5


def test_the_same_seed_cuts_the_same() -> None:
    batch = batch_of([[1, 2, 3, 4, 5]] * 20)
    torch.manual_seed(1)
    first = split_at_random(batch)[0].lengths
    torch.manual_seed(1)
    assert torch.equal(first, split_at_random(replace(batch))[0].lengths)
