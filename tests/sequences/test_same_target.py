"""Sequences with the same target: the index, uniform draws, guided retrieval."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import Interactions, leave_one_out, read_log
from graphseq.graphs import build_graph
from graphseq.sequences import Batch, SequenceLoader, examples
from graphseq.sequences.same_target import (
    SameTargetIndex,
    draw_by_probability,
    retrieval_probabilities,
    retrieve,
    same_target,
    shared_importance,
)

A, B = [1, 2, 3, 4, 5, 6], [7, 3, 4, 8, 9]


def graph_of(*sequences: list[int]) -> HeteroData:
    user = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
    log = Interactions.from_arrays(user, np.concatenate(sequences))
    return build_graph(leave_one_out(log))


@pytest.fixture
def index() -> SameTargetIndex:
    """U-9: the prefixes A1 A2 A3 B1 B2 are the examples 0 … 4."""
    return same_target(graph_of(A, B), "prefix", 50)


@pytest.fixture
def crowd() -> SameTargetIndex:
    """40 users of 8 events among 9 items, with repeats."""
    rng = np.random.default_rng(0)
    return same_target(graph_of(*rng.integers(9, size=(40, 8)).tolist()), "prefix", 50)


def by_loops(index: SameTargetIndex) -> list[set[int]]:
    """For every example, the others with its target, by comparing all pairs."""
    cut, wanted = index.examples, []
    for start, length in zip(cut.start.tolist(), cut.length.tolist(), strict=True):
        wanted.append(index.flat[start + length].item())
    everyone = range(len(wanted))
    return [
        {j for j in everyone if j != i and wanted[j] == wanted[i]} for i in everyone
    ]


def test_the_index_of_the_specification(index: SameTargetIndex) -> None:
    """U-9: positives of A2 = {B1}, A3 = {B2}, A1 none, so itself."""
    assert index.target.tolist() == [2, 3, 4, 3, 4]
    owner, found = index.candidates(torch.arange(5))
    assert owner.tolist() == [0, 1, 2, 3, 4]
    assert found.tolist() == [0, 3, 4, 1, 2]
    assert index.draw(torch.arange(5)).tolist() == [0, 3, 4, 1, 2]
    assert index.others(torch.arange(5)).tolist() == [0, 1, 1, 1, 1]


def test_candidates_are_all_others_with_the_target(crowd: SameTargetIndex) -> None:
    rows = torch.randperm(len(crowd.target))[:50]
    owner, found = crowd.candidates(rows)
    assert owner.tolist() == sorted(owner.tolist())
    expected = by_loops(crowd)
    for i, row in enumerate(rows.tolist()):
        mine = found[owner == i].tolist()
        assert len(mine) == len(set(mine)) and set(mine) == expected[row]
    assert crowd.others(rows).tolist() == [len(expected[r]) for r in rows.tolist()]


def test_every_other_example_is_drawn_equally_often(crowd: SameTargetIndex) -> None:
    row, times = 17, 20_000
    expected = by_loops(crowd)[row]
    torch.manual_seed(0)
    count = torch.bincount(crowd.draw(torch.full((times,), row)), minlength=1)
    drawn = {i: n for i, n in enumerate(count.tolist()) if n}
    assert set(drawn) == expected and len(expected) > 10
    mean = times / len(expected)
    assert all(abs(n - mean) < 5 * mean**0.5 for n in drawn.values())


def test_with_a_limit_each_of_the_others_is_equally_likely(
    crowd: SameTargetIndex,
) -> None:
    row, times = 17, 4000
    expected = by_loops(crowd)[row]
    torch.manual_seed(0)
    owner, found = crowd.candidates(torch.full((times,), row), most=4)
    assert torch.bincount(owner).tolist() == [4] * times
    for mine in found.view(times, 4)[:50].tolist():
        assert len(set(mine)) == 4 and set(mine) <= expected
    count = torch.bincount(found)[sorted(expected)]
    mean = 4 * times / len(expected)
    assert (count - mean).abs().max() < 5 * mean**0.5
    _, all_of_them = crowd.candidates(torch.tensor([row]), most=1000)
    assert set(all_of_them.tolist()) == expected


def test_an_example_alone_is_its_own_candidate() -> None:
    alone = same_target(graph_of([0, 1, 2, 3, 4], [5, 6, 7, 8]), "prefix", 50)
    rows = torch.arange(len(alone.target))
    assert torch.equal(alone.draw(rows), rows)
    owner, found = alone.candidates(rows, most=3)
    assert torch.equal(owner, rows) and torch.equal(found, rows)


def test_the_examples_of_a_loader_are_in_the_index() -> None:
    graph = graph_of(A, B)
    loader = SequenceLoader(graph, "prefix", 3, 2)
    index = same_target(graph, "prefix", 2)
    for batch in loader:
        again = index.gather(index.indices(batch))
        assert torch.equal(again.items, batch.items)
        assert torch.equal(again.targets, batch.targets)
        newest = batch.targets.gather(1, (batch.lengths - 1)[:, None])[:, 0]
        assert torch.equal(index.target[index.indices(batch)], newest)


@pytest.mark.parametrize("sampler", ["targets", "user"])
def test_of_several_targets_the_newest_counts(sampler: str) -> None:
    graph = graph_of(A, B, list(range(10)) * 3)
    index = same_target(graph, sampler, 4)
    for batch in SequenceLoader(graph, sampler, 8, 4):
        again = index.gather(index.indices(batch))  # a prefix of its own
        assert torch.equal(again.items, batch.items)
        newest = batch.targets.gather(1, (batch.lengths - 1)[:, None])[:, 0]
        assert torch.equal(index.target[index.indices(batch)], newest)
        assert (index.others(index.indices(batch)) > 0).all()


def test_a_batch_without_its_examples_is_refused(
    index: SameTargetIndex,
) -> None:
    batch = replace(index.gather(torch.arange(3)), example=None)
    with pytest.raises(ValueError, match="SequenceLoader"):
        index.indices(batch)


def test_the_index_takes_memory_linear_in_the_examples() -> None:
    """One target for all: the quadratic table would hold 10⁸ numbers."""
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 10_000, 2
    user = torch.arange(10_000).repeat_interleave(2)
    graph[INTERACTS].edge_index = torch.stack([user, torch.tensor([0, 1] * 10_000)])
    index = same_target(graph, "prefix", 50)
    sizes = [t.numel() for t in (index.target, index.order, index.rank, index.start)]
    assert sum(sizes) < 5 * 10_000
    rows = torch.arange(10_000)
    drawn = index.draw(rows)
    assert (drawn != rows).all()
    assert len(examples(graph, "prefix", 50)) == 10_000


@pytest.mark.parametrize(
    "path, prefixes, alone",
    [
        ("amazon-beauty/Beauty.txt", 131_413, 289),
        ("amazon-sports/Sports_and_Outdoors.txt", 189_543, 516),
        ("amazon-toys/Toys_and_Games.txt", 109_361, 339),
        ("yelp-2019/Yelp.txt", 225_061, 177),
    ],
)
def test_published_logs_have_as_many_unique_targets_as_specified(
    shared, path: str, prefixes: int, alone: int
) -> None:
    """U-15 and section 2.14."""
    log = read_log(shared / "data" / path, format="sequences")
    index = same_target(build_graph(leave_one_out(log)), "prefix", 50)
    others = index.others(torch.arange(len(index.target)))
    assert len(others) == prefixes
    assert int((others == 0).sum()) == alone


# --- Retrieval ------------------------------------------------------------------------

V = 30


def batch_of(*rows: list[int]) -> Batch:
    width = max(len(row) for row in rows)
    items = torch.tensor([row + [V] * (width - len(row)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return Batch(torch.arange(len(rows)), items, lengths, V)


@pytest.fixture
def candidates() -> tuple[Batch, torch.Tensor, Batch, torch.Tensor]:
    """6 sequences with 1 … 9 candidates, and importances of sum 1."""
    rng = torch.Generator().manual_seed(0)

    def random_rows(number: int) -> list[list[int]]:
        sizes = torch.randint(1, 9, (number,), generator=rng).tolist()
        return [torch.randperm(12, generator=rng)[:n].tolist() for n in sizes]

    owner = torch.randint(1, 9, (6,), generator=rng) + 0
    owner = torch.repeat_interleave(owner)
    others = batch_of(*random_rows(len(owner)))
    weight = torch.rand(others.items.shape, generator=rng, dtype=torch.float64)
    weight = weight * others.mask
    return (
        batch_of(*random_rows(6)),
        owner,
        others,
        weight / weight.sum(dim=1, keepdim=True),
    )


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
    found = retrieval_probabilities(**OVERLAPS, utility="code", temperature=temperature)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_papers_probabilities_of_the_specification() -> None:
    """U-9."""
    found = retrieval_probabilities(**OVERLAPS, utility="paper")
    assert found.tolist() == pytest.approx([0.259259, 0, 0.740741], abs=1e-6)


def test_shared_items_are_found_by_loops(candidates) -> None:
    batch, owner, others, weight = candidates
    a, number = shared_importance(batch, owner, others, weight)
    for m, row in enumerate(owner.tolist()):
        mine = set(batch.items[row, : batch.lengths[row]].tolist())
        its = others.items[m, : others.lengths[m]].tolist()
        assert number[m] == len(mine & set(its))
        expected = sum(
            float(weight[m, i]) for i, item in enumerate(its) if item in mine
        )
        assert a[m].item() == pytest.approx(expected)
    assert number.max() > 2 and number.min() == 0


def test_padding_and_masked_items_are_not_shared() -> None:
    one, other = batch_of([1, 2, V]), batch_of([V, 2, V, 5])
    a, number = shared_importance(
        one, torch.tensor([0]), other, torch.full((1, 4), 0.25)
    )
    assert (a.item(), number.item()) == (0.25, 1)


@pytest.mark.parametrize("utility", ["code", "paper"])
def test_probabilities_equal_loops(candidates, utility: str) -> None:
    batch, owner, others, weight = candidates
    a, number = shared_importance(batch, owner, others, weight)
    u, w = batch.lengths[owner], others.lengths
    found = retrieval_probabilities(
        a, number, u, w, owner, utility=utility, temperature=0.3
    )
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
            overlap = both / max(len(first), len(second))
            important = float(a[m]) if both else 0.01
            worth.append(math.exp(math.exp(important) * overlap / 0.3))
        total = sum(worth)
        even = [1 / len(mine)] * len(mine)
        expected = [x / total for x in worth] if total else even
        assert found[mine].tolist() == pytest.approx(expected)


def test_if_nothing_is_shared_all_are_equally_likely() -> None:
    none = torch.zeros(3, dtype=torch.float64)
    options = OVERLAPS | {"importance": none, "number": torch.zeros(3).long()}
    for utility in ("code", "paper"):
        found = retrieval_probabilities(**options, utility=utility)
        assert found.tolist() == pytest.approx([1 / 3] * 3)


def test_draws_have_their_probabilities() -> None:
    p = torch.tensor([0.2, 0.8, 1.0, 0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 2])
    times = 5000
    torch.manual_seed(0)
    shift = 3 * torch.arange(times)[:, None]
    drawn = draw_by_probability(p.repeat(times), (owner + shift).flatten(), 3 * times)
    assert (owner.repeat(times)[drawn] == torch.arange(3 * times) % 3).all()
    count = torch.bincount(drawn % 7, minlength=7)
    error = (count / times - p).abs()
    assert (error <= 4 * (p * (1 - p) / times).sqrt()).all()


def test_the_candidate_that_shares_important_items_is_retrieved_most_often() -> None:
    batch = batch_of(*[[1, 2, 3]] * 2000)
    owner = torch.arange(2000).repeat_interleave(3)
    others = batch_of(*[[1, 8, 9], [9, 8, 1], [4, 5, 6]] * 2000)
    weight = torch.tensor([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1]])
    torch.manual_seed(0)
    found = retrieve(batch, owner, others, weight.repeat(2000, 1), utility="paper")
    assert torch.equal(owner[found], torch.arange(2000))
    frequency = torch.bincount(found % 3, minlength=3) / 2000
    assert frequency.tolist() == pytest.approx([8 / 9, 1 / 9, 0], abs=0.03)
