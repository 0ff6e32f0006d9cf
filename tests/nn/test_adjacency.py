"""Variants of a relation's operator against dense loops in float64."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import (
    HAS_ATTRIBUTE,
    INTERACTS,
    ITEM_CO_OCCURS,
    PRECEDES,
    EdgeType,
)
from graphseq.data import leave_one_out, synthetic
from graphseq.errors import GraphError
from graphseq.graphs import build_graph
from graphseq.nn.adjacency import operator, two_hops

COMMON = [(r, {}) for r in (INTERACTS, ITEM_CO_OCCURS, PRECEDES)]
OTHER: list[tuple[EdgeType, dict[str, Any]]] = [
    (PRECEDES, {"undirected": True}),
    (PRECEDES, {"self_loops": True}),
    (PRECEDES, {"undirected": True, "self_loops": True}),
    (INTERACTS, {"self_loops": True}),
    (INTERACTS, {"event_weight": "count"}),
    (INTERACTS, {"event_weight": "weight"}),
]


def by_loops(graph: HeteroData, relation: EdgeType, **options: Any) -> Tensor:
    """Each entry over the roots of the sums of its row and of its column."""
    edges = graph[relation].edge_index.T.tolist()
    weights = graph[relation].get("edge_weight", torch.ones(len(edges))).tolist()
    number = graph["user"].num_nodes if relation == INTERACTS else 0
    size = number + graph["item"].num_nodes
    a = torch.zeros(size, size, dtype=torch.float64)
    kind = options.get("event_weight", "binary")
    if kind == "weight":
        weights = graph[relation].weight.tolist()
    for (i, j), weight in zip(edges, weights, strict=True):
        if relation == INTERACTS:
            for x, y in ((i, j + number), (j + number, i)):
                a[x, y] = 1.0 if kind == "binary" else a[x, y] + weight
        else:
            a[i, j] += weight
            if options.get("undirected"):
                a[j, i] += weight
    for i in range(size if options.get("self_loops") else 0):
        a[i, i] += 1
    rows, columns = a.sum(dim=1), a.sum(dim=0)
    for i in range(size):
        for j in range(size):
            if a[i, j]:
                a[i, j] /= (rows[i] * columns[j]) ** 0.5
    return a


@pytest.mark.parametrize("relation, options", COMMON + OTHER)
def test_operators_are_those_of_loops(
    relations: HeteroData, relation: EdgeType, options: dict[str, Any]
) -> None:
    events = relations[INTERACTS]
    repeated = events.edge_index[:, [0, 0, 3]]
    events.edge_index = torch.cat([events.edge_index, repeated], dim=1)
    events.weight = torch.arange(1.0, 11) / 2
    expected = by_loops(relations, relation, **options)
    found = operator(relations, relation, **options)
    x = torch.eye(len(expected), dtype=torch.float64)
    torch.testing.assert_close(found @ x, expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found.transpose @ x, expected.T, rtol=1e-6, atol=1e-7)


def test_every_variant_is_built_once_and_moves_with_the_graph(
    relations: HeteroData,
) -> None:
    relations[INTERACTS].weight = torch.ones(7)
    built = {
        (str(relation), *options.items()): operator(relations, relation, **options)
        for relation, options in COMMON + OTHER
    }
    assert len(set(map(id, built.values()))) == len(built) == 9
    for relation, options in COMMON + OTHER:
        again = operator(relations, relation, **options)
        assert again is built[(str(relation), *options.items())]
    assert two_hops(relations) is two_hops(relations)
    assert two_hops(relations, 0.6) is not two_hops(relations)
    moved = relations.clone().to("meta")
    assert operator(moved, PRECEDES, undirected=True).rows.values.device.type == "meta"
    assert two_hops(moved).up.values.device.type == "meta"


def test_two_smoothed_transitions_with_self_loops_are_the_specification(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    """G8: the operator of GES."""
    step = operator(relations, PRECEDES, undirected=True, self_loops=True)
    expected = torch.tensor(
        [
            [0.5, 0.35355339],
            [0.85355339, 0.75],
            [0.95710678, 0.39644661],
            [1.35355339, -0.14644661],
        ]
    )
    torch.testing.assert_close(step @ tables[1], expected.double(), rtol=0, atol=1e-7)


def test_left_out_edges_are_normalised_again(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    """G4: user 0 without item 2."""
    nodes = torch.cat(tables)
    edges = torch.tensor([[0], [2]])
    step = operator(relations, INTERACTS, excluded=edges)
    expected = torch.tensor([0.70710678, 0.5], dtype=torch.float64)
    torch.testing.assert_close((step @ nodes)[0], expected, rtol=0, atol=1e-7)
    whole = operator(relations, INTERACTS)
    assert not torch.equal(whole.rows.values, step.rows.values)
    smaller = relations.clone()
    kept = [n for n in range(7) if n != 2]
    smaller[INTERACTS].edge_index = smaller[INTERACTS].edge_index[:, kept]
    found = by_loops(smaller, INTERACTS) @ nodes
    torch.testing.assert_close(step @ nodes, found, rtol=0, atol=2e-7)


@pytest.mark.parametrize("relation", [INTERACTS, ITEM_CO_OCCURS])
def test_an_operator_is_that_of_the_present_edges(
    relations: HeteroData, relation: EdgeType
) -> None:
    def assert_current(graph: HeteroData) -> None:
        expected = by_loops(graph, relation)
        every = torch.eye(len(expected), dtype=torch.float64)
        found = operator(graph, relation) @ every
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-7)

    first = operator(relations, relation)
    assert operator(relations.clone(), relation) is not None
    for copied in (relations.clone(), copy.deepcopy(relations), copy.copy(relations)):
        assert_current(copied)
        store = copied[relation]
        store.edge_index = store.edge_index[:, 1:].clone()
        for name in ("edge_weight", "weight", "time"):
            if name in store:
                store[name] = store[name][1:].clone()
        assert_current(copied)
        if "edge_weight" in store:  # in place
            store.edge_weight *= torch.arange(1, len(store.edge_weight) + 1)
            assert_current(copied)
    assert operator(relations, relation) is first


def test_attributes_of_too_many_items_are_refused(relations: HeteroData) -> None:
    with pytest.raises(GraphError, match=r"each of the 2 attributes belongs to more"):
        two_hops(relations, 0.4)
    del relations[HAS_ATTRIBUTE]
    with pytest.raises(GraphError, match=r"cannot propagate over \('item', 'has'"):
        two_hops(relations)


def test_weights_that_cannot_be_normalised_are_refused(relations: HeteroData) -> None:
    with pytest.raises(GraphError, match=r"this log has none. .*--weight COLUMN"):
        operator(relations, INTERACTS, event_weight="weight")
    relations[INTERACTS].weight = torch.tensor([1.0, 2, 0, 1, 1, 1, 1])
    with pytest.raises(GraphError, match=r"weights must be positive, .* add up to 0"):
        operator(relations, INTERACTS, event_weight="weight")


def test_another_number_of_nodes_is_another_operator() -> None:
    graph = build_graph(leave_one_out(synthetic.cycle(6, 4, length=5)))
    operator(graph, INTERACTS)
    graph["item"].num_nodes = 6
    assert operator(graph, INTERACTS).num_nodes == 12
