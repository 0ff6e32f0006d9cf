"""Operators: what they change, their probabilities, and loops over the rows."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.sequences import Batch
from graphseq.sequences.operators import (
    crop,
    insert,
    mask,
    random_views,
    reorder,
    substitute,
)

V = 40
Operator = Callable[[Batch], Batch]

SIMILAR = (torch.arange(V) + 7) % V
OPERATORS: dict[str, Operator] = {
    "crop": partial(crop, keep=0.6),
    "crop, last item out of reach": partial(crop, keep=0.2, reach_last=False),
    "mask": partial(mask, rate=0.5),
    "reorder": partial(reorder, rate=0.6),
    "reorder, last item in place": partial(reorder, rate=0.7, reach_last=False),
    "insert": partial(insert, rate=0.4, similar=SIMILAR),
    "substitute": partial(substitute, rate=0.3, similar=SIMILAR),
}

rows = st.lists(st.lists(st.integers(0, V - 1), max_size=12), min_size=1, max_size=6)
rates = st.floats(0, 1)
seeds = st.integers(0, 2**31)


def written(lists: list[list[int]], width: int | None = None) -> Batch:
    """A batch that holds these sequences."""
    longest = width or max(1, *map(len, lists))
    items = torch.tensor([row + [V] * (longest - len(row)) for row in lists])
    lengths = torch.tensor([len(row) for row in lists])
    user = torch.arange(len(lists)) + 3
    return Batch(user, items, lengths, V, items.clone(), items[..., None], user * 10)


def sequences(batch: Batch) -> list[list[int]]:
    """The items of each row; fails if padding holds anything but V."""
    assert (batch.items[~batch.mask] == V).all()
    lengths = batch.lengths.tolist()
    assert max(lengths) <= batch.items.shape[1]
    rows = zip(batch.items.tolist(), lengths, strict=True)
    return [row[:n] for row, n in rows]


@pytest.mark.parametrize("name", OPERATORS)
@given(rows, seeds)
def test_the_argument_is_unchanged_and_rows_keep_their_users(
    name: str, lists: list[list[int]], seed: int
) -> None:
    torch.manual_seed(seed)
    batch, before = written(lists), written(lists)
    view = OPERATORS[name](batch)
    sequences(view)
    assert torch.equal(batch.items, before.items)
    assert torch.equal(batch.lengths, before.lengths)
    assert batch.targets is not None and torch.equal(batch.targets, before.items)
    assert torch.equal(view.user, batch.user)
    assert view.example is not None and torch.equal(view.example, batch.user * 10)
    assert view.targets is None and view.negatives is None
    view.items.fill_(0)  # it has memory of its own
    view.lengths.add(1)
    assert torch.equal(batch.items, before.items)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_seed_decides_the_view(name: str) -> None:
    batch = written([list(range(12))] * 40)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(sequences(OPERATORS[name](batch)))
    assert drawn[0] == drawn[1] != drawn[2]


@given(rows, rates, st.booleans(), seeds)
def test_crop_is_a_contiguous_part_of_the_requested_size(
    lists: list[list[int]], keep: float, reach_last: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    view = sequences(crop(written(lists), keep, reach_last=reach_last))
    for row, part in zip(lists, view, strict=True):
        size = min(len(row), max(1, int(keep * len(row))))
        assert len(part) == size
        assert part in [row[i : i + size] for i in range(len(row) - size + 1)]


@given(rows, rates, seeds)
def test_mask_changes_exactly_its_number_of_positions(
    lists: list[list[int]], rate: float, seed: int
) -> None:
    torch.manual_seed(seed)
    for row, masked in zip(lists, sequences(mask(written(lists), rate)), strict=True):
        assert len(masked) == len(row)
        assert masked.count(V) == int(rate * len(row))
        assert all(b in (a, V) for a, b in zip(row, masked, strict=True))


@given(rows, rates, st.booleans(), seeds)
def test_reorder_moves_items_only_within_one_window(
    lists: list[list[int]], rate: float, reach_last: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    view = sequences(reorder(written(lists), rate, reach_last=reach_last))
    for row, mixed in zip(lists, view, strict=True):
        assert sorted(mixed) == sorted(row)
        pairs = enumerate(zip(row, mixed, strict=True))
        moved = [position for position, (a, b) in pairs if a != b]
        if moved:
            assert moved[-1] - moved[0] < int(rate * len(row))
        if row and not reach_last and int(rate * len(row)) < len(row):
            assert mixed[-1] == row[-1]


def chi_square(count: torch.Tensor) -> float:
    expected = count.sum() / len(count)
    return float(((count - expected) ** 2 / expected).sum())


@pytest.mark.parametrize(
    "n, keep, reach_last, possible",
    [
        (10, 0.6, True, 5),  # the last item is reached
        (10, 0.6, False, 4),  # one start fewer
        (4, 0.2, True, 4),  # ⌊.8⌋ = 0 becomes one item, any
        (4, 0.2, False, 4),  # the code's exception: one item, any
        (5, 0.2, False, 4),  # ⌊1.0⌋ = 1: any but the last
        (5, 1.0, False, 1),
    ],
)
def test_every_possible_crop_is_equally_likely(
    n: int, keep: float, reach_last: bool, possible: int
) -> None:
    torch.manual_seed(0)
    batch = written([list(range(n))] * 12_000)
    first = crop(batch, keep, reach_last=reach_last).items[:, 0]
    count = torch.bincount(first)
    assert len(count) == possible
    assert possible == 1 or chi_square(count) < 22  # 4 degrees of freedom: p < 0.001


@pytest.mark.parametrize("reach_last, possible", [(True, 4), (False, 3)])
def test_reorder_draws_every_window_and_every_order_equally_often(
    reach_last: bool, possible: int
) -> None:
    torch.manual_seed(0)
    batch = written([list(range(6))] * 36_000)
    mixed = reorder(batch, 0.5, reach_last=reach_last).items
    moved = mixed != torch.arange(6)
    away = moved & (mixed != mixed.flip(1))
    assert away.any()
    # 2 of the 6 orders move all three items, which shows the window
    full = moved.sum(dim=1) == 3
    first = moved[full].int().argmax(dim=1)
    assert 0.28 < full.double().mean() < 0.39
    cycles = mixed[full, first] - first  # each of the two cyclic orders
    count = torch.bincount(2 * first + (cycles - 1))
    assert len(count) == 2 * possible
    assert chi_square(count) < 30  # at most 7 degrees of freedom: p < 0.001


def test_mask_draws_every_position_equally_often() -> None:
    torch.manual_seed(0)
    masked = mask(written([list(range(10))] * 4_000), 0.3).items == V
    assert chi_square(masked.sum(dim=0)) < 30


@given(rows, rates, seeds)
def test_views_equal_loops_over_the_rows_with_the_same_draws(
    lists: list[list[int]], keep: float, seed: int
) -> None:
    batch = written(lists)
    torch.manual_seed(seed)
    cropped = sequences(crop(batch, keep))
    torch.manual_seed(seed)
    chance = torch.rand(len(lists), dtype=torch.float64).tolist()
    for row, part, u in zip(lists, cropped, chance, strict=True):
        size = min(len(row), max(1, int(keep * len(row))))
        start = int(u * (len(row) - size + 1))
        assert part == row[start : start + size]
    torch.manual_seed(seed)
    mixed = sequences(reorder(batch, keep))
    torch.manual_seed(seed)
    chance = torch.rand(len(lists), dtype=torch.float64).tolist()
    keys = torch.rand(batch.items.shape, dtype=torch.float64).tolist()
    for row, shuffled, u, key in zip(lists, mixed, chance, keys, strict=True):
        size = int(keep * len(row))
        start = int(u * (len(row) - size + 1))
        order = sorted(range(start, start + size), key=key.__getitem__)
        expected = [row[p] for p in order]
        assert shuffled == row[:start] + expected + row[start + size :]
    torch.manual_seed(seed)
    masked = sequences(mask(batch, keep))
    torch.manual_seed(seed)
    keys = torch.rand(batch.items.shape, dtype=torch.float64).tolist()
    for row, hidden, key in zip(lists, masked, keys, strict=True):
        order = sorted(range(len(row)), key=key.__getitem__)
        drawn = order[: int(keep * len(row))]
        assert hidden == [V if p in drawn else row[p] for p in range(len(row))]


@pytest.mark.parametrize("name", OPERATORS)
def test_rows_of_length_0_1_and_2(name: str) -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        nothing, one, two = sequences(OPERATORS[name](written([[], [5], [6, 8]])))
        assert nothing == []
        expected = {
            "insert": [[12, 5]],
            "substitute": [[12]],
        }.get(name, [[5]])
        assert one in expected
        assert {
            "crop": two in ([6], [8]),
            "crop, last item out of reach": two in ([6], [8]),
            "mask": two in ([V, 8], [6, V]),
            "insert": two in ([13, 6, 8], [6, 15, 8]),
            "substitute": two in ([13, 8], [6, 15]),
        }.get(name, two == [6, 8])


def test_a_batch_whose_rows_are_all_empty_has_views() -> None:
    batch = written([[], []])
    for operator in OPERATORS.values():
        assert sequences(operator(batch)) == [[], []]
    both = random_views(batch, list(OPERATORS.values()))
    assert [sequences(view) for view in both] == [[[], []]] * 2


def drawn_positions(batch: Batch, rate: float, seed: int) -> list[list[int]]:
    """The positions that the seed draws, row by row."""
    torch.manual_seed(seed)
    keys = torch.rand(batch.items.shape, dtype=torch.float64).tolist()
    found = []
    for n, key in zip(batch.lengths.tolist(), keys, strict=True):
        count = min(n, max(1, int(rate * n)))
        found.append(sorted(range(n), key=key.__getitem__)[:count])
    return found


@given(rows, rates, seeds)
def test_substitute_changes_exactly_the_drawn_positions(
    lists: list[list[int]], rate: float, seed: int
) -> None:
    batch = written(lists)
    torch.manual_seed(seed)
    view = sequences(substitute(batch, rate, SIMILAR))
    for row, found, drawn in zip(
        lists, view, drawn_positions(batch, rate, seed), strict=True
    ):
        expected = [
            int(SIMILAR[item]) if position in drawn else item
            for position, item in enumerate(row)
        ]
        assert found == expected


@given(rows, rates, seeds)
def test_insert_puts_the_similar_item_before_each_drawn_one(
    lists: list[list[int]], rate: float, seed: int
) -> None:
    batch = written(lists)
    torch.manual_seed(seed)
    view = insert(batch, rate, SIMILAR)
    for row, found, drawn in zip(
        lists, sequences(view), drawn_positions(batch, rate, seed), strict=True
    ):
        expected = []
        for position, item in enumerate(row):
            if position in drawn:
                expected.append(int(SIMILAR[item]))
            expected.append(item)
        assert found == expected


def test_an_item_without_a_similar_one_gives_a_random_item() -> None:
    torch.manual_seed(0)
    batch = written([[5]] * 8_000)
    nothing = torch.full((V,), V)
    found = substitute(batch, 0.1, nothing).items[:, 0]
    count = torch.bincount(found, minlength=V)
    assert len(count) == V and count.min() > 120  # 200 expected
    assert insert(batch, 0.1, nothing).items[:, 0].max() < V


def test_masked_items_are_kept() -> None:
    items = torch.tensor([[V, 4, V]])
    batch = Batch(torch.tensor([0]), items, torch.tensor([3]), V)
    torch.manual_seed(0)
    view = insert(batch, 0.0, SIMILAR)
    left = [item for item in view.items[0].tolist() if item != int(SIMILAR[4])]
    assert view.lengths.tolist() == [4]
    assert left.count(V) >= 2
