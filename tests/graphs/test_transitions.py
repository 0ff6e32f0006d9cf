"""Which item follows which: counts, distance, direction."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, PRECEDES
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import Transitions
from graphseq.nn.adjacency import operator

Sequences = list[list[int]]


def log(sequences: Sequences, num_items: int = 6) -> HeteroData:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = len(sequences), num_items
    events = [(user, item) for user, row in enumerate(sequences) for item in row]
    index = torch.tensor(events, dtype=torch.long).view(-1, 2).T
    graph[INTERACTS].edge_index = index.contiguous()
    return graph


def edges_of(graph: HeteroData) -> dict[tuple[int, int], float]:
    edges = graph[PRECEDES]
    pairs = [tuple(pair) for pair in edges.edge_index.T.tolist()]
    return dict(zip(pairs, edges.edge_weight.tolist(), strict=True))


def test_counts_direct_successors_within_a_user_only() -> None:
    found = edges_of(Transitions()(log([[0, 1, 0, 1], [1, 2]])))
    assert found == {(0, 1): 2, (1, 0): 1, (1, 2): 1}


def test_an_item_after_itself_makes_an_edge_only_on_demand() -> None:
    graph = log([[3, 3, 4]])
    assert edges_of(Transitions()(graph)) == {(3, 4): 1}
    looped = edges_of(Transitions(self_loops=True)(graph))
    assert looped == {(3, 3): 1, (3, 4): 1}


def test_farther_pairs_weigh_less_by_the_decay() -> None:
    found = edges_of(Transitions(window=3, decay=0.5)(log([[0, 1, 2, 3, 4]])))
    assert found[0, 1] == 1
    assert found[0, 2] == 0.5
    assert found[0, 3] == 0.25
    assert (0, 4) not in found


def test_top_k_keeps_the_heaviest_then_the_smallest_id() -> None:
    graph = log([[0, 5, 0, 5], [0, 4], [0, 2], [1, 3]])
    found = edges_of(Transitions(top_k=2)(graph))
    assert found == {(0, 2): 1, (0, 5): 2, (1, 3): 1, (5, 0): 1}


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=6),
    st.integers(1, 10),
    st.booleans(),
)
def test_equals_loops_over_every_pair(
    sequences: Sequences, window: int, self_loops: bool
) -> None:
    expected: dict[tuple[int, int], float] = {}
    for row in sequences:
        for i in range(len(row)):
            for j in range(i + 1, min(len(row), i + window + 1)):
                if self_loops or row[i] != row[j]:
                    pair = row[i], row[j]
                    expected[pair] = expected.get(pair, 0) + 0.5 ** (j - i - 1)
    step = Transitions(window=window, decay=0.5, self_loops=self_loops)
    found = edges_of(step(log(sequences)))
    assert found == pytest.approx(expected)
    assert list(found) == sorted(found)


def test_numbers_beyond_the_log_keep_everything() -> None:
    sequences = [[0, 1, 2, 0, 4], [3], [5, 1, 0]]
    found = edges_of(Transitions(window=10**15, top_k=10**15)(log(sequences)))
    assert found == edges_of(Transitions(window=4)(log(sequences)))
    assert not edges_of(Transitions(window=2)(log([[3], [1]])))
    assert not edges_of(Transitions(window=2)(log([])))


def test_the_operator_of_a_directed_relation_keeps_its_transpose() -> None:
    graph = Transitions()(log([[0, 1, 2, 0]]))
    assert not operator(graph, PRECEDES).is_symmetric


@pytest.mark.parametrize("options", [{"window": 0}, {"decay": 0.0}, {"top_k": 0}])
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    [name] = options
    with pytest.raises(ConfigError, match=f"{name}: expected .* found 0"):
        Transitions(**options)


def test_a_graph_without_interactions_is_refused() -> None:
    with pytest.raises(GraphError, match=r"Transitions reads .*interacts"):
        Transitions()(HeteroData())
