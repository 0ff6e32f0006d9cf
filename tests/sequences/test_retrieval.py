"""Retrieval by utility: what is shared, both probabilities, draws by them."""

import math

import pytest
import torch

from graphseq.sequences import Batch
from graphseq.sequences.retrieval import draw, probabilities, retrieve, shared

V = 30


def batch_of(*rows: list[int]) -> Batch:
    width = max(len(row) for row in rows)
    items = torch.tensor([row + [V] * (width - len(row)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return Batch(torch.arange(len(rows)), items, lengths, V)


@pytest.fixture
def crowd() -> tuple[Batch, torch.Tensor, Batch, torch.Tensor]:
    """6 sequences with 1 … 9 candidates, and importances of sum 1."""
    rng = torch.Generator().manual_seed(0)

    def some(number: int) -> list[list[int]]:
        sizes = torch.randint(1, 9, (number,), generator=rng).tolist()
        return [torch.randperm(12, generator=rng)[:n].tolist() for n in sizes]

    owner = torch.randint(1, 9, (6,), generator=rng) + 0
    owner = torch.repeat_interleave(owner)
    others = batch_of(*some(len(owner)))
    weight = torch.rand(others.items.shape, generator=rng, dtype=torch.float64)
    weight = weight * others.mask
    return batch_of(*some(6)), owner, others, weight / weight.sum(dim=1, keepdim=True)


OVERLAPS = {  # U-9: (a, b) = (.7, 2/4), (.01, 0), (1, 1)
    "importance": torch.tensor([0.7, 0.0, 1.0], dtype=torch.float64),
    "number": torch.tensor([2, 0, 3]),
    "own": torch.tensor([4, 4, 3]),
    "other": torch.tensor([2, 3, 3]),
    "owner": torch.tensor([0, 0, 0]),
}


@pytest.mark.parametrize(
    "temperature, expected",
    [(1.0, [0.144883525, 0.052934, 0.802182]), (0.5, [0.031457, 0.004199, 0.964343])],
)
def test_the_codes_probabilities_of_the_specification(
    temperature: float, expected: list[float]
) -> None:
    """U-9."""
    found = probabilities(**OVERLAPS, utility="code", temperature=temperature)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_papers_probabilities_of_the_specification() -> None:
    """U-9."""
    found = probabilities(**OVERLAPS, utility="paper")
    assert found.tolist() == pytest.approx([0.259259, 0, 0.740741], abs=1e-6)


def test_shared_items_are_found_by_loops(crowd) -> None:
    batch, owner, others, weight = crowd
    a, number = shared(batch, owner, others, weight)
    for m, row in enumerate(owner.tolist()):
        mine = set(batch.items[row, : batch.lengths[row]].tolist())
        its = others.items[m, : others.lengths[m]].tolist()
        assert number[m] == len(mine & set(its))
        expected = sum(
            float(weight[m, i]) for i, item in enumerate(its) if item in mine
        )
        assert a[m].item() == pytest.approx(expected)
    assert number.max() > 2 and number.min() == 0


def test_padding_and_masked_places_are_not_shared() -> None:
    one, other = batch_of([1, 2, V]), batch_of([V, 2, V, 5])
    a, number = shared(one, torch.tensor([0]), other, torch.full((1, 4), 0.25))
    assert (a.item(), number.item()) == (0.25, 1)


@pytest.mark.parametrize("utility", ["code", "paper"])
def test_probabilities_are_the_equation_written_as_loops(crowd, utility: str) -> None:
    batch, owner, others, weight = crowd
    a, number = shared(batch, owner, others, weight)
    u, w = batch.lengths[owner], others.lengths
    found = probabilities(a, number, u, w, owner, utility=utility, temperature=0.3)
    for row in range(len(batch)):
        mine = [m for m in range(len(owner)) if owner[m] == row]
        worth = []
        for m in mine:
            first = set(batch.items[row, : u[m]].tolist())
            second = set(others.items[m, : w[m]].tolist())
            both = len(first & second)
            if utility == "paper":
                worth.append(float(a[m]) * both / len(first | second))
                continue
            share = both / max(len(first), len(second))
            important = float(a[m]) if both else 0.01
            worth.append(math.exp(math.exp(important) * share / 0.3))
        total = sum(worth)
        even = [1 / len(mine)] * len(mine)
        expected = [x / total for x in worth] if total else even
        assert found[mine].tolist() == pytest.approx(expected)


def test_if_nothing_is_shared_with_anyone_all_are_equally_likely() -> None:
    none = torch.zeros(3, dtype=torch.float64)
    options = OVERLAPS | {"importance": none, "number": torch.zeros(3).long()}
    for utility in ("code", "paper"):
        found = probabilities(**options, utility=utility)
        assert found.tolist() == pytest.approx([1 / 3] * 3)


def test_draws_have_their_probabilities() -> None:
    p = torch.tensor([0.2, 0.8, 1.0, 0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 2])
    times = 5000
    torch.manual_seed(0)
    shift = 3 * torch.arange(times)[:, None]
    drawn = draw(p.repeat(times), (owner + shift).flatten(), 3 * times)
    assert (owner.repeat(times)[drawn] == torch.arange(3 * times) % 3).all()
    count = torch.bincount(drawn % 7, minlength=7)
    error = (count / times - p).abs()
    assert (error <= 4 * (p * (1 - p) / times).sqrt()).all()


def test_the_candidate_that_shares_what_matters_is_retrieved_most_often() -> None:
    batch = batch_of(*[[1, 2, 3]] * 2000)
    owner = torch.arange(2000).repeat_interleave(3)
    others = batch_of(*[[1, 8, 9], [9, 8, 1], [4, 5, 6]] * 2000)
    weight = torch.tensor([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1]])
    torch.manual_seed(0)
    found = retrieve(batch, owner, others, weight.repeat(2000, 1), utility="paper")
    assert torch.equal(owner[found], torch.arange(2000))
    shares = torch.bincount(found % 3, minlength=3) / 2000
    assert shares.tolist() == pytest.approx([8 / 9, 1 / 9, 0], abs=0.03)
