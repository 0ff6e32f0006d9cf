"""Graphs to other tools and back, checked with networkx as the other tool."""

from pathlib import Path

import networkx as nx
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE, INTERACTS, ITEM_CO_OCCURS
from graphseq.data import Interactions, Vocabulary, by_user, leave_one_out, synthetic
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
    load_graph,
    save_graph,
)
from graphseq.graphs.markup import to_network

GRAPHML = (
    "<graphml xmlns='http://graphml.graphdrawing.org/xmlns'>"
    "<graph edgedefault='directed'>{}</graph></graphml>"
)
GEXF = (
    "<gexf xmlns='http://www.gexf.net/1.2draft'><graph defaultedgetype='{}'><nodes>"
    "<node id='1' label='a'/></nodes></graph></gexf>"
)
STRANGE = ['a "b" <c> & d', "tab\there", "line\nbreak", "ünï", "007", "{x}"]
FORMATS = ["parquet", "graphml", "gexf"]


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.cycle(num_users=40, num_items=12, length=9, seed=0)
    names = [*STRANGE, *(f"i{n}" for n in range(6))]
    log = Interactions.from_arrays(
        log.user, log.item, log.time * 2**40, items=Vocabulary(names)
    )
    table = {name: ["odd", f"of {number % 3}"] for number, name in enumerate(names[:9])}
    steps = [
        CoOccurrence("user", weight="adamic_adar", top_k=3),
        CoOccurrence("item", weight="cosine"),
        Transitions(window=2, decay=0.3),
        Attributes(table),
    ]
    return build_graph(by_user(log), steps)


def exported(graph: HeteroData, folder: Path, form: str) -> Path:
    return export_graph(graph, folder / f"graph.{form}".removesuffix(".parquet"))


@pytest.mark.parametrize("form", FORMATS)
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
    with pytest.raises(GraphError, match=r"one number.*\['x'\].*Export as parquet"):
        exported(graph, tmp_path, "gexf")


