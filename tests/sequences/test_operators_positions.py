"""Positions within rows: how many a rate selects, and how likely each is."""

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.sequences import Batch
from graphseq.sequences.operators import (
    fraction_of,
    lowest_positions,
    random_index,
    random_positions,
    window_mask,
)

LENGTHS = [1, 2, 3, 4, 5, 7, 10, 20, 50]
SIZES = {  # U-10 of the specification: rate, least, the size for every length
    "crop, per-user code": (0.2, 1, [1, 1, 1, 1, 1, 1, 2, 4, 10]),
    "mask, per-user code": (0.7, 0, [0, 1, 2, 2, 3, 4, 7, 14, 35]),
    "reorder, per-user code": (0.2, 0, [0, 0, 0, 0, 1, 1, 2, 4, 10]),
    "reorder, CoSeRec": (0.7, 0, [0, 1, 2, 2, 3, 4, 7, 14, 35]),
    "insert, CoSeRec": (0.4, 1, [1, 1, 1, 1, 2, 2, 4, 8, 20]),
    "substitute, CoSeRec": (0.1, 1, [1, 1, 1, 1, 1, 1, 1, 2, 5]),
    "crop, DuoRec": (0.6, 0, [0, 1, 1, 2, 3, 4, 6, 12, 30]),
    "mask, DuoRec": (0.3, 0, [0, 0, 0, 1, 1, 2, 3, 6, 15]),
    "reorder, DuoRec": (0.6, 0, [0, 1, 1, 2, 3, 4, 6, 12, 30]),
    "crop, MCLRec": (0.5, 0, [0, 1, 1, 2, 2, 3, 5, 10, 25]),
    "reorder, MCLRec": (0.8, 0, [0, 1, 2, 3, 4, 5, 8, 16, 40]),
    "crop, EC4SRec": (0.3, 1, [1, 1, 1, 1, 1, 2, 3, 6, 15]),
    "mask, EC4SRec": (0.7, 1, [1, 1, 2, 2, 3, 4, 7, 14, 35]),
}


def of_lengths(*lengths: int) -> Batch:
    n = torch.tensor(lengths)
    items = torch.arange(int(n.max()) or 1).expand(len(n), -1).clone()
    items[torch.arange(items.shape[1]) >= n[:, None]] = 99
    return Batch(torch.arange(len(n)), items, n, 99)


@pytest.mark.parametrize("rate, least, sizes", SIZES.values(), ids=SIZES.keys())
def test_sizes_are_those_of_the_published_code(
    rate: float, least: int, sizes: list[int]
) -> None:
    assert fraction_of(torch.tensor(LENGTHS), rate, at_least=least).tolist() == sizes


@given(st.integers(0, 300), st.floats(0, 1), st.integers(0, 2))
def test_a_fraction_is_computed_in_double_precision_and_at_most_the_length(
    n: int, rate: float, least: int
) -> None:
    found = fraction_of(torch.tensor([n]), rate, at_least=least).item()
    assert found == min(n, max(least, int(rate * n)))


def chi_square(count: torch.Tensor) -> float:
    expected = count.sum() / len(count)
    return float(((count - expected) ** 2 / expected).sum())


def test_every_index_is_equally_likely() -> None:
    torch.manual_seed(0)
    count = torch.bincount(random_index(torch.full((40_000,), 5)))
    assert len(count) == 5
    assert chi_square(count) < 18.5  # 4 degrees of freedom: p = 0.001
    assert random_index(torch.tensor([0, -1, 1])).tolist() == [0, 0, 0]


def test_every_set_of_positions_is_equally_likely() -> None:
    torch.manual_seed(0)
    batch = of_lengths(*[4] * 24_000)
    chosen = random_positions(batch, torch.full((24_000,), 2))
    code = (chosen * (1 << torch.arange(4))).sum(dim=1)
    pairs = [(1 << a) + (1 << b) for a, b in combinations(range(4), 2)]
    count = torch.bincount(code, minlength=16)
    assert int(count[pairs].sum()) == len(batch)
    assert chi_square(count[pairs]) < 20.5  # 5 degrees of freedom: p = 0.001


def test_the_requested_number_of_positions_is_drawn_and_never_padding() -> None:
    batch = of_lengths(0, 1, 3, 9)
    chosen = random_positions(batch, torch.tensor([2, 1, 2, 9]))
    assert chosen.sum(dim=1).tolist() == [0, 1, 2, 9]
    assert not (chosen & ~batch.mask).any()


def test_lowest_positions_equal_a_sort_of_each_row() -> None:
    generator = torch.Generator().manual_seed(1)
    key = torch.randint(0, 4, (60, 7), generator=generator).double()
    among = torch.rand(60, 7, generator=generator) < 0.7
    count = torch.randint(0, 8, (60,), generator=generator)
    found = lowest_positions(key, among, count)
    for row in range(60):
        order = [p for p in range(7) if among[row, p]]
        order.sort(key=lambda p: (float(key[row, p]), p))
        expected = sorted(order[: int(count[row])])
        assert found[row].nonzero()[:, 0].tolist() == expected


def test_a_window_has_its_positions_only() -> None:
    batch = of_lengths(5, 5)
    found = window_mask(batch, torch.tensor([1, 4]), torch.tensor([3, 0]))
    assert found.tolist() == [[False, True, True, True, False], [False] * 5]
