"""Examples with the same target: the index, uniform draws, candidates."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import Interactions, leave_one_out, read_log
from graphseq.graphs import build_graph
from graphseq.sequences import SequenceLoader, examples
from graphseq.sequences.same_target import SameTargetIndex, same_target

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
    """For every example the others with its target, by comparing all pairs."""
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
    for place, row in enumerate(rows.tolist()):
        mine = found[owner == place].tolist()
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


def test_a_limit_takes_some_of_the_others_each_equally_often(
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


def test_without_another_one_every_draw_is_the_example_itself() -> None:
    alone = same_target(graph_of([0, 1, 2, 3, 4], [5, 6, 7, 8]), "prefix", 50)
    rows = torch.arange(len(alone.target))
    assert torch.equal(alone.draw(rows), rows)
    owner, found = alone.candidates(rows, most=3)
    assert torch.equal(owner, rows) and torch.equal(found, rows)


def test_what_a_loader_calls_an_example_is_one_of_the_index() -> None:
    graph = graph_of(A, B)
    loader = SequenceLoader(graph, "prefix", 3, 2)
    index = same_target(graph, "prefix", 2)
    for batch in loader:
        again = index.gather(index.of(batch))
        assert torch.equal(again.items, batch.items)
        assert torch.equal(again.targets, batch.targets)
        newest = batch.targets.gather(1, (batch.lengths - 1)[:, None])[:, 0]
        assert torch.equal(index.target[index.of(batch)], newest)


@pytest.mark.parametrize("sampler", ["targets", "user"])
def test_of_several_targets_the_newest_counts(sampler: str) -> None:
    graph = graph_of(A, B, list(range(10)) * 3)
    index = same_target(graph, sampler, 4)
    for batch in SequenceLoader(graph, sampler, 8, 4):
        again = index.gather(index.of(batch))  # a prefix of its own
        assert torch.equal(again.items, batch.items)
        newest = batch.targets.gather(1, (batch.lengths - 1)[:, None])[:, 0]
        assert torch.equal(index.target[index.of(batch)], newest)
        assert (index.others(index.of(batch)) > 0).all()


def test_a_batch_that_does_not_say_its_examples_is_refused(
    index: SameTargetIndex,
) -> None:
    batch = replace(index.gather(torch.arange(3)), example=None)
    with pytest.raises(ValueError, match="SequenceLoader"):
        index.of(batch)


def test_the_index_takes_memory_linear_in_the_examples() -> None:
    """One target for all: the quadratic table would hold 10⁸ numbers."""
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 10_000, 2
    user = torch.arange(10_000).repeat_interleave(2)
    graph[INTERACTS].edge_index = torch.stack([user, torch.tensor([0, 1] * 10_000)])
    index = same_target(graph, "prefix", 50)
    sizes = [t.numel() for t in (index.target, index.order, index.place, index.start)]
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
