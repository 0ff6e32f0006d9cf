"""Nodes, weights, names and parts that no stored graph may have."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import GraphError
from graphseq.graphs.content import check_content, check_names, check_parts


def linked(**stored: Any) -> HeteroData:
    """Two users and two items, an edge for each user."""
    graph = HeteroData()
    graph["user"].num_nodes = graph["item"].num_nodes = 2
    store = graph["user", "interacts", "item"]
    store.edge_index = torch.tensor([[0, 1], [1, 0]])
    for name, value in stored.items():
        store[name] = value
    return graph


def test_edges_without_nodes_are_refused() -> None:
    check_content(linked())
    for index in ([[0], [5]], [[0], [-5]]):
        broken = linked(edge_index=torch.tensor(index))
        found = rf"name item nodes {index[1][0]} … {index[1][0]}, but there are 2"
        with pytest.raises(GraphError, match=found):
            check_content(broken)


@pytest.mark.parametrize("name", ["edge_weight", "weight"])
@pytest.mark.parametrize(
    ("weight", "found"),
    [
        ([0.5, -1.0], r"found \[-1.0\] on edge 1"),
        ([torch.nan, 1.0], r"found \[nan\] on edge 0"),
        ([1.0, torch.inf], r"found \[inf\] on edge 1"),
        ([1.0], r"found \(1,\) on edge 0"),
    ],
)
def test_weights_are_finite_numbers_from_0(
    name: str, weight: list[float], found: str
) -> None:
    check_content(linked(**{name: torch.tensor([0.0, 2.0])}))
    with pytest.raises(GraphError, match=found):
        check_content(linked(**{name: torch.tensor(weight)}))


def test_events_are_ordered_by_user_then_time() -> None:
    index = torch.tensor([[0, 0, 1], [1, 0, 0]])
    check_content(linked(edge_index=index, time=torch.tensor([3, 3, 1])))
    for edges, time, found in (
        (index.flip(1), [1, 3, 3], "and edge 1 is not"),
        (index, [3, 2, 1], "and edge 1 is not"),
        (index, [3, 3], "times of the shape"),
    ):
        broken = linked(edge_index=edges, time=torch.tensor(time))
        with pytest.raises(GraphError, match=found):
            check_content(broken)


def test_the_provenance_is_a_mapping() -> None:
    graph = linked()
    graph.provenance = ["a", "b"]
    with pytest.raises(GraphError, match="must be a mapping"):
        check_content(graph)


@pytest.mark.parametrize(
    ("kinds", "relations", "found"),
    [
        (["../user"], [], "cannot name nodes"),
        (["user"], [("user", "a/b", "user")], "cannot name a relation"),
        (["user", "User"], [], "'user' names two things"),
        (["a-b-c"], [("a", "b", "c")], "'a-b-c' names two things"),
        (["log-users"], [], "or a file of graphseq itself"),
    ],
)
def test_names_become_files(
    kinds: list[str], relations: list[tuple[str, ...]], found: str
) -> None:
    check_names(["user", "item"], [("user", "interacts", "item")])
    with pytest.raises(GraphError, match=found):
        check_names(kinds, relations)


def test_parts_are_validation_and_test() -> None:
    check_parts(["test", "validation"])
    with pytest.raises(GraphError, match="'train' is not a held-out part"):
        check_parts(["test", "train"])
