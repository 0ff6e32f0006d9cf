"""Guided views: the example of the specification, loops, ties, edge cases."""

from functools import partial

import pytest
import torch

from graphseq.sequences import Batch
from graphseq.sequences.guided_augment import (
    GuidedAugmentation,
    guided_crop,
    guided_mask,
    guided_reorder,
    important_positions,
)

V = 99
ITEMS = [11, 12, 13, 14, 15]
IMPORTANCE = [0.15, 0.4, 0.05, 0.3, 0.1]  # ascending: positions 2, 4, 0, 3, 1


def batch_of(*rows: list[int]) -> Batch:
    width = max(len(row) for row in rows)
    items = torch.tensor([row + [V] * (width - len(row)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return Batch(torch.arange(len(rows)), items, lengths, V)


def rows_of(batch: Batch) -> list[list[int]]:
    n = batch.lengths.tolist()
    return [row[:k] for row, k in zip(batch.items.tolist(), n, strict=True)]


@pytest.fixture
def one() -> tuple[Batch, torch.Tensor]:
    return batch_of(ITEMS), torch.tensor([IMPORTANCE])


@pytest.fixture
def crowd() -> tuple[Batch, torch.Tensor]:
    """Rows of 1 … 12 items, with importances of both signs and many ties."""
    rng = torch.Generator().manual_seed(1)
    sizes = torch.randint(1, 13, (60,), generator=rng).tolist()
    rows = [torch.randint(90, (n,), generator=rng).tolist() for n in sizes]
    scores = torch.randint(-2, 3, (60, 12), generator=rng).float()
    return batch_of(*rows), scores


def ranked(items: list[int], scores: list[float]) -> list[int]:
    """Positions by (score, position), the least important first."""
    return sorted(range(len(items)), key=lambda i: (scores[i], i))


def count(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)


@pytest.mark.parametrize(
    "number, side, order, expected",
    [
        (1, "most", "time", [12]),
        (3, "most", "time", [11, 12, 14]),
        (3, "most", "importance", [11, 14, 12]),
        (3, "least", "time", [11, 13, 15]),
        (3, "least", "importance", [13, 15, 11]),
    ],
)
def test_crops_of_the_specification(
    one, number: int, side: str, order: str, expected: list[int]
) -> None:
    """U-7(c)."""
    made = guided_crop(*one, count(number), side, order=order)
    assert rows_of(made) == [expected]
    assert made.items[0, number:].tolist() == [V] * (5 - number)


def test_masks_of_the_specification(one) -> None:
    """U-7(c)."""
    assert rows_of(guided_mask(*one, count(3), "least")) == [[V, 12, V, 14, V]]
    assert rows_of(guided_mask(*one, count(1), "most")) == [[11, V, 13, 14, 15]]


def test_reorders_of_the_specification_permute_three_items_evenly(one) -> None:
    """U-7(c): {11, 13, 15} at the positions {0, 2, 4}."""
    batch = batch_of(*[ITEMS] * 3000)
    torch.manual_seed(0)
    rows = rows_of(
        guided_reorder(
            batch, one[1].repeat(3000, 1), 3 * count(1).repeat(3000), "least"
        )
    )
    seen: dict[tuple[int, ...], int] = {}
    for row in rows:
        assert (row[1], row[3]) == (12, 14)
        moved = (row[0], row[2], row[4])
        seen[moved] = seen.get(moved, 0) + 1
    assert len(seen) == 6 and all(sorted(m) == [11, 13, 15] for m in seen)
    assert all(abs(n - 500) < 5 * 500**0.5 for n in seen.values())


@pytest.mark.parametrize("side", ["least", "most"])
def test_important_positions_are_ranked_by_score_and_position(crowd, side: str) -> None:
    batch, scores = crowd
    number = (batch.lengths + 1) // 2
    found = important_positions(batch, scores, number, side)
    for row, items in enumerate(rows_of(batch)):
        order, k = ranked(items, scores[row].tolist()), int(number[row])
        chosen = order[:k] if side == "least" else order[len(order) - k :]
        assert found[row].nonzero()[:, 0].tolist() == sorted(chosen)


@pytest.mark.parametrize("side", ["least", "most"])
@pytest.mark.parametrize("order", ["time", "importance"])
def test_crops_equal_loops(crowd, side: str, order: str) -> None:
    batch, scores = crowd
    number = (batch.lengths * 7 // 10).clamp(min=1)
    made = rows_of(guided_crop(batch, scores, number, side, order=order))
    for row, items in enumerate(rows_of(batch)):
        ascending, k = ranked(items, scores[row].tolist()), int(number[row])
        kept = ascending[:k] if side == "least" else ascending[len(ascending) - k :]
        kept = sorted(kept) if order == "time" else kept
        assert made[row] == [items[i] for i in kept]


@pytest.mark.parametrize("view", [guided_mask, guided_reorder])
@pytest.mark.parametrize("side", ["least", "most"])
def test_other_positions_are_unchanged(crowd, view, side: str) -> None:
    batch, scores = crowd
    number = batch.lengths // 2
    made = view(batch, scores, number, side)
    changed = important_positions(batch, scores, number, side)
    assert torch.equal(made.lengths, batch.lengths)
    assert torch.equal(made.items[~changed], batch.items[~changed])
    if view is guided_mask:
        assert (made.items[changed] == V).all()
    else:
        assert torch.equal(made.items.sort().values, batch.items.sort().values)
        assert not torch.equal(made.items, batch.items)


@pytest.mark.parametrize(
    "view",
    [
        guided_crop,
        partial(guided_crop, order="importance"),
        guided_mask,
        guided_reorder,
    ],
)
def test_inputs_are_never_changed(crowd, view) -> None:
    batch, scores = crowd
    items, lengths, before = batch.items.clone(), batch.lengths.clone(), scores.clone()
    number = (batch.lengths // 2).clamp(min=1)
    for side in ("least", "most"):
        view(batch, scores, number, side)
    assert torch.equal(batch.items, items) and torch.equal(batch.lengths, lengths)
    assert torch.equal(scores, before)
    assert number.tolist() == (lengths // 2).clamp(min=1).tolist()


SIZES = {  # U-10: n -> crop+, mask+, mask-
    1: (1, 1, 1),
    2: (1, 1, 1),
    3: (1, 2, 1),
    4: (1, 2, 1),
    5: (1, 3, 1),
    7: (2, 4, 2),
    10: (3, 7, 3),
    20: (6, 14, 6),
    50: (15, 35, 15),
}


def test_sizes_of_the_specification() -> None:
    """U-10."""
    found = torch.stack(GuidedAugmentation().counts(torch.tensor([*SIZES])), dim=1)
    assert [tuple(row) for row in found.tolist()] == [*SIZES.values()]


def test_with_mu_a_positive_crop_removes_what_is_unimportant() -> None:
    guide = GuidedAugmentation(mu=0.4)
    kept, least, most = guide.counts(torch.tensor([1, 2, 5, 10]))
    assert least.tolist() == most.tolist() == [1, 1, 2, 4]
    assert kept.tolist() == [1, 1, 3, 6]


def test_positive_views_are_those_of_the_table(one) -> None:
    """⌊.3 5⌋ = 1 is important, ⌊.7 5⌋ = 3 are unimportant."""
    batch, scores = one
    cropped, masked, reordered = (
        view(batch) for view in GuidedAugmentation().operators(scores, "most")
    )
    assert rows_of(cropped) == [[12]]
    assert rows_of(masked) == [[V, 12, V, 14, V]]
    assert rows_of(reordered)[0][1::2] == [12, 14]
    by_importance = GuidedAugmentation(
        positive=["crop"], important=0.6, crop_order="importance"
    )
    for made in by_importance.positive(batch, scores):
        assert rows_of(made) == [[11, 14, 12]]


def test_positive_views_are_drawn_from_the_given_operations() -> None:
    """Of two, a row gets one each; rows of one item stay as they are."""
    batch, scores = batch_of(*[[1, 2, 3, 4, 5]] * 40, [6]), torch.arange(5.0)
    two = GuidedAugmentation(positive=["mask", "crop"])
    first, second = map(rows_of, two.positive(batch, scores.repeat(41, 1)))
    made = ([V, V, V, 4, 5], [5])
    assert {*map(tuple, first[:40])} == {*map(tuple, made)}
    for one, other in zip(first[:40], second[:40], strict=True):
        assert one != other and other in made
    assert first[40] == second[40] == [6]


def test_negative_views_are_those_of_the_table_each_equally_often() -> None:
    batch = batch_of(*[list(range(1, 11))] * 3000)
    scores = torch.arange(10.0).repeat(3000, 1)  # items 8, 9, 10 matter most
    torch.manual_seed(0)
    kinds = {"crop": 0, "mask": 0, "reorder": 0}
    for row in rows_of(GuidedAugmentation().negative(batch, scores)):
        if len(row) == 7:
            kinds["crop"] += 1
            assert row == [1, 2, 3, 4, 5, 6, 7]
        elif V in row:
            kinds["mask"] += 1
            assert row == [1, 2, 3, 4, 5, 6, 7, V, V, V]
        else:
            kinds["reorder"] += 1
            assert row[:7] == [1, 2, 3, 4, 5, 6, 7] and sorted(row[7:]) == [8, 9, 10]
    assert all(abs(n - 1000) < 5 * 667**0.5 for n in kinds.values())


@pytest.mark.parametrize("operation", ["crop", "mask", "reorder"])
def test_negative_views_are_drawn_from_the_given_operations(operation: str) -> None:
    batch, scores = batch_of([1, 2, 3, 4, 5]), torch.arange(5.0)[None]
    found = rows_of(GuidedAugmentation(negative=(operation,)).negative(batch, scores))
    expected = {"crop": [1, 2, 3], "mask": [1, 2, 3, 4, V], "reorder": [1, 2, 3, 4, 5]}
    assert found == [expected[operation]]


def test_one_item_has_a_random_item_as_its_negative_view() -> None:
    batch = Batch(
        torch.arange(4000), torch.full((4000, 3), 8), torch.ones(4000).long(), 8
    )
    batch.items[:, 0] = 5
    torch.manual_seed(0)
    made = GuidedAugmentation().negative(batch, torch.ones(4000, 3))
    assert (made.lengths == 1).all() and (made.items[:, 1:] == 8).all()
    drawn = torch.bincount(made.items[:, 0], minlength=9)
    assert drawn[8] == 0 and (drawn[:8] - 500).abs().max() < 5 * 500**0.5


def test_views_have_no_targets_and_keep_user_and_example(one) -> None:
    batch, scores = one
    full = Batch(
        torch.tensor([7]),
        batch.items,
        batch.lengths,
        V,
        torch.full((1, 5), 3),
        example=torch.tensor([4]),
    )
    guide = GuidedAugmentation()
    for made in (*guide.positive(full, scores), guide.negative(full, scores)):
        assert made.targets is None and made.negatives is None
        assert made.user.tolist() == [7] and made.example.tolist() == [4]
