"""Random views: the operators drawn for each row, joined views, views as examples."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.sequences import Batch
from graphseq.sequences.operators import (
    join,
    mask,
    pick,
    random_views,
    with_last_targets,
)

V = 40
Operator = Callable[[Batch], Batch]
rows = st.lists(st.lists(st.integers(0, V - 1), max_size=12), min_size=1, max_size=6)
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


def chi_square(count: torch.Tensor) -> float:
    expected = count.sum() / len(count)
    return float(((count - expected) ** 2 / expected).sum())


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
    """An operator that puts its number at the first position of every row."""

    def operator(batch: Batch) -> Batch:
        items = batch.items.clone()
        items[:, 0] = torch.where(batch.lengths > 0, label, V)
        return Batch(batch.user, items, batch.lengths, V, example=batch.example)

    return operator


def drawn(count: int, length: int = 3, **options: object) -> torch.Tensor:
    """For each row, the two of ``count`` operators that made its views, (B, 2)."""
    torch.manual_seed(0)
    batch = written([[30, 31, 32][:length]] * 9_000)
    views = random_views(batch, [marked(i) for i in range(count)], **options)
    return torch.stack([view.items[:, 0] for view in views], dim=1)


def test_all_pairs_of_different_operators_are_equally_likely() -> None:
    first, second = drawn(3).unbind(1)
    assert (first != second).all()
    count = torch.bincount(3 * first + second, minlength=9)
    assert chi_square(count[[1, 2, 3, 5, 6, 7]]) < 20.5  # p = 0.001


def test_operators_drawn_independently_may_be_the_same() -> None:
    first, second = drawn(3, distinct=False).unbind(1)
    assert chi_square(torch.bincount(3 * first + second, minlength=9)) < 26.1


def test_two_views_by_one_operator_are_two_draws() -> None:
    torch.manual_seed(0)
    batch = written([list(range(12))] * 50)
    first, second = random_views(batch, [partial(mask, rate=0.5)], distinct=False)
    assert (first.items != second.items).any(dim=1).double().mean() > 0.9


def test_a_row_draws_only_allowed_operators() -> None:
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
def test_rows_of_one_item_stay_as_they_are_where_the_source_keeps_them(
    options: dict[str, object], kept: bool
) -> None:
    assert bool((drawn(3, length=1, **options) == 30).all()) == kept
    assert (drawn(3, length=2, **options) < 3).all()


def test_two_different_operators_of_one_are_refused() -> None:
    with pytest.raises(ValueError, match="two different operators"):
        random_views(written([[1]]), [marked(0)])


def test_views_predict_the_last_target_of_their_row_at_their_end() -> None:
    lists = [[1, 2, 3], [4], [5, 6]]
    batch = written(lists)  # whose targets are its items, and negatives likewise
    views = join(written([[1, 2], [4], [6, 5]]), written([[3], [V], [5, 6]]))
    examples = with_last_targets(views, batch)
    assert torch.equal(examples.items, views.items)
    at, targets = examples.target_positions()
    assert at.sum(dim=1).tolist() == [1] * 6
    assert at.int().argmax(dim=1).tolist() == [1, 0, 1, 0, 0, 1]
    assert targets.tolist() == [3, 4, 6] * 2
    assert examples.target_negatives().tolist() == [[3], [4], [6]] * 2
    plain = replace(batch, negatives=None)
    assert with_last_targets(views, plain).negatives is None
    with pytest.raises(ValueError, match="no targets"):
        with_last_targets(views, replace(batch, targets=None))
