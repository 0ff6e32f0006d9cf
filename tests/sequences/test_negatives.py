"""Negatives: never the user's own items, and otherwise uniform."""

from collections.abc import Callable

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.sequences import UniformNegatives

Written = Callable[..., HeteroData]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(1,), (7,), (3, 2), ()])
def test_no_negative_is_among_the_users_items(
    random_graph: HeteroData, size: tuple[int, ...]
) -> None:
    users = torch.arange(120).repeat_interleave(5)
    drawn = UniformNegatives(random_graph).draw(users, size, seeded(0))
    assert drawn.shape == (600, *size)
    assert drawn.min() >= 0 and drawn.max() < 50
    own = {tuple(pair) for pair in random_graph[INTERACTS].edge_index.T.tolist()}
    rows = users.view(-1, *(1 for _ in size)).expand(drawn.shape)
    pairs = zip(rows.flatten().tolist(), drawn.flatten().tolist(), strict=True)
    assert own.isdisjoint(pairs)


def test_the_other_items_are_drawn_alike(written: Written) -> None:
    graph = written([[0, 3, 3], [1, 2, 4, 5]], num_items=6)
    users = torch.tensor([0, 1]).repeat_interleave(6000)
    drawn = UniformNegatives(graph).draw(users, (1,), seeded(0))[:, 0]
    first = torch.bincount(drawn[:6000], minlength=6) / 6000
    second = torch.bincount(drawn[6000:], minlength=6) / 6000
    quarter, half = 1 / 4, 1 / 2
    expected = [0, quarter, quarter, 0, quarter, quarter]
    assert first.tolist() == pytest.approx(expected, abs=0.03)
    assert second.tolist() == pytest.approx([half, 0, 0, half, 0, 0], abs=0.03)


def test_a_user_of_every_item_is_answered_all_the_same(written: Written) -> None:
    graph = written([[0, 1, 2], [0]], num_items=3)
    drawn = UniformNegatives(graph).draw(torch.tensor([0, 1]), (50,), seeded(0))
    assert drawn.max() < 3 and 0 not in drawn[1]


def test_the_generator_decides() -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 1, 1000
    graph[INTERACTS].edge_index = torch.tensor([[0], [0]])
    negatives, users = UniformNegatives(graph), torch.zeros(100, dtype=torch.int64)
    first = negatives.draw(users, (2,), seeded(1))
    assert torch.equal(negatives.draw(users, (2,), seeded(1)), first)
    assert not torch.equal(negatives.draw(users, (2,), seeded(2)), first)