@pytest.mark.parametrize("form", FORMATS)
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
        ("x.graphml", "not XML", "as a graph in graphml: ParseError"),
        ("x.graphml", "<html/>", "not successfully read as graphml"),
        ("x.graphml", GRAPHML.format("<node id='a'/>"), "lacks 'kind'"),
        ("x.graphml", GRAPHML.format("<edge source='a' target='b'/>"), "lacks 'kind'"),
        ("x.gexf", "<gexf/>", "No <graph> element"),
        ("x.gexf", GEXF.format("undirected"), "no direction"),
        ("x.gexf", GEXF.format("directed"), "lacks 'kind'"),
        ("x.dot", "", "graphml or gexf"),
        ("x", "", "as a graph in parquet: NotADirectory"),
    ],
)
def test_foreign_and_damaged_files_are_refused(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises((GraphError, ConfigError), match=words):
        import_graph(tmp_path / name)


def test_names_in_tables_lead_nowhere_else(graph: HeteroData, tmp_path: Path) -> None:
    folder = exported(graph, tmp_path, "parquet")
    metadata = folder / "exchange.json"
    metadata.write_text(metadata.read_text().replace('"test"', '"../test"'))
    with pytest.raises(GraphError, match=r"'../test' is not a held-out part"):
        import_graph(folder)


@pytest.mark.parametrize("name", ["../item", ".item", "a/b", "a\\b", ""])
@pytest.mark.parametrize("form", FORMATS)
def test_names_in_files_never_become_paths(
    tmp_path: Path, form: str, name: str
) -> None:
    graph = HeteroData()
    graph["user"].num_nodes = graph[name].num_nodes = 1
    graph["user", "interacts", name].edge_index = torch.tensor([[0], [0]])
    with pytest.raises(GraphError, match="cannot name nodes"):
        exported(graph, tmp_path, form)
    with pytest.raises(GraphError, match="cannot name nodes"):
        save_graph(graph, tmp_path / "graph")
    if form != "parquet":
        path = tmp_path / f"theirs.{form}"
        write = nx.write_graphml if form == "graphml" else nx.write_gexf
        write(to_network(graph), path)
        with pytest.raises(GraphError, match=r"theirs.*cannot name nodes"):
            import_graph(path)
    assert not (tmp_path / "graph").exists()


def test_a_node_type_in_a_damaged_graph_folder_is_not_followed(
    graph: HeteroData, tmp_path: Path
) -> None:
    folder = save_graph(graph, tmp_path / "graph")
    (folder / "user.parquet").rename(tmp_path / "user.parquet")
    metadata = folder / "graph.json"
    metadata.write_text(metadata.read_text().replace('"user"', '"../user"'))
    with pytest.raises(GraphError, match="cannot name nodes"):
        load_graph(folder)


@pytest.mark.parametrize("weight", ["NaN", "INF", "-INF", "-1", "-0.5"])
def test_weights_that_are_no_weights_are_refused(tmp_path: Path, weight: str) -> None:
    network = nx.MultiDiGraph()
    network.add_node("a", kind="user")
    network.add_node("b", kind="item")
    network.add_edge("a", "b", relation="interacts", weight=0.125)
    path = tmp_path / "theirs.graphml"
    nx.write_graphml(network, path)
    assert import_graph(path)["user", "interacts", "item"].weight.tolist() == [0.125]
    path.write_text(path.read_text().replace("0.125", weight))
    with pytest.raises(GraphError, match="must be a finite number from 0"):
        import_graph(path)


def test_two_names_of_one_file_are_refused(tmp_path: Path) -> None:
    graph = HeteroData()
    for kind in ("a", "a-b", "d", "b"):
        graph[kind].num_nodes = 1
    for relation in (("a-b", "c", "d"), ("a", "b-c", "d")):
        graph[relation].edge_index = torch.tensor([[0], [0]])
    with pytest.raises(GraphError, match="'a-b-c-d' names two things"):
        exported(graph, tmp_path, "parquet")
    graph = HeteroData()
    graph["log"].num_nodes = 1
    with pytest.raises(GraphError, match="'log' names two things, or a file of"):
        save_graph(graph, tmp_path / "graph")


def test_paths_that_are_too_long_are_reported(
    graph: HeteroData, tmp_path: Path
) -> None:
    path = tmp_path / ("n" * 300)
    for call in (load_graph, import_graph):
        with pytest.raises(GraphError, match="too long"):
            call(path)
    for form in FORMATS:
        with pytest.raises(GraphError, match="too long"):
            export_graph(graph, path.with_suffix(f".{form}"), form)
    with pytest.raises(GraphError, match="too long"):
        save_graph(graph, path)


def test_the_case_of_a_name_that_is_a_path_is_refused(
    shared: Path, tmp_path: Path
) -> None:
    with pytest.raises(GraphError, match="cannot name"):
        import_graph(shared / "cases" / "traversal.graphml")


@pytest.mark.parametrize("form", ["parquet", "graphml"])
def test_events_that_another_program_reordered_are_sorted(
    graph: HeteroData, tmp_path: Path, form: str
) -> None:
    path = exported(graph, tmp_path, form)
    if form == "parquet":
        table = path / "edges" / "user-interacts-item.parquet"
        shuffled = pl.read_parquet(table).sample(fraction=1, shuffle=True, seed=1)
        assert not shuffled.equals(pl.read_parquet(table))
        shuffled.write_parquet(table)
    else:
        network = nx.read_graphml(path, force_multigraph=True)
        edges = [*network.edges(data=True)]
        again = nx.MultiDiGraph(**network.graph)
        again.add_nodes_from(network.nodes(data=True))
        again.add_edges_from((u, v, None, row) for u, v, row in reversed(edges))
        nx.write_graphml(again, path)
    back = import_graph(path)
    store = back[INTERACTS]
    assert torch.equal(store.edge_index, graph[INTERACTS].edge_index)
    assert torch.equal(store.time, graph[INTERACTS].time)
    if form == "parquet":
        assert graph_hash(back) == graph_hash(graph)


def test_edges_of_another_program_all_have_a_weight_or_none(tmp_path: Path) -> None:
    network = nx.MultiDiGraph()
    for name, kind in (("a", "user"), ("x", "item"), ("y", "item")):
        network.add_node(name, kind=kind)
    network.add_edge("a", "x", relation="interacts")
    network.add_edge("x", "y", relation="co_occurs", weight=2.0)
    network.add_edge("y", "x", relation="co_occurs")
    nx.write_graphml(network, tmp_path / "some.graphml")
    with pytest.raises(GraphError, match=r"1 of 2 edges .* have a weight; give all"):
        import_graph(tmp_path / "some.graphml")


def test_a_type_that_parquet_lacks_is_refused(
    graph: HeteroData, tmp_path: Path
) -> None:
    graph = graph.clone()
    graph["item"].x = torch.zeros(graph["item"].num_nodes, 2, dtype=torch.bfloat16)
    with pytest.raises(GraphError, match="Parquet has no bfloat16; found it in x"):
        export_graph(graph, tmp_path / "tables")


def test_a_graph_without_its_number_of_nodes_is_refused(tmp_path: Path) -> None:
    bare = HeteroData()
    bare[INTERACTS].edge_index = torch.zeros(2, 1, dtype=torch.int64)
    bare["user"].num_nodes = bare["item"].num_nodes = None
    with pytest.raises(GraphError, match="the number of user nodes is not known"):
        save_graph(bare, tmp_path / "graph")


def test_files_of_someone_else_are_not_replaced(tmp_path: Path) -> None:
    graph = build_graph(leave_one_out(synthetic.cycle(12, 6)))
    export_graph(graph, tmp_path / "tables")
    export_graph(graph, tmp_path / "tables")
    (tmp_path / "tables" / "notes.txt").write_text("mine")
    with pytest.raises(GraphError, match=r"also notes\.txt, which would be lost"):
        export_graph(graph, tmp_path / "tables")
    assert (tmp_path / "tables" / "notes.txt").is_file()


def test_tables_that_another_program_has_changed(tmp_path: Path) -> None:
    """Rows in another order are sorted; an empty field is refused."""
    graph = build_graph(leave_one_out(synthetic.markov(20, 8, length=7, seed=0)))
    folder = tmp_path / "tables"
    export_graph(graph, folder)
    path = folder / "held_out" / "test.parquet"
    pl.read_parquet(path).reverse().write_parquet(path)
    again = import_graph(folder)
    assert held_out_hash(again) == held_out_hash(graph)
    path = folder / "edges" / "user-interacts-item.parquet"
    table = pl.read_parquet(path)
    holes = pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("time"))
    table.with_columns(time=holes).write_parquet(path)
    with pytest.raises(GraphError, match="'time' of nodes or edges has 1 empty"):
        import_graph(folder)
