"""Items and their attributes as edges."""

import copy
import json
from pathlib import Path

import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.config import check
from graphseq.constants import HAS_ATTRIBUTE, INTERACTS
from graphseq.data import Interactions, leave_one_out, synthetic
from graphseq.errors import GraphError
from graphseq.graphs import (
    Attributes,
    CoOccurrence,
    build_graph,
    graph_hash,
    load_graph,
    save_graph,
    summary,
)
from graphseq.nn import Propagated
from graphseq.schema import describe

TABLE = {"b": ["red", "red", "big"], "a": ["red"], "zz": ["lost"], "d": []}


def log() -> Interactions:
    """Two users of the items d, a, b, c, in this order of first appearance."""
    frame = {"user": [*"uuuuvvv"], "item": [*"dabcabd"], "time": [1, 2, 3, 4, 1, 2, 3]}
    return Interactions.from_frame(pl.DataFrame(frame))


def pairs(graph: HeteroData) -> list[tuple]:
    item, attribute = graph[HAS_ATTRIBUTE].edge_index.numpy()
    items = graph["item"].vocabulary.decode(item)
    names = graph["attribute"].vocabulary.decode(attribute)
    return [*zip(items, names, strict=True)]


def test_edges_are_the_known_pairs_once_by_item_then_attribute() -> None:
    graph = build_graph(leave_one_out(log()), [Attributes(TABLE)])
    assert pairs(graph) == [("a", "red"), ("b", "red"), ("b", "big")]
    assert graph[HAS_ATTRIBUTE].edge_index.tolist() == [[0, 1, 1], [0, 0, 1]]
    assert graph["attribute"].num_nodes == 2
    assert graph["attribute"].vocabulary.ids.to_list() == ["red", "big"]


def test_integer_items_are_found_under_their_decimal_spelling() -> None:
    """As in JSON, whose keys are strings."""
    cycle = leave_one_out(synthetic.cycle(12, 6, length=6, seed=0))
    graph = build_graph(cycle)
    first = graph["item"].vocabulary.ids[0]
    found = Attributes({str(first): [5, 4]})(graph)
    assert pairs(found) == [(first, 5), (first, 4)]


def test_a_file_gives_what_its_mapping_gives(tmp_path: Path) -> None:
    (tmp_path / "items.json").write_text(json.dumps(TABLE), "utf-8")
    split = leave_one_out(log())
    mapped = build_graph(split, [Attributes(TABLE)])
    read = build_graph(split, [Attributes("items.json", root=tmp_path)])
    for kind in ("item", "attribute"):
        assert read[kind].vocabulary == mapped[kind].vocabulary
    assert torch.equal(read[HAS_ATTRIBUTE].edge_index, mapped[HAS_ATTRIBUTE].edge_index)


def test_the_hash_depends_on_the_edges_and_not_on_where_the_file_lies(
    tmp_path: Path,
) -> None:
    hashes = []
    for folder, table in [("x", TABLE), ("y", TABLE), ("z", {"a": ["red"]})]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.json").write_text(json.dumps(table), "utf-8")
        step = Attributes("t.json", root=tmp_path / folder)
        hashes.append(graph_hash(build_graph(leave_one_out(log()), [step])))
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[0] != graph_hash(build_graph(leave_one_out(log())))


def test_a_saved_graph_has_its_attributes_again(tmp_path: Path) -> None:
    steps = [CoOccurrence("item"), Attributes(TABLE)]
    graph = build_graph(leave_one_out(log()), steps)
    back = load_graph(save_graph(graph, tmp_path / "graph"))
    assert pairs(back) == pairs(graph)
    assert back.node_types == graph.node_types and back.edge_types == graph.edge_types
    assert back["attribute"].vocabulary == graph["attribute"].vocabulary
    assert graph_hash(back) == graph_hash(graph)
    assert back.provenance == graph.provenance


def test_what_is_held_out_leaves_no_trace_in_the_attributes() -> None:
    """They belong to the items; the events do not change them."""
    graph = build_graph(leave_one_out(log()), [Attributes({"c": ["new"]})])
    assert pairs(graph) == [("c", "new")]


def test_the_description_holds_no_table() -> None:
    assert describe(Attributes(TABLE))["Attributes"]["source"] == "a table of 4 items"
    described = describe(Attributes("x.csv", item="asin", root="somewhere"))
    options = {"source": "x.csv", "item": "asin", "attribute": "attribute"}
    assert described == {"Attributes": options}
    assert describe(copy.deepcopy(Attributes("x.csv"))) == describe(Attributes("x.csv"))


def test_the_summary_counts_both_sides() -> None:
    graph = build_graph(leave_one_out(log()), [Attributes(TABLE)])
    rows = summary(graph).frame().filter(pl.col("relation") == "item has attribute")
    assert rows["side"].to_list() == ["item", "attribute"]
    assert rows["isolated"].to_list() == [2, 0]
    assert rows["edges"].to_list() == [3, 3]


def test_a_table_of_other_items_is_refused() -> None:
    with pytest.raises(GraphError, match="none of the 1 pairs of a table of 1 items"):
        build_graph(leave_one_out(log()), [Attributes({"q": ["red"]})])


def test_a_graph_without_interactions_or_vocabulary_is_refused() -> None:
    with pytest.raises(GraphError, match=r"Attributes reads .*interacts"):
        Attributes(TABLE)(HeteroData())
    graph = HeteroData()
    graph[INTERACTS].edge_index = torch.zeros(2, 0, dtype=torch.long)
    with pytest.raises(GraphError, match="no vocabulary"):
        Attributes(TABLE)(graph)


def test_an_experiment_finds_the_file_below_its_root(tmp_path: Path) -> None:
    rows = [f"u{u},{i},{i}" for u in range(4) for i in range(5)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]), "utf-8")
    table = {str(i): [i % 2] for i in range(5)}
    (tmp_path / "items.json").write_text(json.dumps(table), "utf-8")
    options = {
        "data": {"path": "log.csv"},
        "split": {"leave_one_out": {}},
        "graph": [{"Attributes": {"source": "items.json"}}],
        "model": {"S3Rec": {"objective": {"variant": "full", "num_attributes": 2}}},
    }
    experiment = check(options, "here")
    graph = experiment.graph(tmp_path)
    assert graph["attribute"].num_nodes == 2
    assert "root" not in experiment.resolved()["graph"][0]["Attributes"]
    assert str(tmp_path) not in json.dumps(graph.provenance)


def test_another_table_replaces_what_is_propagated_over() -> None:
    other = {"a": ["x"], "b": ["x"], "c": ["y"], "d": ["y"]}
    features = Propagated(4, dim=3, relation="has", max_fraction=1.0)
    graph = build_graph(leave_one_out(log()), [Attributes(TABLE)])
    before = features(graph)
    after = features(Attributes(other)(graph))
    again = features(build_graph(leave_one_out(log()), [Attributes(other)]))
    assert torch.equal(after, again)
    assert not torch.allclose(after, before)
