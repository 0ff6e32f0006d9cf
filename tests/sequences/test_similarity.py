"""The most similar item: by the graph, by vectors, by both."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.graphs import CoOccurrence
from graphseq.sequences.similarity import from_graph, from_vectors, most_similar

LISTS = [(0, 1, 2), (1, 2), (0, 2, 3, 4)]  # U-11, whose items count from 1


def items_of(lists: list[tuple[int, ...]], number: int) -> HeteroData:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = len(lists), number
    pairs = [(user, item) for user, row in enumerate(lists) for item in row]
    graph[INTERACTS].edge_index = torch.tensor(pairs).T.contiguous()
    return graph


@pytest.fixture
def graph() -> HeteroData:
    return CoOccurrence("item", weight="iuf")(items_of(LISTS, 6))


def test_the_heaviest_edge_leads_to_the_most_similar_item(graph: HeteroData) -> None:
    """U-11; item 5 has no edge."""
    found = from_graph(graph)
    assert found.item.tolist() == [2, 2, 1, 4, 3, 6]
    low, high = 0.358728, 0.666093
    for item, value in ((0, 0.548148), (1, 0.666093), (3, 0.621335)):
        expected = (value - low) / (high - low)
        assert found.score[item].item() == pytest.approx(expected, abs=1e-5)
    assert found.score[5] == -torch.inf


def test_equally_heavy_edges_lead_to_the_smallest_id() -> None:
    graph = CoOccurrence("item", weight="cosine")(items_of([(3, 1, 2), (0, 4)], 5))
    assert from_graph(graph).item.tolist() == [4, 2, 1, 1, 0]


def test_a_graph_without_edges_has_no_similar_items() -> None:
    graph = CoOccurrence("item")(items_of([(0,), (1,)], 3))
    assert from_graph(graph).item.tolist() == [3, 3, 3]


@pytest.mark.parametrize("block_rows", [1, 3, 100])
def test_the_most_similar_vector_has_the_largest_inner_product(block_rows: int) -> None:
    torch.manual_seed(0)
    table = torch.randn(10, 4, dtype=torch.float64)
    found = from_vectors(table, block_rows=block_rows)
    products = [[float(a @ b) for b in table] for a in table]
    low, high = min(map(min, products)), max(map(max, products))
    for i, row in enumerate(products):
        others = {j: value for j, value in enumerate(row) if j != i}
        best = max(others, key=others.__getitem__)
        assert found.item[i] == best
        expected = (others[best] - low) / (high - low)
        assert found.score[i].item() == pytest.approx(expected)


def test_hybrid_similarity_takes_the_larger_score(graph: HeteroData) -> None:
    torch.manual_seed(0)
    table = torch.randn(6, 3)
    offline, online = from_graph(graph), from_vectors(table)
    hybrid = most_similar(graph, table, "hybrid")
    is_online = online.score > offline.score
    assert is_online.any() and not is_online.all()
    for i in range(6):
        expected = online.item[i] if is_online[i] else offline.item[i]
        assert hybrid[i] == expected
    assert hybrid[5] == online.item[5]
    assert torch.equal(most_similar(graph, table, "offline"), offline.item)
    assert torch.equal(most_similar(graph, table, "online"), online.item)


def test_equal_vectors_have_finite_scores() -> None:
    found = from_vectors(torch.ones(3, 2))
    assert found.score.isfinite().all()


def test_only_the_item_graph_is_read(graph: HeteroData) -> None:
    assert ITEM_CO_OCCURS in graph.edge_types
    del graph[INTERACTS]
    assert from_graph(graph).item.tolist() == [2, 2, 1, 4, 3, 6]
