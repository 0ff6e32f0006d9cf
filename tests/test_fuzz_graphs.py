"""Random graphs in every format, compared with naive readers of these formats."""

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import Vocabulary
from graphseq.graphs import export_graph, import_graph, load_graph, save_graph

FEW, MANY = 25, 250  # graphs for each format
IDS = ["a", "b c", "7", "07", "é", "\U0001f3b5", '"', "<&>", "a,b", "x" * 300, "-1"]

Edge = tuple[str, str, str, float | None]  # relation, raw ids of both ends, weight
Found = tuple[dict[str, list[str]], list[Edge]]
"""Raw ids by kind, in their order, and all edges."""


def made(nodes: dict[str, list[str]], edges: list[Edge]) -> Found:
    return nodes, sorted(edges, key=str)


def found_in(graph: HeteroData) -> Found:
    """What a graph of this package holds."""
    nodes = {k: [*map(str, graph[k].vocabulary.ids)] for k in graph.node_types}
    edges: list[Edge] = []
    for relation in graph.edge_types:
        store, name = graph[relation], " ".join(relation)
        pairs = store.edge_index.T.tolist()
        names = [n for n in ("edge_weight", "weight") if n in store]  # or of events
        weights = store[names[0]].tolist() if names else [None] * len(pairs)
        for (i, j), weight in zip(pairs, weights, strict=True):
            edges.append((name, nodes[relation[0]][i], nodes[relation[2]][j], weight))
    return made(nodes, edges)


