"""Graphs to other tools and back, checked with networkx as the other tool."""

import math
from pathlib import Path

import networkx as nx
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE, INTERACTS, ITEM_CO_OCCURS
from graphseq.data import Interactions, Vocabulary, by_user, synthetic
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import (
    Attributes,
    CoOccurrence,
    Transitions,
    build_graph,
    export_graph,
    graph_hash,
    held_out_hash,
    import_graph,
)

STRANGE = ['a "b" <c> & d', "tab\there", "line\nbreak", "ünï", "007", "{x}"]
FORMS = ["parquet", "graphml", "gexf"]


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.cycle(num_users=40, num_items=12, length=9, seed=0)
    names = [*STRANGE, *(f"i{n}" for n in range(6))]
    log = Interactions.from_arrays(
        log.user, log.item, log.time * 2**40, items=Vocabulary(names)
    )
    table = {name: ["odd", f"of {place % 3}"] for place, name in enumerate(names[:9])}
    steps = [
        CoOccurrence("user", weight="adamic_adar", top_k=3),
        CoOccurrence("item", weight="cosine"),
        Transitions(window=2, decay=0.3),
        Attributes(table),
    ]
    return build_graph(by_user(log), steps)


def exported(graph: HeteroData, folder: Path, form: str) -> Path:
    return export_graph(graph, folder / f"graph.{form}".removesuffix(".parquet"))


@pytest.mark.parametrize("form", FORMS)
def test_a_graph_comes_back_with_its_hash(
    graph: HeteroData, tmp_path: Path, form: str
) -> None:
    back = import_graph(exported(graph, tmp_path, form))
    assert graph_hash(back) == graph_hash(graph)
    assert back.provenance == graph.provenance
    assert back.node_types == graph.node_types
    assert back.edge_types == graph.edge_types
    for relation in graph.edge_types:
        assert set(back[relation].keys()) == set(graph[relation].keys())
    assert back.validate()
    same = held_out_hash(back) == held_out_hash(graph)
    assert same == (form == "parquet")
    assert [path.name for path in tmp_path.iterdir()] in (["graph"], [f"graph.{form}"])


@pytest.mark.parametrize(
    ("form", "read"), [("graphml", nx.read_graphml), ("gexf", nx.read_gexf)]
)
def test_networkx_reads_the_same_nodes_edges_and_weights(
    graph: HeteroData, tmp_path: Path, form: str, read: object
) -> None:
    assert callable(read)
    found = read(exported(graph, tmp_path, form))
    assert found.is_directed()
    assert len(found) == sum(graph[kind].num_nodes for kind in graph.node_types)
    edges = sum(graph[r].edge_index.shape[1] for r in graph.edge_types)
    assert found.number_of_edges() == edges
    labels = [found.nodes[f"item:{n}"]["label"] for n in range(12)]
    assert labels == graph["item"].vocabulary.ids.to_list()
    store = graph[ITEM_CO_OCCURS]
    expected = {
        (f"item:{i}", f"item:{j}"): weight
        for (i, j), weight in zip(
            store.edge_index.T.tolist(), store.edge_weight.tolist(), strict=True
        )
    }
    weights = {
        (start, end): facts["weight"]
        for start, end, facts in found.edges(data=True)
        if facts["relation"] == "co_occurs" and start.startswith("item")
    }
    assert weights.keys() == expected.keys()
    assert all(math.isclose(weights[e], expected[e], rel_tol=1e-6) for e in expected)
    times = sorted(
        facts["time"]
        for _, _, facts in found.edges(data=True)
        if facts["relation"] == "interacts"
    )
    assert times == sorted(graph[INTERACTS].time.tolist())


def test_what_networkx_wrote_is_read(graph: HeteroData, tmp_path: Path) -> None:
    found = nx.MultiDiGraph()
    found.add_node(0, kind="user", label="5")
    for number, name in ((1, "x"), (2, "y")):
        found.add_node(number, kind="item", label=name)
    found.add_edge(0, 1, relation="interacts")
    found.add_edge(1, 2, relation="co_occurs", weight=0.5)
    for form, write in (("graphml", nx.write_graphml), ("gexf", nx.write_gexf)):
        path = tmp_path / f"theirs.{form}"
        write(found, path)
        back = import_graph(path)
        assert back["user"].vocabulary.ids.to_list() == [5]
        assert back["item"].vocabulary.ids.to_list() == ["x", "y"]
        assert back[INTERACTS].edge_index.tolist() == [[0], [0]]
        assert back[ITEM_CO_OCCURS].edge_weight.tolist() == [0.5]


def test_tables_hold_raw_ids(graph: HeteroData, tmp_path: Path) -> None:
    folder = exported(graph, tmp_path, "parquet")
    edges = pl.read_parquet(folder / "edges" / "item-has-attribute.parquet")
    first = graph[HAS_ATTRIBUTE].edge_index[:, 0].tolist()
    names = [graph[k].vocabulary.ids for k in ("item", "attribute")]
    assert edges.row(0) == tuple(ids[n] for ids, n in zip(names, first, strict=True))
    test = pl.read_parquet(folder / "held_out" / "test.parquet")
    assert test["user"].to_list() == graph.test.user.tolist()
    assert test["target"].list.len().sum() == len(graph.test.target)


def test_tensors_of_more_dimensions_go_as_arrays_or_are_refused(tmp_path: Path) -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 2, 1
    graph["user"].x = torch.arange(6.0).view(2, 3)
    graph[INTERACTS].edge_index = torch.tensor([[1], [0]])
    back = import_graph(exported(graph, tmp_path, "parquet"))
    assert torch.equal(back["user"].x, graph["user"].x)
    assert "vocabulary" not in back["user"]
    with pytest.raises(GraphError, match="more than one a row"):
        exported(graph, tmp_path, "gexf")


def test_signs_that_xml_does_not_know_are_refused(tmp_path: Path) -> None:
    graph = HeteroData()
    graph["user"].num_nodes = 1
    graph["user"].vocabulary = Vocabulary(["bell\x07"])
    with pytest.raises(GraphError, match=r"bell.*Export as parquet"):
        export_graph(graph, tmp_path / "x.graphml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
def test_relations_without_edges_survive(tmp_path: Path, form: str) -> None:
    graph = build_graph(
        by_user(synthetic.cycle(num_users=40, num_items=5, length=6, seed=0))
    )
    graph[ITEM_CO_OCCURS].edge_index = torch.empty((2, 0), dtype=torch.int64)
    graph[ITEM_CO_OCCURS].edge_weight = torch.empty(0)
    back = import_graph(exported(graph, tmp_path, form))
    assert graph_hash(back) == graph_hash(graph)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.graphml", "not XML", "cannot be read as graphml"),
        ("x.gexf", "<gexf><node id='1' label='a'/></gexf>", "lacks 'kind'"),
        ("x.dot", "", "graphml or gexf"),
        ("x", "", "does not hold tables"),
    ],
)
def test_what_is_no_graph_is_told(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises((GraphError, ConfigError), match=words):
        import_graph(tmp_path / name)


def test_names_in_tables_lead_nowhere_else(graph: HeteroData, tmp_path: Path) -> None:
    folder = exported(graph, tmp_path, "parquet")
    card = folder / "exchange.json"
    card.write_text(card.read_text().replace('"test"', '"../test"'))
    with pytest.raises(GraphError, match="is no name of nodes or of a relation"):
        import_graph(folder)
