"""Co-occurrence of weighted events, against loops over pairs of nodes."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.errors import GraphError
from graphseq.graphs import CoOccurrence, WeightedCoOccurrence
from graphseq.graphs import weighted_cooccurrence as module


@pytest.fixture
def events() -> HeteroData:
    """200 events of 20 users and 15 items, with repeats and ratings."""
    generator = torch.Generator().manual_seed(0)
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 20, 15
    store = graph[INTERACTS]
    users = torch.randint(19, (200,), generator=generator)
    items = torch.randint(15, (200,), generator=generator)
    store.edge_index = torch.stack([users, items])
    store.weight = torch.randint(1, 6, (200,), generator=generator).float()
    return graph


def by_loops(graph: HeteroData, kind: str, event_weight: str, weight: str) -> Tensor:
    store, number = graph[INTERACTS], graph["user"].num_nodes
    w = torch.zeros(number, graph["item"].num_nodes, dtype=torch.float64)
    for n, (user, item) in enumerate(store.edge_index.T.tolist()):
        w[user, item] += 1 if event_weight == "count" else float(store.weight[n])
    w = w if kind == "user" else w.T
    found = torch.zeros(len(w), len(w), dtype=torch.float64)
    for i in range(len(w)):
        for j in range(len(w)):
            if i != j:
                c = sum(float(a * b) for a, b in zip(w[i], w[j], strict=True))
                scale = float(w[i].norm() * w[j].norm())
                found[i, j] = c / scale if weight == "cosine" and scale else c
    return found


def dense(graph: HeteroData, kind: str) -> Tensor:
    relation = USER_CO_OCCURS if kind == "user" else ITEM_CO_OCCURS
    store, size = graph[relation], graph[kind].num_nodes
    assert torch.equal(store.edge_index, store.edge_index.T.unique(dim=0).T)
    assert (store.edge_weight > 0).all(), "also edges that a matrix does not show"
    assert (store.edge_index[0] != store.edge_index[1]).all()
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix[tuple(store.edge_index)] = store.edge_weight.double()
    return matrix


@pytest.mark.parametrize("block", [1, 10**9])
@pytest.mark.parametrize("weight", ["sum", "cosine"])
@pytest.mark.parametrize("event_weight", ["count", "weight"])
@pytest.mark.parametrize("kind", ["user", "item"])
def test_all_edges_are_those_of_loops(
    events: HeteroData,
    kind: Any,
    event_weight: Any,
    weight: Any,
    block: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BLOCK_WORK", block)
    options = {"event_weight": event_weight, "weight": weight, "top_k": None}
    graph = WeightedCoOccurrence(kind, **options)(events)
    expected = by_loops(events, kind, event_weight, weight)
    torch.testing.assert_close(dense(graph, kind), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("symmetrize", ["max", "min", "none"])
def test_the_heaviest_edges_stay(events: HeteroData, symmetrize: Any) -> None:
    step = WeightedCoOccurrence("item", top_k=3, weight="sum", symmetrize=symmetrize)
    found = dense(step(events), "item")
    whole = by_loops(events, "item", "count", "sum")
    kept = torch.zeros_like(whole, dtype=torch.bool)
    for i, row in enumerate(whole):
        order = sorted(range(15), key=lambda j: (-float(row[j]), j))
        kept[i, [j for j in order[:3] if row[j]]] = True
    if symmetrize != "none":
        kept = kept | kept.T if symmetrize == "max" else kept & kept.T
    torch.testing.assert_close(found, whole * kept)


@pytest.mark.parametrize("name, other", [("sum", "count"), ("cosine", "cosine")])
def test_single_events_are_linked_as_by_co_occurrence(
    events: HeteroData, name: Any, other: Any
) -> None:
    events[INTERACTS].edge_index = events[INTERACTS].edge_index.unique(dim=1)
    step = WeightedCoOccurrence("user", event_weight="count", top_k=4, weight=name)
    found = dense(step(events.clone()), "user")
    same = dense(CoOccurrence("user", top_k=4, weight=other)(events.clone()), "user")
    torch.testing.assert_close(found, same, rtol=1e-6, atol=0)


def test_missing_weights_and_events_are_refused(events: HeteroData) -> None:
    del events[INTERACTS]["weight"]
    with pytest.raises(GraphError, match="this log has none"):
        WeightedCoOccurrence("item", event_weight="weight")(events)
    with pytest.raises(GraphError, match="WeightedCoOccurrence reads"):
        WeightedCoOccurrence("item")(HeteroData())
