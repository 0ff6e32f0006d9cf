"""GraphML and GEXF files, written and read by networkx.

A node is ``KIND:NUMBER``; its kind and its raw id (``label``) are attributes. An edge
has its relation, its weight and its other columns, and its key is its number in the
file. What the formats cannot express, such as types and provenance, is JSON in an
attribute of the graph (GEXF has only a name). networkx holds a graph as Python objects:
see ``docs/decisions.md`` for the cost.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.atomic import atomic_file, created_parents, system_errors
from graphseq.constants import INTERACTS, EdgeType
from graphseq.data import Vocabulary
from graphseq.data.ids import to_integers
from graphseq.errors import GraphError
from graphseq.graphs.content import check_names
from graphseq.graphs.hashing import tensors_of

if TYPE_CHECKING:
    import networkx as nx

    Network: TypeAlias = nx.MultiDiGraph[str]
else:  # networkx is imported when first used
    Network = Any

Markup = Literal["graphml", "gexf"]
MARK = '{"format": "graphseq graph", '  # begins the JSON of an exported graph
WEIGHT = "weight"  # edge_weight, as other tools call it
RENAMED = {WEIGHT: "edge_weight"}  # where a file does not say what was renamed
DTYPES = {str(x).removeprefix("torch."): x for x in (torch.bool, torch.uint8)}
DTYPES |= {f"int{bits}": getattr(torch, f"int{bits}") for bits in (8, 16, 32, 64)}
DTYPES |= {f"float{bits}": getattr(torch, f"float{bits}") for bits in (16, 32, 64)}
# Names that the formats, or we, use for something else.
RESERVED = {"id", "key", "label", "pid", "start", "end", "type", "viz", "parents"}
RESERVED |= {"slices", "spells", "kind", "relation", "source", "target", "networkx_key"}
CONTROL = r"[\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]"  # XML loses these characters


def write_markup(graph: HeteroData, path: Path, format: Markup) -> None:
    """Write the nodes and edges of a graph into one file, atomically.

    Raises:
        GraphError: The formats cannot hold a raw id or a tensor of the graph, or the
            file cannot be written.
    """
    import networkx as nx

    with system_errors(f"write {path}"):
        is_folder = path.is_dir()
    if is_folder:
        raise GraphError(f"{path} is a folder; {format} is one file. Name a file in it")
    write = nx.write_graphml_xml if format == "graphml" else nx.write_gexf
    network = to_network(graph)
    if format == "gexf":
        network.graph["name"] = network.graph["graphseq"]
    with (
        system_errors(f"write {path}"),
        created_parents(path),
        atomic_file(path) as draft,
        draft.open("wb") as file,
    ):
        write(network, file)


def read_markup(path: Path, format: Markup) -> HeteroData:
    """Read a graph from a file of this package or of another tool.

    Raises:
        GraphError: A node has no kind, an edge no relation, or one of them cannot be
            the name of a file.
        ValueError: The file is not of that format, or its edges have no direction;
            networkx raises other errors for damaged files.
    """
    import networkx as nx
    from networkx.readwrite.gexf import GEXFReader

    try:
        with path.open("rb") as file:
            if format == "graphml":
                network = nx.read_graphml(file, force_multigraph=True)
            else:
                reader = GEXFReader(node_type=str)
                reader.simple_graph = False  # else networkx drops the keys of edges
                network = reader(file)
    except nx.NetworkXException as error:
        raise ValueError(str(error)) from error
    if not network.is_directed():
        raise ValueError("its edges have no direction; save it as a directed graph")
    directed: Network = network  # type: ignore[assignment]
    return from_network(directed)


def to_network(graph: HeteroData) -> Network:
    """A graph as a networkx graph, with all that is needed to restore it."""
    import networkx as nx

    network: Network = nx.MultiDiGraph()
    metadata: dict[str, Any] = {"nodes": {}, "relations": []}
    for kind in graph.node_types:
        named, columns = "vocabulary" in graph[kind], _columns(graph, kind)
        ids = graph[kind].vocabulary.ids if named else range(int(graph[kind].num_nodes))
        ids = pl.Series(ids)
        rows = _records({"label": _labels(ids)} | _lists(columns))
        for number, row in enumerate(rows):
            network.add_node(f"{kind}:{number}", kind=kind, **row)
        dtype = str(ids.dtype) if named else None
        metadata["nodes"][kind] = {"ids": dtype} | _described(graph[kind], columns)
    for relation in graph.edge_types:
        (source, name, target), columns = relation, _columns(graph, relation)
        start, end = graph[relation].edge_index.tolist()
        rows = _records({"source": start, "target": end} | _lists(columns))
        for key, row in enumerate(rows, network.number_of_edges()):
            ends = f"{source}:{row.pop('source')}", f"{target}:{row.pop('target')}"
            network.add_edge(*ends, key, relation=name, **row)
        described = _described(graph[relation], columns)
        metadata["relations"].append({"name": relation} | described)
    metadata["provenance"] = getattr(graph, "provenance", None)
    network.graph["graphseq"] = MARK + json.dumps(metadata, ensure_ascii=False)[1:]
    return network


def from_network(network: Network) -> HeteroData:
    """The graph that a networkx graph describes.

    Without metadata of this package, ids are integers if all labels of a kind are, and
    of the attributes of edges only the weight is kept, and the time of events.

    Raises:
        GraphError: A node has no kind, an edge no relation, or one of them cannot be
            the name of a file.
    """
    text = network.graph.get("graphseq") or network.graph.get("name", "")
    metadata = json.loads(text) if str(text).startswith(MARK) else {}
    stored = metadata.get("nodes", {})
    relations = {tuple(entry["name"]): entry for entry in metadata.get("relations", [])}
    nodes: dict[str, list[Any]] = {kind: [] for kind in stored}
    edges: dict[EdgeType, list[Any]] = {relation: [] for relation in relations}
    numbers: dict[str, tuple[str, int]] = {}
    try:
        for node, row in network.nodes(data=True):
            group = nodes.setdefault(str(row["kind"]), [])
            numbers[node] = str(row["kind"]), len(group)
            group.append({"label": node} | row)
        for u, v, key, row in network.edges(keys=True, data=True):
            (source, i), (target, j) = numbers[u], numbers[v]
            group = edges.setdefault((source, str(row["relation"]), target), [])
            group.append((key, i, j, row))
    except KeyError as error:
        raise GraphError(
            f"a node or an edge lacks {error.args[0]!r}. Give every node the attribute "
            f"'kind' and every edge the attribute 'relation'"
        ) from error
    check_names(nodes, edges)
    graph = HeteroData()
    for kind, rows in nodes.items():
        graph[kind].num_nodes = len(rows)
        entry = stored.get(kind, {"ids": "", "columns": {}})
        if entry["ids"] is not None:
            labels = pl.Series([str(row["label"]) for row in rows], dtype=pl.String)
            graph[kind].vocabulary = Vocabulary(_ids(labels, entry["ids"]))
        _set_columns(graph[kind], rows, entry)
    for relation, found in edges.items():
        if all(isinstance(key, int) for key, *_ in found):  # the order of the file
            found.sort(key=lambda edge: edge[0])
        ends = [[edge[end] for edge in found] for end in (1, 2)]
        graph[relation].edge_index = torch.tensor(ends, dtype=torch.int64)
        rows = [row for *_, row in found]
        weighed = sum(WEIGHT in row for row in rows)
        if 0 < weighed < len(rows) and relation not in relations:
            raise GraphError(
                f"{weighed:,} of {len(rows):,} edges {relation} have a weight; give "
                "all of them one, or none"
            )
        made: dict[str, Any] = {"columns": {WEIGHT: "float32"} if weighed else {}}
        if relation == INTERACTS and relation not in relations:
            made["renamed"] = {}  # a weight of an event, such as a rating
            made["columns"] |= _times(rows)
        _set_columns(graph[relation], rows, relations.get(relation, made))
    if metadata.get("provenance") is not None:
        graph.provenance = metadata["provenance"]
    return graph


def _times(rows: list[Any]) -> dict[str, str]:
    """The column of the times of events, if these have any.

    Raises:
        GraphError: Only some have a time, or one is not a whole number.
    """
    timed = [row["time"] for row in rows if "time" in row]
    if timed and len(timed) < len(rows):
        raise GraphError(
            f"{len(timed):,} of {len(rows):,} edges {INTERACTS} have a time; give all "
            "of them one, or none"
        )
    for time in timed:
        if isinstance(time, bool) or not isinstance(time, int):
            raise GraphError(
                f"the time of an edge {INTERACTS} is a whole number, such as unix "
                f"seconds; found {time!r}"
            )
    return {"time": "int64"} if timed else {}


def _columns(graph: HeteroData, owner: str | EdgeType) -> dict[str, Tensor]:
    """The tensors of nodes or edges but ``edge_index``, under their exported names.

    Raises:
        GraphError: The formats cannot hold one of them.
    """
    store = graph[owner]
    size = store.num_nodes if isinstance(owner, str) else store.edge_index.shape[1]
    tensors = {name: x for name, x in tensors_of(store) if name != "edge_index"}
    dtypes = _dtypes(tensors)
    faulty = [
        name
        for name, x in tensors.items()
        if x.shape != (size,) or dtypes[name] not in DTYPES or name in RESERVED
    ]
    if faulty or {WEIGHT, "edge_weight"} <= tensors.keys():
        raise GraphError(
            f"GraphML and GEXF hold one number for each node or edge, under a name "
            f"that they do not use themselves; {owner} has {faulty or WEIGHT}. Export "
            f"as parquet, or remove them first"
        )
    return {WEIGHT if n == "edge_weight" else n: x for n, x in tensors.items()}


def _described(store: Any, columns: dict[str, Tensor]) -> dict[str, Any]:
    """The types of the exported columns, and the former names of the renamed ones."""
    renamed = RENAMED if "edge_weight" in store else {}
    return {"columns": _dtypes(columns), "renamed": renamed}


def _labels(ids: pl.Series) -> list[str]:
    labels = ids.cast(pl.String)
    faulty = labels.filter(labels.str.contains(CONTROL))
    if len(faulty):
        raise GraphError(
            f"GraphML and GEXF cannot hold the control character in the raw id "
            f"{faulty[0]!r}. Export as parquet"
        )
    return labels.to_list()


def _ids(labels: pl.Series, dtype: str) -> pl.Series:
    """The raw ids; integers if they were, or if all are and no type is recorded."""
    numbers = to_integers(labels)
    if dtype == "" and len(labels) and not numbers.null_count():
        dtype = "Int64"
    return numbers if dtype == "Int64" else labels


def _dtypes(columns: dict[str, Tensor]) -> dict[str, str]:
    return {name: str(x.dtype).removeprefix("torch.") for name, x in columns.items()}


def _lists(columns: dict[str, Tensor]) -> dict[str, Iterable[Any]]:
    return {name: x.tolist() for name, x in columns.items()}


def _records(columns: dict[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """Rows of columns of one length."""
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _set_columns(store: Any, rows: list[Any], entry: dict[str, Any]) -> None:
    renamed = entry.get("renamed", RENAMED)
    for name, dtype in entry["columns"].items():
        values = torch.tensor([row[name] for row in rows], dtype=DTYPES[dtype])
        store[renamed.get(name, name)] = values
