"""Views against what each operator promises, and against loops over the rows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphseq.sequences import Batch
from graphseq.sequences.places import share
from graphseq.sequences.similar import insert, substitute
from graphseq.sequences.views import (
    ask_last,
    crop,
    join,
    mask,
    pick,
    random_views,
    reorder,
)

quick = settings(deadline=None, max_examples=50)
V = 40
Operator = Callable[[Batch], Batch]

SIMILAR = (torch.arange(V) + 7) % V
OPERATORS: dict[str, Operator] = {
    "crop": partial(crop, keep=0.6),
    "crop, last item out of reach": partial(crop, keep=0.2, reach_last=False),
    "mask": partial(mask, rate=0.5),
    "reorder": partial(reorder, rate=0.6),
    "reorder, last item in place": partial(reorder, rate=0.7, reach_last=False),
    "insert": partial(insert, rate=0.4, similar=SIMILAR, max_length=12),
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
@quick
@given(rows, seeds)
def test_input_is_never_changed_and_rows_stay_who_they_are(
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
    view.items.fill_(0)  # and shares no memory with it
    view.lengths.add(1)
    assert torch.equal(batch.items, before.items)


@pytest.mark.parametrize("name", OPERATORS)
def test_same_seed_gives_the_same_view_and_another_another(name: str) -> None:
    batch = written([list(range(12))] * 40)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(sequences(OPERATORS[name](batch)))
    assert drawn[0] == drawn[1] != drawn[2]


@quick
@given(rows, rates, st.booleans(), seeds)
def test_crop_is_a_contiguous_part_of_the_size_asked(
    lists: list[list[int]], keep: float, reach_last: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    view = sequences(crop(written(lists), keep, reach_last=reach_last))
    for row, part in zip(lists, view, strict=True):
        size = min(len(row), max(1, int(keep * len(row))))
        assert len(part) == size
        assert part in [row[i : i + size] for i in range(len(row) - size + 1)]


@quick
@given(rows, rates, seeds)
def test_mask_changes_exactly_its_number_of_places(
    lists: list[list[int]], rate: float, seed: int
) -> None:
    torch.manual_seed(seed)
    for row, masked in zip(lists, sequences(mask(written(lists), rate)), strict=True):
        assert len(masked) == len(row)
        assert masked.count(V) == int(rate * len(row))
        assert all(b in (a, V) for a, b in zip(row, masked, strict=True))


@quick
@given(rows, rates, st.booleans(), seeds)
def test_reorder_moves_items_only_within_one_window(
    lists: list[list[int]], rate: float, reach_last: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    view = sequences(reorder(written(lists), rate, reach_last=reach_last))
    for row, mixed in zip(lists, view, strict=True):
        assert sorted(mixed) == sorted(row)
        pairs = enumerate(zip(row, mixed, strict=True))
        moved = [place for place, (a, b) in pairs if a != b]
        if moved:
            assert moved[-1] - moved[0] < int(rate * len(row))
        if row and not reach_last and int(rate * len(row)) < len(row):
            assert mixed[-1] == row[-1]


def starts(lists: list[list[int]], seen: torch.Tensor) -> torch.Tensor:
    return torch.bincount(seen, minlength=len(lists[0]))


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
    # an order that moves all three places tells its window: 2 of the 6 orders do
    full = moved.sum(dim=1) == 3
    first = moved[full].int().argmax(dim=1)
    assert 0.28 < full.double().mean() < 0.39
    cycles = mixed[full, first] - first  # each of the two cyclic orders
    count = torch.bincount(2 * first + (cycles - 1))
    assert len(count) == 2 * possible
    assert chi_square(count) < 30  # at most 7 degrees of freedom: p < 0.001


def test_mask_draws_every_place_equally_often() -> None:
    torch.manual_seed(0)
    masked = mask(written([list(range(10))] * 4_000), 0.3).items == V
    assert chi_square(masked.sum(dim=0)) < 30


@quick
@given(rows, rates, seeds)
def test_views_are_what_loops_over_the_rows_make_of_the_same_draws(
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


@quick
@given(rows, seeds)
def test_pick_takes_each_row_from_its_view(lists: list[list[int]], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    reverse = [row[::-1] for row in lists]
    longer = [[*row, 1, 2] for row in lists]
    which = torch.randint(3, (len(lists),), generator=generator)
    views = [written(lists), written(reverse), written(longer)]
    found = pick(views, which)
    expected = [
        (row, back, more)[int(i)]
        for row, back, more, i in zip(lists, reverse, longer, which, strict=True)
    ]
    assert sequences(found) == expected
    assert torch.equal(found.user, views[0].user)
    assert found.targets is None


def test_join_stacks_rows_and_pads_to_the_longest() -> None:
    both = join(written([[1], [2, 3]]), written([[4, 5, 6]]))
    assert sequences(both) == [[1], [2, 3], [4, 5, 6]]
    assert both.items.shape == (3, 3)
    assert both.user.tolist() == [3, 4, 3]
    assert both.example is not None and both.example.tolist() == [30, 40, 30]
    plain = Batch(torch.tensor([0]), torch.tensor([[1]]), torch.tensor([1]), V)
    assert join(plain, written([[1]])).example is None


def marked(label: int) -> Operator:
    """An operator that leaves its number at the first place of every row."""

    def operator(batch: Batch) -> Batch:
        items = batch.items.clone()
        items[:, 0] = torch.where(batch.lengths > 0, label, V)
        return Batch(batch.user, items, batch.lengths, V, example=batch.example)

    return operator


def drawn(count: int, length: int = 3, **options: object) -> torch.Tensor:
    """Of each row, which two of ``count`` operators made its views, (B, 2)."""
    torch.manual_seed(0)
    batch = written([[30, 31, 32][:length]] * 9_000)
    views = random_views(batch, [marked(i) for i in range(count)], **options)
    return torch.stack([view.items[:, 0] for view in views], dim=1)


def test_two_different_operators_are_drawn_all_pairs_equally_often() -> None:
    first, second = drawn(3).unbind(1)
    assert (first != second).all()
    count = torch.bincount(3 * first + second, minlength=9)
    assert chi_square(count[[1, 2, 3, 5, 6, 7]]) < 20.5  # p = 0.001


def test_operators_drawn_for_themselves_may_be_the_same() -> None:
    first, second = drawn(3, distinct=False).unbind(1)
    assert chi_square(torch.bincount(3 * first + second, minlength=9)) < 26.1


def test_two_views_by_one_operator_are_two_draws() -> None:
    torch.manual_seed(0)
    batch = written([list(range(12))] * 50)
    first, second = random_views(batch, [partial(mask, rate=0.5)], distinct=False)
    assert (first.items != second.items).any(dim=1).double().mean() > 0.9


def test_a_row_draws_only_what_it_is_allowed() -> None:
    allowed = torch.zeros(9_000, 4, dtype=torch.bool)
    allowed[:4_000, :2] = True
    allowed[4_000:, 1:] = True
    for distinct in (True, False):
        which = drawn(4, distinct=distinct, allowed=allowed)
        assert allowed.gather(1, which).all()
        for rows, number in ((which[:4_000], 2), (which[4_000:], 3)):
            for view in rows.T:
                assert chi_square(torch.bincount(view)[-number:]) < 13.9


@pytest.mark.parametrize(
    "options, kept",
    [
        ({}, True),
        ({"distinct": False}, False),
        ({"keep_single": False}, False),
        ({"distinct": False, "keep_single": True}, True),
    ],
)
def test_a_single_item_stays_where_the_source_keeps_it(
    options: dict[str, object], kept: bool
) -> None:
    assert bool((drawn(3, length=1, **options) == 30).all()) == kept
    assert (drawn(3, length=2, **options) < 3).all()


def test_two_different_operators_of_one_are_refused() -> None:
    with pytest.raises(ValueError, match="two different operators"):
        random_views(written([[1]]), [marked(0)])


def test_sizes_of_a_batch_do_not_depend_on_the_other_rows() -> None:
    lengths = torch.tensor([3, 11])
    both, alone = share(lengths, 0.7), share(lengths[:1], 0.7)
    assert both[:1].tolist() == alone.tolist()


def test_views_ask_at_their_end_for_the_last_target_of_their_row() -> None:
    lists = [[1, 2, 3], [4], [5, 6]]
    batch = written(lists)  # whose targets are its items, and negatives likewise
    views = join(written([[1, 2], [4], [6, 5]]), written([[3], [V], [5, 6]]))
    asking = ask_last(views, batch)
    assert torch.equal(asking.items, views.items)
    asked, targets = asking.target_positions()
    assert asked.sum(dim=1).tolist() == [1] * 6
    assert asked.int().argmax(dim=1).tolist() == [1, 0, 1, 0, 0, 1]
    assert targets.tolist() == [3, 4, 6] * 2
    assert asking.target_negatives().tolist() == [[3], [4], [6]] * 2
    plain = replace(batch, negatives=None)
    assert ask_last(views, plain).negatives is None
    with pytest.raises(ValueError, match="no targets"):
        ask_last(views, replace(batch, targets=None))
