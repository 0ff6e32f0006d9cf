"""Which item is most similar: by the graph, by the vectors, by both."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.errors import ConfigError
from graphseq.graphs import CoOccurrence
from graphseq.models.similarity import (
    NAMES,
    InformedViews,
    from_graph,
    from_table,
    most_similar,
)
from graphseq.sequences import Batch

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


def test_the_graphs_heaviest_edge_leads_to_the_most_similar(graph: HeteroData) -> None:
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
def test_vectors_tell_by_their_inner_products(block_rows: int) -> None:
    torch.manual_seed(0)
    table = torch.randn(10, 4, dtype=torch.float64)
    found = from_table(table, block_rows=block_rows)
    products = [[float(a @ b) for b in table] for a in table]
    low, high = min(map(min, products)), max(map(max, products))
    for i, row in enumerate(products):
        others = {j: value for j, value in enumerate(row) if j != i}
        best = max(others, key=others.__getitem__)
        assert found.item[i] == best
        expected = (others[best] - low) / (high - low)
        assert found.score[i].item() == pytest.approx(expected)


def test_both_take_the_larger_score(graph: HeteroData) -> None:
    torch.manual_seed(0)
    table = torch.randn(6, 3)
    offline, online = from_graph(graph), from_table(table)
    hybrid = most_similar(graph, table, "hybrid")
    from_vectors = online.score > offline.score
    assert from_vectors.any() and not from_vectors.all()
    for i in range(6):
        expected = online.item[i] if from_vectors[i] else offline.item[i]
        assert hybrid[i] == expected
    assert hybrid[5] == online.item[5]
    assert torch.equal(most_similar(graph, table, "offline"), offline.item)
    assert torch.equal(most_similar(graph, table, "online"), online.item)


def test_equal_vectors_have_scores() -> None:
    found = from_table(torch.ones(3, 2))
    assert found.score.isfinite().all()


def informed(**options: object) -> InformedViews:
    given = {
        "threshold": 4,
        "short": ("insert", "substitute", "mask"),
        "crop_keep": 0.2,
        "mask_rate": 0.7,
        "reorder_rate": 0.7,
        "insert_rate": 0.4,
        "substitute_rate": 0.1,
        "max_length": 8,
        "similarity": "hybrid",
        "offline_epochs": 1,
    }
    return InformedViews(**(given | options))


def equal_rows(length: int, number: int = 4_000) -> Batch:
    items = torch.arange(length).repeat(number, 1)
    lengths = torch.full((number,), length)
    return Batch(torch.arange(number), items, lengths, 100)


def kinds(batch: Batch, view: Batch) -> dict[str, float]:
    """Of all rows, how many were changed as only one operator changes them."""
    old, n = batch.items, batch.lengths
    inserted = view.lengths > n
    cropped = view.lengths < n
    same = ~inserted & ~cropped
    masked = ((view.items == 100) & view.mask).any(dim=1)
    width = old.shape[1]
    new = view.items[:, :width]
    foreign = same & ((new >= 50) & (new < 100)).any(dim=1)
    moved = same & ~masked & ~foreign
    found = {
        "insert": inserted,
        "substitute": foreign,
        "mask": masked,
        "reorder": moved,
        "crop": cropped,
    }
    return {name: rows.double().mean().item() for name, rows in found.items()}


SIMILAR = torch.arange(100).add(50) % 100


@pytest.mark.parametrize(
    "length, short, chosen",
    [
        (4, ("insert", "substitute", "mask"), ("insert", "substitute", "mask")),
        (4, ("crop", "reorder"), ("crop", "reorder")),
        (5, ("mask",), NAMES),
    ],
)
def test_short_rows_draw_the_gentle_operators_and_longer_ones_all(
    length: int, short: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    batch = equal_rows(length)
    for view in informed(short=short).draw(batch, SIMILAR):
        shares = kinds(batch, view)
        for name in NAMES:
            expected = 1 / len(chosen) if name in chosen else 0.0
            assert shares[name] == pytest.approx(expected, abs=0.04), name


def test_views_are_no_longer_than_allowed() -> None:
    views = informed(threshold=10, short=("insert",)).draw(equal_rows(8, 20), SIMILAR)
    for view in views:
        assert view.items.shape[1] == 8 and (view.lengths == 8).all()


@pytest.mark.parametrize("short", [(), ("insert", "shuffle")])
def test_unknown_operators_are_refused(short: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="short sequences draw from"):
        informed(short=short)


def test_only_the_item_graph_is_read(graph: HeteroData) -> None:
    assert ITEM_CO_OCCURS in graph.edge_types
    del graph[INTERACTS]
    assert from_graph(graph).item.tolist() == [2, 2, 1, 4, 3, 6]


@pytest.mark.parametrize(("epoch", "how"), [(0, "offline"), (1, "online")])
def test_the_vectors_are_asked_after_the_epochs_by_the_graph_alone(
    lab, cycle: HeteroData, epoch: int, how: str
) -> None:
    torch.manual_seed(0)
    table = torch.randn(12, 4)
    found = informed(similarity="online").similar(cycle, table, epoch)
    assert torch.equal(found, most_similar(cycle, table, how))  # type: ignore[arg-type]
    assert not torch.equal(
        *(most_similar(cycle, table, h) for h in ("offline", "online"))
    )
