"""How many places a rate means, and that each is as likely as the others."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphseq.sequences import Batch
from graphseq.sequences.places import lowest, share, some, uniform, window

quick = settings(deadline=None, max_examples=50)
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
    assert share(torch.tensor(LENGTHS), rate, least=least).tolist() == sizes


@quick
@given(st.integers(0, 300), st.floats(0, 1), st.integers(0, 2))
def test_size_is_what_double_precision_gives_and_at_most_the_length(
    n: int, rate: float, least: int
) -> None:
    found = share(torch.tensor([n]), rate, least=least).item()
    assert found == min(n, max(least, int(rate * n)))


def chi_square(count: torch.Tensor) -> float:
    expected = count.sum() / len(count)
    return float(((count - expected) ** 2 / expected).sum())


def test_uniform_reaches_every_spot_equally_often_and_never_the_one_after() -> None:
    torch.manual_seed(0)
    count = torch.bincount(uniform(torch.full((40_000,), 5)))
    assert len(count) == 5
    assert chi_square(count) < 18.5  # 4 degrees of freedom: p = 0.001
    assert uniform(torch.tensor([0, -1, 1])).tolist() == [0, 0, 0]


def test_every_set_of_places_is_equally_likely() -> None:
    torch.manual_seed(0)
    batch = of_lengths(*[4] * 24_000)
    chosen = some(batch, torch.full((24_000,), 2))
    code = (chosen * (1 << torch.arange(4))).sum(dim=1)
    pairs = [(1 << a) + (1 << b) for a, b in combinations(range(4), 2)]
    count = torch.bincount(code, minlength=16)
    assert int(count[pairs].sum()) == len(batch)
    assert chi_square(count[pairs]) < 20.5  # 5 degrees of freedom: p = 0.001


def test_places_are_as_many_as_asked_and_never_padding() -> None:
    batch = of_lengths(0, 1, 3, 9)
    chosen = some(batch, torch.tensor([2, 1, 2, 9]))
    assert chosen.sum(dim=1).tolist() == [0, 1, 2, 9]
    assert not (chosen & ~batch.mask).any()


def test_lowest_is_what_sorting_each_row_by_key_and_place_gives() -> None:
    generator = torch.Generator().manual_seed(1)
    key = torch.randint(0, 4, (60, 7), generator=generator).double()
    among = torch.rand(60, 7, generator=generator) < 0.7
    count = torch.randint(0, 8, (60,), generator=generator)
    found = lowest(key, among, count)
    for row in range(60):
        places = [p for p in range(7) if among[row, p]]
        places.sort(key=lambda p: (float(key[row, p]), p))
        expected = sorted(places[: int(count[row])])
        assert found[row].nonzero()[:, 0].tolist() == expected


def test_window_holds_its_places_and_no_other() -> None:
    batch = of_lengths(5, 5)
    found = window(batch, torch.tensor([1, 4]), torch.tensor([3, 0]))
    assert found.tolist() == [[False, True, True, True, False], [False] * 5]
