"""Views by similar items: nothing moves but what was drawn."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphseq.sequences import Batch
from graphseq.sequences.similar import insert, substitute

quick = settings(deadline=None, max_examples=50)
V = 40
SIMILAR = (torch.arange(V) * 3 + 1) % V

rows = st.lists(st.lists(st.integers(0, V - 1), max_size=12), min_size=1, max_size=6)
rates = st.floats(0, 1)
seeds = st.integers(0, 2**31)


def written(lists: list[list[int]]) -> Batch:
    longest = max(1, *map(len, lists))
    items = torch.tensor([row + [V] * (longest - len(row)) for row in lists])
    lengths = torch.tensor([len(row) for row in lists])
    return Batch(torch.arange(len(lists)), items, lengths, V)


def sequences(batch: Batch) -> list[list[int]]:
    assert (batch.items[~batch.mask] == V).all()
    rows = zip(batch.items.tolist(), batch.lengths.tolist(), strict=True)
    return [row[:n] for row, n in rows]


def drawn_places(batch: Batch, rate: float, seed: int) -> list[list[int]]:
    """The places that the seed draws, row by row."""
    torch.manual_seed(seed)
    keys = torch.rand(batch.items.shape, dtype=torch.float64).tolist()
    found = []
    for n, key in zip(batch.lengths.tolist(), keys, strict=True):
        count = min(n, max(1, int(rate * n)))
        found.append(sorted(range(n), key=key.__getitem__)[:count])
    return found


@quick
@given(rows, rates, seeds)
def test_substitute_changes_the_places_drawn_and_no_other(
    lists: list[list[int]], rate: float, seed: int
) -> None:
    batch = written(lists)
    torch.manual_seed(seed)
    view = sequences(substitute(batch, rate, SIMILAR))
    for row, found, places in zip(
        lists, view, drawn_places(batch, rate, seed), strict=True
    ):
        expected = [
            int(SIMILAR[item]) if place in places else item
            for place, item in enumerate(row)
        ]
        assert found == expected


@quick
@given(rows, rates, st.sampled_from([None, 1, 5, 12]), seeds)
def test_insert_puts_the_similar_item_before_each_drawn_one_and_keeps_the_newest(
    lists: list[list[int]], rate: float, most: int | None, seed: int
) -> None:
    batch = written(lists)
    torch.manual_seed(seed)
    view = insert(batch, rate, SIMILAR, max_length=most)
    assert most is None or view.items.shape[1] <= most
    for row, found, places in zip(
        lists, sequences(view), drawn_places(batch, rate, seed), strict=True
    ):
        expected = []
        for place, item in enumerate(row):
            if place in places:
                expected.append(int(SIMILAR[item]))
            expected.append(item)
        assert found == (expected if most is None else expected[-most:])


def test_an_item_without_a_similar_one_gives_a_random_item() -> None:
    torch.manual_seed(0)
    batch = written([[5]] * 8_000)
    nothing = torch.full((V,), V)
    found = substitute(batch, 0.1, nothing).items[:, 0]
    count = torch.bincount(found, minlength=V)
    assert len(count) == V and count.min() > 120  # 200 expected
    assert insert(batch, 0.1, nothing).items[:, 0].max() < V


def test_masked_items_are_passed_on() -> None:
    items = torch.tensor([[V, 4, V]])
    batch = Batch(torch.tensor([0]), items, torch.tensor([3]), V)
    torch.manual_seed(0)
    view = insert(batch, 0.0, SIMILAR)
    left = [item for item in view.items[0].tolist() if item != int(SIMILAR[4])]
    assert view.lengths.tolist() == [4]
    assert left.count(V) >= 2
