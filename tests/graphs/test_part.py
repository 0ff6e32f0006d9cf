"""Parts of graphs: what they keep, and the hash of the whole."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.data import leave_one_out, synthetic
from graphseq.graphs import (
    CoOccurrence,
    build_graph,
    graph_hash,
    load_graph,
    part_of,
    save_graph,
    whole_hash,
)


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    split = leave_one_out(synthetic.cycle(12, 6, length=5, seed=0))
    return build_graph(split, [CoOccurrence("user"), CoOccurrence("item")])


def test_a_part_has_its_relations_the_events_and_the_hash_of_the_whole(
    graph: HeteroData, tmp_path
) -> None:
    part = part_of(graph, [ITEM_CO_OCCURS])
    assert set(part.edge_types) == {INTERACTS, ITEM_CO_OCCURS}
    for relation in part.edge_types:
        for name, value in part[relation].items():
            assert torch.equal(value, graph[relation][name])
    assert part["user"].vocabulary == graph["user"].vocabulary
    assert torch.equal(part.test.target, graph.test.target)
    assert graph_hash(part) != graph_hash(graph) == whole_hash(graph)
    assert whole_hash(part) == whole_hash(part_of(part, [])) == graph_hash(graph)
    assert whole_hash(load_graph(save_graph(part, tmp_path / "part"))) == graph_hash(
        graph
    )
    assert "whole" not in graph.provenance


def test_a_part_without_users_has_their_number_only(graph: HeteroData) -> None:
    part = part_of(graph, [USER_CO_OCCURS, ITEM_CO_OCCURS], users=False)
    assert part.edge_types == [ITEM_CO_OCCURS]
    assert part["user"].num_nodes == 12
    assert set(part["user"].keys()) == {"num_nodes"}
    assert "validation" not in part
    assert "test" not in part
