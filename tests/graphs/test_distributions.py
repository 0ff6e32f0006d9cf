"""Weights and similarities against naive loops."""

import math
from pathlib import Path

import numpy as np
import pytest
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER_CO_OCCURS
from graphseq.data import leave_one_out, synthetic
from graphseq.graphs import CoOccurrence, Transitions, build_graph
from graphseq.graphs.distributions import similarity, weights


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.communities(num_users=60, num_items=60, num_communities=4, seed=0)
    steps = [CoOccurrence("user", top_k=5), CoOccurrence("item"), Transitions()]
    return build_graph(leave_one_out(log), steps)


def test_weights_are_those_of_the_edges(graph: HeteroData) -> None:
    found = weights(graph).groups["user co_occurs user"]
    assert found.tolist() == sorted(graph[USER_CO_OCCURS].edge_weight.tolist())
    frame = weights(graph).frame()
    assert frame["max"][0] == found.max()
    assert frame["median"][0] == np.median(found)


def test_similarity_of_linked_users_is_the_cosine_of_their_items(
    graph: HeteroData,
) -> None:
    items: dict[int, set[int]] = {}
    for user, item in graph[INTERACTS].edge_index.T.tolist():
        items.setdefault(user, set()).add(item)
    naive = sorted(
        len(items[i] & items[j]) / math.sqrt(len(items[i]) * len(items[j]))
        for i, j in graph[USER_CO_OCCURS].edge_index.T.tolist()
    )
    found = similarity(graph).groups["user co_occurs user: linked"]
    assert found == pytest.approx(naive)


def test_linked_nodes_are_more_alike_than_any_two(graph: HeteroData) -> None:
    means = {name: v.mean() for name, v in similarity(graph).groups.items()}
    assert means["user co_occurs user: linked"] > means["any two users"] > 0
    assert means["item precedes item: linked"] > means["any two items"]


def test_the_choice_of_pairs_is_the_same_each_time(graph: HeteroData) -> None:
    one, other = (similarity(graph, pairs=50).groups for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert all(len(values) == 50 for values in one.values())


def test_nodes_without_events_are_alike_to_nobody(graph: HeteroData) -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 1, 1
    assert similarity(graph).groups == {}
    assert weights(graph).frame().is_empty()


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_distributions_are_drawn(
    graph: HeteroData, tmp_path: Path, ending: str
) -> None:
    for kind in (weights, similarity):
        path = kind(graph).plot(tmp_path / f"{kind.__name__}.{ending}")
        assert path.stat().st_size > 1000
