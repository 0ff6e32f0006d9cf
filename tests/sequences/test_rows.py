"""Batches made of a batch: appended, cut, shifted and split rows."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphseq.constants import INTERACTS
from graphseq.data import leave_one_out, synthetic
from graphseq.graphs import build_graph
from graphseq.sequences import Batch, SequenceLoader
from graphseq.sequences.rows import (
    append,
    full_sequences,
    last_targets,
    multi_step_targets,
    newest,
    split_at_random,
    with_items,
)


def test_every_position_has_each_of_the_next_targets_once() -> None:
    """Also across the windows of sequences that are longer than one."""
    log = synthetic.cycle(5, 40, length=33, seed=0)
    graph = build_graph(leave_one_out(log))
    flat = graph[INTERACTS].edge_index[1].view(5, 31)
    (batch,) = SequenceLoader(graph, "targets", 10_000, 8, num_negatives=1)
    before = {k: v.clone() for k, v in vars(batch).items() if isinstance(v, Tensor)}
    wide = multi_step_targets(batch, 3)
    for name, tensor in before.items():
        assert torch.equal(getattr(batch, name), tensor), "the argument is unchanged"
    at, targets = wide.target_positions()
    row, position = at.nonzero(as_tuple=True)
    # The items of these logs differ within 40 steps: (user, item) is a position.
    found = sorted(
        zip(
            wide.user[row].tolist(),
            wide.items[row, position].tolist(),
            targets.tolist(),
            strict=True,
        )
    )
    expected = [
        (u, int(flat[u, t]), int(flat[u, t + 1 + j]))
        for u in range(5)
        for t in range(30)
        for j in range(3)
        if t + 1 + j < 31
    ]
    assert found == sorted(expected)


def test_a_shifted_target_has_the_negatives_of_its_position() -> None:
    batch = Batch(
        torch.tensor([4]),
        torch.tensor([[0, 1]]),
        torch.tensor([2]),
        9,
        torch.tensor([[1, 2]]),
        torch.tensor([[[5], [6]]]),
    )
    wide = multi_step_targets(batch, 3)
    assert wide.targets.tolist() == [[1, 2], [2, 9], [9, 9]]
    assert wide.negatives[:, :, 0].tolist() == [[5, 6], [6, 9], [9, 9]]
    assert wide.target_negatives()[:, 0].tolist() == [5, 6, 6]
    assert wide.user.tolist() == [4, 4, 4] and wide.lengths.tolist() == [2, 2, 2]
    assert torch.equal(multi_step_targets(batch, 1).targets, batch.targets)


V = 20


def batch_of(rows: list[list[int]], targets: list[list[int]] | None = None) -> Batch:
    def padded(lists: list[list[int]]) -> torch.Tensor:
        width = max(1, max(map(len, rows)))
        return torch.tensor([row + [V] * (width - len(row)) for row in lists])

    lengths = torch.tensor([len(row) for row in rows])
    wanted = None if targets is None else padded(targets)
    return Batch(torch.arange(len(rows)), padded(rows), lengths, V, wanted)


def rows_of(batch: Batch) -> list[list[int]]:
    assert (batch.items[~batch.mask] == V).all()
    pairs = zip(batch.items.tolist(), batch.lengths.tolist(), strict=True)
    return [row[:n] for row, n in pairs]


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


def test_an_appended_padding_id_is_a_masked_item() -> None:
    found = append(batch_of([[1, 2], [3]]), torch.full((2,), V), 2)
    assert found.items.tolist() == [[2, V], [3, V]]
    assert found.lengths.tolist() == [2, 2]


def test_a_full_sequence_ends_with_the_last_target() -> None:
    batch = batch_of([[1, 2, 3], [4]], [[2, 3, 9], [8]])
    assert last_targets(batch).tolist() == [9, 8]
    assert rows_of(full_sequences(batch, 10)) == [[1, 2, 3, 9], [4, 8]]
    assert rows_of(full_sequences(batch, 3)) == [[2, 3, 9], [4, 8]]
    found = full_sequences(batch, 10)
    assert found.targets is None and found.negatives is None


def test_a_batch_without_targets_has_no_full_sequences() -> None:
    with pytest.raises(ValueError, match="no targets"):
        last_targets(batch_of([[1]]))
    with pytest.raises(ValueError, match="no targets"):
        full_sequences(batch_of([[1]]), 5)


def test_past_and_reversed_future_make_up_the_row() -> None:
    rows = [[1, 2], [3, 4, 5], [6, 7, 8, 9, 10, 11]]
    torch.manual_seed(0)
    splits: list[set[int]] = [set(), set(), set()]
    for _ in range(200):
        batch = batch_of(rows)
        past, future, following = split_at_random(batch)
        pairs = zip(rows_of(past), rows_of(future), following.tolist(), strict=True)
        for i, (before, after, next_item) in enumerate(pairs):
            assert before + after[::-1] == rows[i]
            assert next_item == after[-1]
            splits[i].add(len(before))
        assert rows_of(batch) == rows
    assert splits == [{1}, {1}, {1, 2, 3, 4}]


def test_every_split_is_equally_likely() -> None:
    torch.manual_seed(0)
    many = batch_of([[1, 2, 3, 4, 5]] * 3000)
    counts = split_at_random(many)[0].lengths.bincount(minlength=4)[1:]
    assert (counts - 1000).abs().max() < 5 * (3000 * 2 / 9) ** 0.5


def test_the_seed_decides_the_split() -> None:
    batch = batch_of([[1, 2, 3, 4, 5]] * 20)
    torch.manual_seed(1)
    first = split_at_random(batch)[0].lengths
    torch.manual_seed(1)
    assert torch.equal(first, split_at_random(replace(batch))[0].lengths)


@given(
    st.lists(st.lists(st.integers(0, V - 1), max_size=6), min_size=1, max_size=5),
    st.integers(1, 8),
)
def test_newest_keeps_the_end_of_every_row(rows: list[list[int]], most: int) -> None:
    batch = replace(batch_of(rows, rows), views=batch_of(rows))
    before = batch.items.clone()
    found = newest(batch, most)
    assert rows_of(found) == [row[-most:] for row in rows]
    assert torch.equal(batch.items, before)
    if found is not batch:
        assert found.targets is None and found.negatives is None
        assert found.views is None


def test_other_items_have_no_targets_negatives_or_views() -> None:
    batch = batch_of([[1, 0, 4], [], [3]], [[0, 4, 2], [], [0]])
    negatives = torch.zeros(3, 3, 2, dtype=torch.int64)
    full = replace(batch, negatives=negatives, example=torch.arange(3), views=batch)
    other = with_items(full, torch.full((3, 4), 1))
    assert other.items.shape == (3, 4)
    assert torch.equal(other.lengths, batch.lengths)
    assert torch.equal(other.example, torch.arange(3))
    assert other.targets is other.negatives is other.views is None
    shorter = with_items(full, batch.items, torch.ones(3, dtype=torch.int64))
    assert shorter.lengths.tolist() == [1, 1, 1]
