"""Repeat: the history in its order, then the rest by popularity."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq import evaluate
from graphseq.constants import INTERACTS
from graphseq.models import POP, Repeat, scoring


def ranked(lab, graph: HeteroData, rows: list[list[int]], **options) -> list[list[int]]:
    model = Repeat(graph["user"].num_nodes, graph["item"].num_nodes, **options)
    scores = model.score(lab.written(rows, model.num_items), graph)
    for row in scores.tolist():
        assert len(set(row)) == len(row), "no ties"
    return scores.argsort(dim=1, descending=True).tolist()


def naive(row: list[int], counts: list[int], gamma: float) -> list[int]:
    """The order of all items, by loops."""
    weight: dict[int, float] = {}
    newest: dict[int, int] = {}
    for position, item in enumerate(row):
        age = len(row) - 1 - position
        weight[item] = weight.get(item, 0.0) + gamma**age
        newest[item] = position
    own = sorted(weight, key=lambda item: (-weight[item], -newest[item]))
    others = [item for item in range(len(counts)) if item not in weight]
    return own + sorted(others, key=lambda item: (-counts[item], item))


def test_three_orders_of_a_history(lab, small_log: HeteroData) -> None:
    row = [[0, 0, 0, 3, 1, 3, 0, 1]]
    # Events: 2 three times, 1 twice, 0 and 3 once.
    assert ranked(lab, small_log, row) == [[1, 0, 3, 2]]
    assert ranked(lab, small_log, row, order="count") == [[0, 1, 3, 2]]
    assert ranked(lab, small_log, row, order="decay", decay=0.5) == [[1, 0, 3, 2]]
    assert ranked(lab, small_log, [[]]) == [[2, 1, 0, 3]]


@pytest.mark.parametrize(
    "order, gamma", [("recency", 0.0), ("decay", 0.8), ("count", 1.0)]
)
def test_orders_are_the_naive_loops(
    lab, noise: HeteroData, order, gamma, monkeypatch
) -> None:
    monkeypatch.setattr(scoring, "FEWEST_ROWS", 1)
    monkeypatch.setattr(scoring, "CPU_BLOCK", 4 * 64)  # four rows
    generator = torch.Generator().manual_seed(0)
    rows = [
        torch.randint(20, (n,), generator=generator).tolist() for n in (9, 0, 1, 30) * 3
    ]
    counts = noise[INTERACTS].edge_index[1].bincount(minlength=20).tolist()
    found = ranked(lab, noise, rows, order=order, decay=0.8)
    assert found == [naive(row, counts, gamma) for row in rows]


def test_long_histories_do_not_overflow(lab, small_log: HeteroData) -> None:
    row = [0, 1] * 3000 + [3]
    assert ranked(lab, small_log, [row], order="decay", decay=0.5) == [[3, 1, 0, 2]]


def test_without_the_history_it_is_popularity(cycle: HeteroData) -> None:
    found = evaluate(Repeat(48, 12), cycle, history="excluded")
    expected = evaluate(POP(48, 12), cycle, history="excluded")
    assert found["excluded"] == expected["excluded"]