def naive_folder(folder: Path) -> Found:
    """A saved graph, from its JSON, Parquet and the bytes of its tensors."""
    facts = json.loads((folder / "graph.json").read_text("utf-8"))
    data = (folder / "tensors.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])

    def values(name: str, code: str) -> list[float]:
        begin, end = header[name]["data_offsets"]
        piece = data[8 + length + begin : 8 + length + end]
        return [value for (value,) in struct.iter_unpack(f"<{code}", piece)]

    nodes = {
        kind: [*map(str, pl.read_parquet(folder / f"{kind}.parquet")["id"])]
        for kind in facts["nodes"]
    }
    edges: list[Edge] = []
    for number, (source, name, target) in enumerate(facts["relations"]):
        ends = [int(end) for end in values(f"edges/{number}/edge_index", "q")]
        half, weights = len(ends) // 2, f"edges/{number}/edge_weight"
        heavy = values(weights, "f") if weights in header else [None] * half
        for i, j, weight in zip(ends[:half], ends[half:], heavy, strict=True):
            pair = nodes[source][i], nodes[target][j]
            edges.append((f"{source} {name} {target}", *pair, weight))
    return made(nodes, edges)


def naive_tables(folder: Path) -> Found:
    """Exported tables, row by row."""
    nodes = {
        path.stem: [*map(str, pl.read_parquet(path)["id"])]
        for path in (folder / "nodes").iterdir()
    }
    edges: list[Edge] = []
    for path in (folder / "edges").iterdir():
        source, name, target = path.stem.split("-")
        for row in pl.read_parquet(path).iter_rows(named=True):
            pair = str(row["source"]), str(row["target"])
            weight = row.get("edge_weight")
            edges.append((f"{source} {name} {target}", *pair, weight))
    return made(nodes, edges)


def naive_markup(path: Path) -> Found:
    """GraphML or GEXF, element by element; both of this package and of networkx."""
    root = ElementTree.parse(path).getroot()
    tags = ("key", "attribute")
    names = {
        (e.get("for") or "", e.get("id")): e.get("attr.name") or e.get("title")
        for e in root.iter()
        if e.tag.rpartition("}")[2] in tags
    }
    titles = {key: name for (_, key), name in names.items()}
    kinds: dict[str, str] = {}
    labels: dict[str, str] = {}
    edges: list[Edge] = []
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        if tag not in ("node", "edge"):
            continue
        row = {k: v for k, v in element.attrib.items() if k in ("label", "weight")}
        classes = [a for a in root.iter() if a.tag.endswith("attributes")]
        own = {
            a.get("id"): a.get("title")
            for group in classes
            if group.get("class") == tag
            for a in group
        }
        for e in element.iter():
            key = e.get("key") or e.get("for")
            if key is not None and e.tag.rpartition("}")[2] in ("data", "attvalue"):
                name = own.get(key) or titles[key]
                row[str(name)] = e.get("value", e.text or "")
        if tag == "node":
            node = element.attrib["id"]
            kinds[node], labels[node] = row["kind"], row.get("label", node)
            continue
        u, v = element.attrib["source"], element.attrib["target"]
        weight = float(row["weight"]) if "weight" in row else None
        relation = f"{kinds[u]} {row['relation']} {kinds[v]}"
        edges.append((relation, labels[u], labels[v], weight))
    nodes: dict[str, list[str]] = {}
    for node, kind in kinds.items():
        nodes.setdefault(kind, []).append(labels[node])
    return made(nodes, edges)


def random_graph(chance: random.Random) -> HeteroData:
    """Two or three kinds with raw ids; relations with weights or without."""
    graph = HeteroData()
    kinds = ["user", "item", "shop"][: chance.randint(2, 3)]
    for kind in kinds:
        ids: list[str] | list[int] = chance.sample(IDS, chance.randint(1, len(IDS)))
        if chance.random() < 0.3:
            ids = chance.sample(range(-5, 2**40), len(ids))
        graph[kind].num_nodes = len(ids)
        graph[kind].vocabulary = Vocabulary(ids)
    for name in chance.sample(["interacts", "co_occurs", "near"], chance.randint(1, 3)):
        source, target = chance.choice(kinds), chance.choice(kinds)
        number = chance.randint(1, 15)
        sizes = graph[source].num_nodes, graph[target].num_nodes
        ends = [[chance.randrange(size) for _ in range(number)] for size in sizes]
        if (source, name, target) == INTERACTS:
            ends[0].sort()
        store = graph[source, name, target]
        store.edge_index = torch.tensor(ends, dtype=torch.int64)
        if chance.random() < 0.7:
            store.edge_weight = torch.rand(number) * 10 ** chance.randint(-3, 3)
    return graph


def theirs(graph: HeteroData) -> "nx.MultiDiGraph[str]":
    """The graph as another program would write it."""
    network: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for kind in graph.node_types:
        for number, raw in enumerate(graph[kind].vocabulary.ids):
            network.add_node(f"{kind} {number}", kind=kind, label=str(raw))
    for relation in graph.edge_types:
        store = graph[relation]
        for number, (i, j) in enumerate(store.edge_index.T.tolist()):
            row: dict[str, Any] = {"relation": relation[1]}
            if "edge_weight" in store:
                row["weight"] = float(store.edge_weight[number])
            network.add_edge(f"{relation[0]} {i}", f"{relation[2]} {j}", **row)
    return network


Write = Callable[[HeteroData, Path], Path]


def exported(name: str) -> Write:
    return lambda graph, folder: export_graph(graph, folder / name)


def written(write: Callable[..., None], suffix: str = "graphml") -> Write:
    def save(graph: HeteroData, folder: Path) -> Path:
        path = folder / f"theirs.{suffix}"
        write(theirs(graph), path)
        return path

    return save


Read = Callable[[Path], HeteroData]
FORMATS: dict[str, tuple[Write, Callable[[Path], Found], Read]] = {
    "folder": (lambda g, f: save_graph(g, f / "graph"), naive_folder, load_graph),
    "tables": (exported("tables"), naive_tables, import_graph),
    "graphml": (exported("graph.graphml"), naive_markup, import_graph),
    "gexf": (exported("graph.gexf"), naive_markup, import_graph),
    "their graphml": (written(nx.write_graphml_xml), naive_markup, import_graph),
    "their gexf": (written(nx.write_gexf, "gexf"), naive_markup, import_graph),
}


@pytest.mark.parametrize(
    "seeds", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize("name", FORMATS)
def test_graphs_are_read_as_by_a_naive_reader(
    name: str, seeds: int, tmp_path: Path
) -> None:
    write, naive, read = FORMATS[name]
    for seed in range(seeds):
        graph = random_graph(random.Random(f"{name} {seed}"))
        path = write(graph, tmp_path)
        expected = found_in(graph)
        assert found_in(read(path)) == expected, seed
        assert naive(path) == expected, seed
