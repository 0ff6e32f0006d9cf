"""Masks, segments and replacements: sizes, positions, probabilities."""

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from graphseq.sequences import Batch
from graphseq.sequences.masking import (
    bernoulli_mask,
    count_mask,
    hide,
    last_position,
    sample_negatives,
    segment_mask,
    swap_segment,
)

V = 30


def batch_of(lengths: list[int], width: int | None = None) -> Batch:
    """Rows 0, 1, 2, …; row b begins with the item b."""
    n = torch.tensor(lengths)
    steps = torch.arange(width or max(1, max(lengths)))
    items = steps + torch.arange(len(n))[:, None]
    items = items.masked_fill(steps >= n[:, None], V)
    return Batch(torch.arange(len(n)), items, n, V)


def test_hidden_positions_hold_the_padding_id_and_nothing_else_changes() -> None:
    batch = batch_of([3, 1, 0], width=4)
    before = batch.items.clone()
    positions = torch.tensor([[0, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1]]).bool()
    found = hide(batch, positions)
    assert found.items.tolist() == [[0, V, 2, V], [V, V, V, V], [V, V, V, V]]
    assert torch.equal(found.lengths, batch.lengths)
    assert torch.equal(batch.items, before)


def test_the_last_position_is_that_of_the_newest_item() -> None:
    found = last_position(batch_of([3, 1, 0], width=4))
    assert found.int().tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.6])
@pytest.mark.parametrize("most", [None, 3])
def test_a_count_is_exact_for_every_length(rate: float, most: int | None) -> None:
    torch.manual_seed(0)
    batch = batch_of(list(range(1, 26)))
    found = count_mask(batch, rate, most)
    assert not (found & ~batch.mask).any()
    for n, count in enumerate(found.sum(dim=1).tolist(), start=1):
        assert count == min(max(1, math.floor(rate * n + 0.5)), most or n)


def test_a_count_mask_is_uniform() -> None:
    torch.manual_seed(0)
    found = count_mask(batch_of([5] * 5000, width=7), 0.4).sum(dim=0)
    assert found[5:].tolist() == [0, 0]
    assert (found[:5] - 2000).abs().max() < 5 * (5000 * 0.24) ** 0.5


def test_a_bernoulli_mask_hides_real_items_at_the_rate() -> None:
    torch.manual_seed(0)
    batch = batch_of([4] * 5000, width=6)
    found = bernoulli_mask(batch, 0.2)
    assert not (found & ~batch.mask).any()
    assert (found.sum(dim=0)[:4] - 1000).abs().max() < 5 * (5000 * 0.16) ** 0.5


def test_a_segment_is_one_run_of_at_most_half_the_row() -> None:
    torch.manual_seed(0)
    lengths = [0, 1, 2, 3, 7]
    seen: list[set[tuple[int, int]]] = [set() for _ in lengths]
    for _ in range(300):
        for b, row in enumerate(segment_mask(batch_of(lengths)).tolist()):
            run = [t for t, inside in enumerate(row) if inside]
            assert run == list(range(run[0], run[-1] + 1)) if run else True
            seen[b].add((run[0], len(run)) if run else (0, 0))
    for n, found in zip(lengths, seen, strict=True):
        sizes = range(1, max(1, n // 2) + 1)
        all_of_them = {(s, size) for size in sizes for s in range(n - size + 1)}
        assert found == (all_of_them or {(0, 0)})


def test_a_swapped_segment_is_a_run_of_all_events() -> None:
    torch.manual_seed(0)
    batch = batch_of([6, 4, 1])
    flat = torch.arange(V - 1, -1, -1)
    starts = set()
    for _ in range(300):
        segment = segment_mask(batch)
        found = swap_segment(batch, segment, flat)
        assert torch.equal(found.items[~segment], batch.items[~segment])
        for b in range(3):
            run = found.items[b][segment[b]].tolist()
            assert run == list(range(run[0], run[0] - len(run), -1))
            starts.add(run[0])
    assert starts >= set(range(3, V))


def test_a_log_shorter_than_the_segment_is_not_exceeded() -> None:
    batch = batch_of([6])
    segment = torch.ones(1, 6, dtype=torch.bool)
    assert swap_segment(batch, segment, torch.tensor([7, 8])).items.max() <= 8


def outside(row: list[int]) -> set[int]:
    return set(range(6)) - set(row)


def test_a_negative_is_any_item_that_the_row_does_not_hold() -> None:
    rows = [[0, 1, 2, 2], [5, 5, 5, 5], [3, 6, 6, 6], [1, 2, 3, 4], [6, 6, 6, 6]]
    lengths = torch.tensor([4, 4, 1, 4, 0])
    many = 1500
    batch = Batch(
        torch.arange(5).repeat(many),
        torch.tensor(rows).repeat(many, 1),
        lengths.repeat(many),
        6,
    )
    before = batch.items.clone()
    torch.manual_seed(0)
    found: Tensor = sample_negatives(batch).view(many, 5, 4)
    assert torch.equal(batch.items, before)
    for b, row in enumerate(rows):
        counts = Counter(found[:, b].flatten().tolist())
        expected = outside(row[: int(lengths[b])])
        assert set(counts) == expected
        draws, p = 4 * many, 1 / len(expected)
        for count in counts.values():
            assert abs(count - draws * p) <= 5 * (draws * p * (1 - p)) ** 0.5


def test_masked_items_exclude_no_negative() -> None:
    batch = Batch(
        torch.arange(1), torch.tensor([[0, 3, 3]]), torch.tensor([3]), num_items=3
    )
    torch.manual_seed(0)
    assert {v for _ in range(50) for v in sample_negatives(batch)[0].tolist()} == {1, 2}


def test_a_row_of_all_items_gets_any_item() -> None:
    batch = Batch(
        torch.arange(1), torch.tensor([[0, 1, 2]]), torch.tensor([3]), num_items=3
    )
    assert sample_negatives(batch).max() < 3
