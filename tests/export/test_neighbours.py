"""The table of neighbours: the heaviest edges into each item, by loops."""

import copy

import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, PRECEDES
from graphseq.data.synthetic import communities
from graphseq.export.neighbours import item_neighbours


def naive(graph: HeteroData, relation: tuple, item: int, count: int) -> list[tuple]:
    """(weight, neighbour) of the edges into an item, heaviest first, ties by id."""
    edges = zip(
        *graph[relation].edge_index.tolist(),
        graph[relation].edge_weight.tolist(),
        strict=True,
    )
    into = [(-weight, source) for source, target, weight in edges if target == item]
    return [(-weight, source) for weight, source in sorted(into)[:count]]


def test_neighbours_are_the_heaviest_edges_into_each_item(graph: HeteroData) -> None:
    found = item_neighbours(graph, 3)
    assert found is not None
    for item in range(graph["item"].num_nodes):
        wanted = naive(graph, ITEM_CO_OCCURS, item, 3)
        near = found.items[item, : len(wanted)].tolist()
        assert near == [source for _, source in wanted]
        torch.testing.assert_close(
            found.weights[item, : len(wanted)], torch.tensor([w for w, _ in wanted])
        )


def test_fewer_neighbours_are_padded(graph: HeteroData) -> None:
    found = item_neighbours(graph, 60)
    assert found is not None
    size = graph["item"].num_nodes
    degree = graph[ITEM_CO_OCCURS].edge_index[1].bincount(minlength=size)
    assert ((found.items < size).sum(dim=1) == degree).all()
    assert not found.weights[found.items == size].any()


def test_transitions_lead_to_the_later_item() -> None:
    log = communities(num_users=30, num_items=60, num_communities=4, seed=1)
    graph = gs.build_graph(gs.leave_one_out(log), [gs.Transitions()])
    found = item_neighbours(graph, 2)
    assert found is not None
    item = int(graph[PRECEDES].edge_index[1, 0])
    wanted = [source for _, source in naive(graph, PRECEDES, item, 2)]
    assert found.items[item, : len(wanted)].tolist() == wanted


def test_a_graph_without_relations_of_items_has_no_neighbours() -> None:
    log = communities(num_users=30, num_items=60, num_communities=4, seed=1)
    graph = gs.build_graph(gs.leave_one_out(log))
    assert graph.edge_types == [INTERACTS]
    assert item_neighbours(graph, 2) is None


def test_edges_without_weights_have_weight_1(graph: HeteroData) -> None:
    equal, none = copy.copy(graph), copy.copy(graph)
    edges = graph[ITEM_CO_OCCURS]
    equal[ITEM_CO_OCCURS].edge_weight = torch.ones(edges.edge_index.shape[1])
    del none[ITEM_CO_OCCURS].edge_weight
    for a, b in zip(item_neighbours(equal, 3), item_neighbours(none, 3), strict=True):
        assert torch.equal(a, b)
