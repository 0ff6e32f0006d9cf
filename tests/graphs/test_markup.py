"""GraphML and GEXF against networkx, which other tools agree with."""

import json
import math
from pathlib import Path

import networkx as nx
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.data import Interactions, Vocabulary, by_user, synthetic
from graphseq.errors import GraphError
from graphseq.graphs import (
    CoOccurrence,
    Transitions,
    build_graph,
    export_graph,
    graph_hash,
    import_graph,
)
from graphseq.graphs.markup import from_network, to_network

MARKUPS = ["graphml", "gexf"]


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.cycle(num_users=40, num_items=12, length=9, seed=0)
    steps = [CoOccurrence("item", weight="cosine"), Transitions(window=2, decay=0.3)]
    return build_graph(by_user(log), steps)


@pytest.mark.parametrize(
    ("form", "read"), [("graphml", nx.read_graphml), ("gexf", nx.read_gexf)]
)
def test_networkx_reads_the_same_nodes_edges_and_weights(
    graph: HeteroData, tmp_path: Path, form: str, read: object
) -> None:
    assert callable(read)
    found = read(export_graph(graph, tmp_path / f"graph.{form}"))
    assert found.is_directed()
    assert len(found) == sum(graph[kind].num_nodes for kind in graph.node_types)
    edges = sum(graph[r].edge_index.shape[1] for r in graph.edge_types)
    assert found.number_of_edges() == edges
    labels = [found.nodes[f"item:{n}"]["label"] for n in range(12)]
    assert labels == [str(raw) for raw in graph["item"].vocabulary.ids]
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


def test_what_networkx_wrote_is_read(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("raw", ["bell\x07", "return\r", "\ufffe"])
def test_characters_that_xml_loses_are_refused(tmp_path: Path, raw: str) -> None:
    graph = HeteroData()
    graph["user"].num_nodes = 1
    graph["user"].vocabulary = Vocabulary([raw])
    with pytest.raises(GraphError, match=r"control character.*Export as parquet"):
        export_graph(graph, tmp_path / "x.graphml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("markup", MARKUPS)
def test_values_and_types_come_back_bit_for_bit(tmp_path: Path, markup: str) -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 4, 1
    graph["user"].vocabulary = Vocabulary(["", " ", "\n\t", "<&>"])
    graph["user"].x = torch.tensor([0.1, -0.0, float("inf"), 1e-45])
    graph["user"].active = torch.tensor([True, False, True, False])
    edges = graph[INTERACTS]
    edges.edge_index = torch.tensor([[0, 1, 3, 3], [0, 0, 0, 0]])  # one pair repeats
    edges.time = torch.tensor([7, -5, 0, 2**62 + 1])
    edges.edge_weight = torch.tensor([0.3, 1 / 3, 1e-45, 2.0])
    edges.grade = torch.tensor([1, 255, 0, 3], dtype=torch.uint8)
    path = export_graph(graph, tmp_path / f"graph.{markup}")
    back = import_graph(path)
    assert graph_hash(back) == graph_hash(graph)
    assert back["user"].x.dtype == torch.float32


@pytest.fixture(scope="module")
def rated() -> HeteroData:
    """Ratings of the events, weights of the derived edges, and of the items."""
    log = synthetic.cycle(num_users=12, num_items=8, length=6, seed=1)
    ratings = torch.arange(len(log)).remainder(5).add(0.3).numpy()
    columns = log.user, log.item, log.time, log.users, log.items
    graph = build_graph(
        by_user(Interactions(*columns, weight=ratings)), [CoOccurrence("item")]
    )
    graph["item"].weight = torch.arange(8).double()
    assert "weight" in graph[INTERACTS] and "edge_weight" in graph[ITEM_CO_OCCURS]
    return graph


@pytest.mark.parametrize("markup", MARKUPS)
def test_ratings_come_back_with_the_same_hash(
    tmp_path: Path, markup: str, rated: HeteroData
) -> None:
    back = import_graph(export_graph(rated, tmp_path / f"graph.{markup}"))
    assert back[INTERACTS].weight.tolist() == rated[INTERACTS].weight.tolist()
    assert graph_hash(back) == graph_hash(rated)


def test_without_the_former_names_a_weight_is_that_of_an_edge(
    rated: HeteroData,
) -> None:
    network = to_network(rated)
    metadata = json.loads(network.graph["graphseq"])
    for entry in (*metadata["relations"], *metadata["nodes"].values()):
        del entry["renamed"]
    network.graph["graphseq"] = json.dumps(metadata)
    back = from_network(network)
    assert back[INTERACTS].edge_weight.tolist() == rated[INTERACTS].weight.tolist()
    weights = rated[ITEM_CO_OCCURS].edge_weight
    assert back[ITEM_CO_OCCURS].edge_weight.tolist() == weights.tolist()


@pytest.mark.parametrize("name", ["start", "label", "kind"])
def test_columns_with_a_name_that_the_formats_use_are_refused(name: str) -> None:
    graph = HeteroData()
    graph["user"].num_nodes = 1
    graph["user"][name] = torch.zeros(1)
    with pytest.raises(GraphError, match=rf"user has \['{name}'\].*Export as parquet"):
        to_network(graph)


def test_two_weights_of_an_edge_are_refused() -> None:
    graph = HeteroData()
    graph["user"].num_nodes = graph["item"].num_nodes = 1
    graph[INTERACTS].edge_index = torch.zeros((2, 1), dtype=torch.int64)
    graph[INTERACTS].weight = graph[INTERACTS].edge_weight = torch.zeros(1)
    with pytest.raises(GraphError, match=r"has weight.*Export as parquet"):
        to_network(graph)


@pytest.mark.parametrize("markup", MARKUPS)
def test_a_failed_write_leaves_the_older_file(
    tmp_path: Path, markup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = HeteroData()
    graph["user"].num_nodes = 1
    path = export_graph(graph, tmp_path / f"graph.{markup}")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    name = "write_graphml_xml" if markup == "graphml" else "write_gexf"
    monkeypatch.setattr(nx, name, fail)
    with pytest.raises(GraphError, match="No space left"):
        export_graph(graph, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["graphml", "gexf"])
def test_events_of_other_programs_keep_their_times_and_ratings(
    tmp_path: Path, suffix: str
) -> None:
    """Edges in any order, and without what this package writes about itself."""
    network = nx.MultiDiGraph()
    network.add_node("u", kind="user", label="u")
    for item in "abc":
        network.add_node(item, kind="item", label=item)
    for item, time in (("b", 20), ("c", 30), ("a", 10)):
        network.add_edge("u", item, relation="interacts", time=time, weight=time / 10)
    path = tmp_path / f"events.{suffix}"
    write = {"graphml": nx.write_graphml, "gexf": nx.write_gexf}[suffix]
    write(network, path)
    graph = import_graph(path)
    edges = graph[INTERACTS]
    names = graph["item"].vocabulary.ids
    assert [names[n] for n in edges.edge_index[1].tolist()] == ["a", "b", "c"]
    assert edges.time.tolist() == [10, 20, 30]
    assert edges.weight.tolist() == [1.0, 2.0, 3.0]
    assert "edge_weight" not in edges
    del network.edges["u", "a", 0]["time"]
    write(network, path)
    with pytest.raises(GraphError, match=r"2 of 3 edges .* have a time"):
        import_graph(path)
