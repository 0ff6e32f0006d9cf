"""Batches: masks, last states, targets and histories."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data import HeldOut
from graphseq.sequences import Batch, histories
from graphseq.sequences.batch import cut


@pytest.fixture
def batch() -> Batch:
    """Three rows over 5 items: three items, none, one."""
    return Batch(
        user=torch.tensor([4, 0, 2]),
        items=torch.tensor([[1, 0, 4], [5, 5, 5], [3, 5, 5]]),
        lengths=torch.tensor([3, 0, 1]),
        num_items=5,
        targets=torch.tensor([[5, 4, 2], [5, 5, 5], [0, 5, 5]]),
        negatives=torch.arange(18).view(3, 3, 2) % 5,
    )


def test_mask_is_true_at_real_items(batch: Batch) -> None:
    assert torch.equal(batch.mask, batch.items != 5)
    assert len(batch) == 3


def test_last_is_the_state_of_the_last_item_and_zero_without_one(batch: Batch) -> None:
    states = torch.arange(1.0, 19).view(3, 3, 2)
    assert batch.last(states).tolist() == [[5.0, 6.0], [0.0, 0.0], [13.0, 14.0]]


def test_target_positions_are_in_row_order(batch: Batch) -> None:
    at, targets = batch.target_positions()
    assert at.nonzero().tolist() == [[0, 1], [0, 2], [2, 0]]
    assert targets.tolist() == [4, 2, 0]
    assert batch.target_negatives().tolist() == [[2, 3], [4, 0], [2, 3]]
    assert batch.target_users().tolist() == [4, 4, 2]


def test_positions_are_those_of_the_flattened_rows(batch: Batch) -> None:
    at, targets = batch.target_positions()
    assert batch.positions.tolist() == [1, 2, 6]
    assert torch.equal(batch.target_items(), targets)
    for x in (torch.rand(3, 3, 2), torch.rand(3, 3)):
        assert torch.equal(batch.at_targets(x), x[at])


def test_distinct_ids_are_those_of_the_rows_without_masked_items(batch: Batch) -> None:
    hidden = replace(batch, items=batch.items.masked_fill(batch.items == 4, 5))
    assert batch.distinct_users.tolist() == [0, 2, 4]
    assert batch.distinct_items.tolist() == [0, 1, 3, 4]
    assert hidden.distinct_items.tolist() == [0, 1, 3]
    assert batch.distinct_targets.tolist() == [0, 2, 4]


def test_what_is_counted_moves_with_the_batch_and_its_views(batch: Batch) -> None:
    """On the device ``meta`` there are no numbers to count."""
    views = replace(batch, targets=None)
    moved = batch.to("meta").with_views(views.to("meta"))
    assert moved.positions.shape == moved.distinct_targets.shape == (3,)
    assert moved.distinct_items.shape == moved.views.distinct_items.shape == (4,)
    assert moved.target_users().device.type == "meta"


def test_other_targets_have_other_positions(batch: Batch) -> None:
    batch.positions  # noqa: B018, found once
    other = replace(batch, targets=batch.targets.flip(0))
    assert other.positions.tolist() == [0, 7, 8]


def test_all_tensors_of_a_batch_are_pinned(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor.to("meta"))
    pinned = batch.pin_memory()
    tensors = [x for x in vars(pinned).values() if isinstance(x, torch.Tensor)]
    assert len(tensors) == 5 + 4 and all(x.is_meta for x in tensors)


def test_pairs_are_the_first_target_of_each_row(batch: Batch) -> None:
    targets, negatives = batch.pairs()
    assert targets.tolist() == [5, 5, 0]
    assert torch.equal(negatives, batch.negatives[:, 0])


def test_a_batch_without_targets_is_refused() -> None:
    bare = Batch(torch.tensor([0]), torch.tensor([[1]]), torch.tensor([1]), 5)
    for read in (bare.target_positions, bare.pairs, bare.target_users):
        with pytest.raises(ValueError, match="no targets"):
            read()
    with pytest.raises(ValueError, match="no negatives"):
        bare.target_negatives()


def test_moving_a_batch_moves_every_tensor_and_keeps_the_rest(batch: Batch) -> None:
    moved = batch.to("meta")
    for name in ("user", "items", "lengths", "targets", "negatives"):
        assert getattr(moved, name).device.type == "meta"
        assert getattr(batch, name).device.type == "cpu"
    assert moved.num_items == 5
    bare = Batch(batch.user, batch.items, batch.lengths, 5).to("meta")
    assert bare.targets is None and bare.negatives is None and bare.views is None
    moved = replace(batch, views=batch).to("meta")
    assert moved.views is not None and moved.views.items.device.type == "meta"


def test_a_batch_cannot_be_changed(batch: Batch) -> None:
    with pytest.raises(AttributeError):
        batch.num_items = 6


HELD_OUT = HeldOut(
    user=torch.tensor([1, 3, 7]),
    history=torch.tensor([0, 1, 2, 3, 4, 5]),
    history_ptr=torch.tensor([0, 1, 5, 6]),
    target=torch.tensor([6, 6, 6]),
    target_ptr=torch.tensor([0, 1, 2, 3]),
)


def test_histories_are_the_newest_items_oldest_first() -> None:
    found = histories(HELD_OUT, torch.tensor([1, 0]), max_length=3, num_items=9)
    assert found.user.tolist() == [3, 1]
    assert found.items.tolist() == [[2, 3, 4], [0, 9, 9]]
    assert found.lengths.tolist() == [3, 1]
    assert found.targets is None and found.num_items == 9


def test_histories_are_padded_to_their_own_longest_only() -> None:
    found = histories(HELD_OUT, torch.tensor([2, 0]), max_length=50, num_items=9)
    assert found.items.tolist() == [[5], [0]]


@given(
    rows=st.lists(st.lists(st.integers(0, 8), max_size=6), min_size=1, max_size=5),
    max_length=st.integers(1, 7),
)
def test_histories_are_the_ends_of_the_lists(
    rows: list[list[int]], max_length: int
) -> None:
    flat = [item for row in rows for item in row]
    pointers = torch.tensor([0, *map(len, rows)]).cumsum(0)
    users = torch.arange(len(rows))
    held_out = HeldOut(
        users, torch.tensor(flat, dtype=torch.int64), pointers, users, pointers
    )
    found = histories(held_out, users, max_length, num_items=9)
    for row, items, length in zip(
        rows, found.items.tolist(), found.lengths.tolist(), strict=True
    ):
        assert length == min(len(row), max_length)
        assert items[:length] == row[len(row) - length :]
        assert set(items[length:]) <= {9}


def test_cut_of_nothing_is_padding() -> None:
    none = torch.empty(0, dtype=torch.int64)
    assert cut(none, torch.tensor([0]), torch.tensor([0]), fill=9).tolist() == [[9]]
    assert cut(torch.tensor([1]), none, none, fill=9).shape == (0, 1)
