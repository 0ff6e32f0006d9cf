"""The most similar known items of new ones, against loops."""

import math

import torch
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE
from graphseq.nn.similar_items import (
    Similar,
    similar_by_attributes,
    similar_by_vectors,
)

KNOWN, NEW = 9, 4


def cosine(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.hypot(*a) / math.hypot(*b)


def test_vectors_are_compared_by_their_cosine() -> None:
    x = torch.randn(KNOWN + NEW, 5, generator=torch.Generator().manual_seed(0))
    found = similar_by_vectors(x, KNOWN, 3)
    rows = x.double().tolist()
    for new in range(NEW):
        cosines = [cosine(rows[KNOWN + new], rows[old]) for old in range(KNOWN)]
        best = sorted(range(KNOWN), key=lambda old: -cosines[old])[:3]
        assert found.items[new].tolist() == best
    assert torch.equal(found.weights, torch.full((NEW, 3), 1 / 3))
    assert similar_by_vectors(x, KNOWN, 50).items.shape == (NEW, KNOWN)
    x[-1] = 0
    assert similar_by_vectors(x, KNOWN, 3).weights[-1].tolist() == [0, 0, 0]


def test_a_rare_attribute_counts_more_and_one_of_no_known_item_does_not() -> None:
    """Attribute 0 is of all known items, 1 of two, 2 of one; the last is of none."""
    has = [(old, 0) for old in range(KNOWN)] + [(2, 1), (5, 1), (7, 2)]
    has += [(9, 0), (9, 1), (10, 2), (11, 0), (11, 2), (12, 3)]
    graph = HeteroData()
    graph["item"].num_nodes, graph["attribute"].num_nodes = KNOWN + NEW, 4
    graph[HAS_ATTRIBUTE].edge_index = torch.tensor(has).T
    new = torch.arange(KNOWN, KNOWN + NEW)
    found = similar_by_attributes(graph, torch.arange(KNOWN), new, 2)
    assert sorted(found.items[0].tolist()) == [2, 5]
    assert found.items[1, 0] == 7 and found.weights[1].tolist() == [1, 0]
    assert found.items[2, 0] == 7 and found.weights[2].tolist() == [0.5, 0.5]
    assert found.weights[3].tolist() == [0, 0]
    order = torch.tensor([12, 3, 0, 11, 8, 5, 1, 10, 2, 9, 4, 7, 6])  # other dense ids
    graph[HAS_ATTRIBUTE].edge_index[0] = order[graph[HAS_ATTRIBUTE].edge_index[0]]
    again = similar_by_attributes(graph, order[:KNOWN], order[new], 2)
    assert torch.equal(again.weights, found.weights)
    assert sorted(again.items[0].tolist()) == sorted(order[[2, 5]].tolist())
    assert again.items[1, 0] == order[7]


def test_a_new_row_is_the_weighted_mean_of_known_rows() -> None:
    items, weights = torch.tensor([[1, 0], [2, 1]]), torch.tensor([[1, 0], [0.5, 0.5]])
    table = torch.arange(12.0).view(3, 2, 2)
    found = Similar(items, weights).mean(table)
    assert torch.equal(found, torch.stack([table[1], (table[1] + table[2]) / 2]))
