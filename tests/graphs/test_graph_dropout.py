"""Random views: symmetric, repeatable, and never a change to the graph itself."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER_CO_OCCURS
from graphseq.data import synthetic
from graphseq.data.split import leave_one_out
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import (
    CoOccurrence,
    EdgeDropout,
    NodeDropout,
    build_graph,
    graph_hash,
)
from graphseq.nn.adjacency import operator


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.cycle(num_users=60, num_items=20, length=12, seed=0)
    steps = [CoOccurrence("user", top_k=8), CoOccurrence("item", top_k=8)]
    return build_graph(leave_one_out(log), steps)


def pairs(graph: HeteroData, relation: tuple[str, str, str]) -> set[tuple[int, int]]:
    return {(i, j) for i, j in graph[relation].edge_index.T.tolist()}


def test_both_directions_fall_together(graph: HeteroData) -> None:
    thin = EdgeDropout(0.4, relation=USER_CO_OCCURS)(graph)
    left = pairs(thin, USER_CO_OCCURS)
    assert left < pairs(graph, USER_CO_OCCURS)
    assert left == {(j, i) for i, j in left}
    assert operator(thin, USER_CO_OCCURS).is_symmetric
    fraction = len(left) / len(pairs(graph, USER_CO_OCCURS))
    assert 0.5 < fraction < 0.7


def test_weights_stay_with_their_edges(graph: HeteroData) -> None:
    def weights(of: HeteroData) -> dict[tuple[int, ...], float]:
        edges = of[USER_CO_OCCURS]
        edge_pairs = map(tuple, edges.edge_index.T.tolist())
        return dict(zip(edge_pairs, edges.edge_weight.tolist(), strict=True))

    before, after = (
        weights(graph),
        weights(EdgeDropout(0.4, relation=USER_CO_OCCURS)(graph)),
    )
    assert all(before[pair] == weight for pair, weight in after.items())


def test_all_events_of_a_pair_fall_together_with_their_times() -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 2, 20
    user = torch.tensor([0, 1]).repeat_interleave(40)
    item = torch.arange(20).repeat(4)
    graph[INTERACTS].edge_index = torch.stack([user, item])
    graph[INTERACTS].time = torch.arange(80)
    thin = EdgeDropout(0.5)(graph)[INTERACTS]
    _, counts = thin.edge_index.unique(dim=1, return_counts=True)
    assert 0 < len(counts) < 40
    assert counts.tolist() == [2] * len(counts)
    assert torch.equal(thin.time % 20, thin.edge_index[1])
    assert torch.equal(thin.time, thin.time.sort().values)


@pytest.mark.parametrize("make", [EdgeDropout, NodeDropout])
def test_a_seed_gives_one_series_of_different_views(
    graph: HeteroData, make: type
) -> None:
    one, other, third = make(0.3, seed=5), make(0.3, seed=5), make(0.3, seed=6)
    series = [[graph_hash(step(graph)) for _ in range(3)] for step in (one, other)]
    assert series[0] == series[1]
    assert len(set(series[0])) == 3
    assert graph_hash(third(graph)) not in series[0]


@pytest.mark.parametrize("make", [EdgeDropout, NodeDropout])
def test_the_input_and_its_cached_operator_are_left_alone(
    graph: HeteroData, make: type
) -> None:
    before, made = graph_hash(graph), operator(graph, INTERACTS)
    thin = make(0.5)(graph)
    assert graph_hash(graph) == before
    assert operator(graph, INTERACTS) is made
    assert operator(thin, INTERACTS) is not made


@pytest.mark.parametrize("kind", ["user", "item"])
def test_cut_off_nodes_have_no_edge_anywhere(graph: HeteroData, kind: str) -> None:
    thin = NodeDropout(0.5, kind=kind, seed=1)(graph)
    assert thin[kind].num_nodes == graph[kind].num_nodes
    gone = set(range(graph[kind].num_nodes))
    for relation in graph.edge_types:
        for side in (0, 1):
            if relation[2 * side] == kind:
                gone -= set(thin[relation].edge_index[side].tolist())
    assert len(gone) >= 0.3 * graph[kind].num_nodes
    for relation in graph.edge_types:
        index = graph[relation].edge_index
        stays = torch.ones(index.shape[1], dtype=torch.bool)
        for side in (0, 1):
            if relation[2 * side] == kind:
                stays &= ~torch.isin(index[side], torch.tensor(sorted(gone)))
        assert torch.equal(thin[relation].edge_index, index[:, stays])


@pytest.mark.parametrize("make", [EdgeDropout, NodeDropout])
def test_nothing_falls_at_zero_and_one_is_refused(
    graph: HeteroData, make: type
) -> None:
    assert graph_hash(make(0.0)(graph)) == graph_hash(graph)
    with pytest.raises(ConfigError, match=r"p: expected a number from 0 to below 1"):
        make(1.0)


def test_missing_relations_and_kinds_are_named(graph: HeteroData) -> None:
    with pytest.raises(GraphError, match=r"EdgeDropout reads .*precedes"):
        EdgeDropout(relation=("item", "precedes", "item"))(graph)
    with pytest.raises(GraphError, match=r"kind 'itme'; this graph has"):
        NodeDropout(kind="itme")(graph)
