"""Statistics of a graph against hand counts and networkx."""

from pathlib import Path

import networkx as nx
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import PRECEDES
from graphseq.graphs import CoOccurrence, Summary, Transitions, summary


def side(found: Summary, relation: str, name: str) -> dict[str, object]:
    chosen = (pl.col("relation") == relation) & (pl.col("side") == name)
    return found.frame().row(by_predicate=chosen, named=True)


def test_a_bipartite_relation_is_counted_from_both_sides(t1: HeteroData) -> None:
    t1["user", "interacts", "item"].edge_index = torch.tensor(
        [[0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 1, 1]]
    )
    users = side(summary(t1), "user interacts item", "user")
    assert users["nodes"] == 3
    assert (users["edges"], users["repeats"]) == (5, 1)
    assert users["density"] == pytest.approx(5 / 12)
    assert users["mean"] == pytest.approx(5 / 3)
    assert (users["min"], users["median"], users["max"]) == (1, 2, 2)
    assert users["isolated"] == 0
    assert (users["components"], users["largest"]) == (1, 6)
    assert users["reciprocity"] is None
    items = side(summary(t1), "user interacts item", "item")
    assert (items["nodes"], items["isolated"], items["max"]) == (4, 1, 3)


def test_a_symmetric_relation_has_one_row(t2: HeteroData) -> None:
    found = summary(CoOccurrence("user")(t2))
    users = side(found, "user co_occurs user", "user")
    assert users["edges"] == 8
    assert users["density"] == pytest.approx(8 / 12)
    assert users["reciprocity"] == 1
    assert found.frame().height == 3


def test_a_directed_relation_has_two_rows_and_its_reciprocity() -> None:
    graph = HeteroData()
    graph["item"].num_nodes = 7
    pairs = [(0, 1), (1, 0), (1, 2), (3, 4), (4, 4)]
    graph[PRECEDES].edge_index = torch.tensor(pairs).T
    out = side(summary(graph), "item precedes item", "out")
    into = side(summary(graph), "item precedes item", "in")
    assert out["reciprocity"] == pytest.approx(2 / 4)
    assert (out["components"], out["largest"]) == (2, 3)
    assert (out["max"], into["max"]) == (2, 2)
    assert (out["isolated"], into["isolated"]) == (3, 3)


def test_components_and_reciprocity_are_those_of_networkx(t2: HeteroData) -> None:
    graph = Transitions(window=2)(CoOccurrence("item", top_k=1, symmetrize="none")(t2))
    for relation in (("item", "co_occurs", "item"), PRECEDES):
        twin = nx.DiGraph(graph[relation].edge_index.T.tolist())
        found = summary(graph).frame().filter(pl.col("relation") == " ".join(relation))
        assert found["reciprocity"][0] == pytest.approx(nx.overall_reciprocity(twin))
        parts = [len(part) for part in nx.weakly_connected_components(twin)]
        assert (found["components"][0], found["largest"][0]) == (len(parts), max(parts))


def test_a_relation_without_edges_is_no_error() -> None:
    graph = HeteroData()
    graph["item"].num_nodes = 3
    graph[PRECEDES].edge_index = torch.zeros(2, 0, dtype=torch.long)
    found = side(summary(graph), "item precedes item", "out")
    assert (found["isolated"], found["components"], found["largest"]) == (3, 0, 0)
    assert found["reciprocity"] is None


def test_printing_shows_every_relation(t2: HeteroData) -> None:
    shown = str(summary(CoOccurrence("user")(t2)))
    assert "user interacts item" in shown
    assert "user co_occurs user" in shown
    assert "reciprocity" in shown


def test_the_plot_is_a_picture(t2: HeteroData, tmp_path: Path) -> None:
    path = summary(CoOccurrence("user")(t2)).plot(tmp_path / "degrees.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_degrees_have_the_facts_of_their_panel(t1: HeteroData) -> None:
    found = summary(t1).degrees
    assert [*found.groups] == ["user interacts item: user", "user interacts item: item"]
    assert found.groups["user interacts item: item"].tolist() == [0, 1, 1, 3]
    assert found.facts["user interacts item: item"] == "5 edges; 1 node without"
    assert found.facts["user interacts item: user"] == "5 edges"
