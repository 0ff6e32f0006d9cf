"""Graphs for other tools, and back: Parquet tables, GraphML and GEXF.

* ``parquet`` is a folder: ``nodes/KIND.parquet``, ``edges/A-NAME-B.parquet`` with the
  raw ids of both ends and a column for each tensor, ``held_out/*.parquet``. The whole
  graph comes back, with the same hashes.
* ``graphml`` and ``gexf`` are one file, written and read by networkx. The training
  graph comes back, with the same hash; the held-out events are not exported.
"""

import json
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree.ElementTree import ParseError

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.atomic import atomic_folder, system_errors
from graphseq.constants import INTERACTS
from graphseq.data import HeldOut, Vocabulary
from graphseq.errors import ConfigError, GraphError, suggest
from graphseq.graphs.content import PARTS, check_content, check_names, check_parts
from graphseq.graphs.hashing import tensors_of
from graphseq.graphs.storage import DAMAGE

Format = Literal["parquet", "graphml", "gexf"]
METADATA = "exchange.json"
ENDS = ("source", "target")


def format_of(path: str | Path, format: str | None = None) -> Format:
    """The requested format, or the one that the suffix of a path names.

    Raises:
        ConfigError: The format is unknown.
    """
    wanted = format or Path(path).suffix.removeprefix(".").lower() or "parquet"
    if wanted not in get_args(Format):
        raise ConfigError(
            f"graphs are exchanged as parquet (a folder), graphml or gexf; got "
            f"{wanted!r}: {suggest(wanted, get_args(Format))}"
        )
    found: Format = wanted  # type: ignore[assignment]
    return found


def export_graph(
    graph: HeteroData, path: str | Path, format: str | None = None
) -> Path:
    """Write a graph for other tools.

    Args:
        graph: Any graph; nodes without a vocabulary are named by their numbers.
        path: The folder (parquet) or file to write.
        format: parquet, graphml or gexf; ``None`` goes by the suffix of the path, and
            takes parquet if there is none.

    Returns:
        The path.

    Raises:
        ConfigError: The format is unknown.
        GraphError: The path cannot be written, or the format cannot hold the graph.
    """
    path, chosen = Path(path), format_of(path, format)
    check_names(graph.node_types, graph.edge_types)
    check_content(graph)
    if chosen == "parquet":
        _refuse_others(path)
        with atomic_folder(path, is_exchange, "exported tables") as folder:
            _write_tables(graph, folder)
        return path
    from graphseq.graphs.markup import write_markup

    write_markup(graph, path, chosen)
    return path


def _refuse_others(path: Path) -> None:
    """Refuse to replace exported tables whose folder also holds other files.

    Raises:
        GraphError: With their names.
    """
    known = {"nodes", "edges", "held_out", METADATA}
    with system_errors(f"write {path}"):
        if not (path.is_dir() and is_exchange(path)):
            return
    names = sorted(p.name for p in path.iterdir() if p.name[0] != ".")
    if others := [name for name in names if name not in known]:
        raise GraphError(
            f"{path} holds exported tables, and also {', '.join(others[:3])}, which "
            "would be lost with them. Move that elsewhere first"
        )


def import_graph(path: str | Path, format: str | None = None) -> HeteroData:
    """Read a graph that :func:`export_graph` wrote, or one of the same layout.

    In GraphML and GEXF of other tools, nodes need the attribute ``kind`` (user, item,
    …) and edges ``relation``; the label of a node is its raw id, and ``weight`` the
    weight of an edge. The events are sorted by user, then time, since their order is
    that of the sequences: other programs may have changed it.

    Raises:
        ConfigError: The format is unknown.
        GraphError: The path cannot be read, or does not have the layout.
    """
    path = Path(path)
    with system_errors(f"read {path}"):
        is_folder = path.is_dir()
    chosen = "parquet" if is_folder and format is None else format_of(path, format)
    try:
        if chosen == "parquet":
            graph = _read_tables(path)
        else:
            from graphseq.graphs.markup import read_markup

            graph = read_markup(path, chosen)
        _sort_events(graph)
        check_content(graph)
        return graph
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from error
    except (*DAMAGE, ParseError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise GraphError(
            f"{path} cannot be read as a graph in {chosen}: {reason:.300}. Check the "
            "file, or name its --format"
        ) from error


def _sort_events(graph: HeteroData) -> None:
    """Sort the events by user, then time; without times they keep their order."""
    if INTERACTS not in graph.edge_types:
        return
    store = graph[INTERACTS]
    keys = [store.edge_index[0].numpy()]
    if "time" in store and store.time.dim() == 1:
        keys.insert(0, store.time.numpy())
    order = np.lexsort(keys)
    if (order == np.arange(len(order))).all():
        return
    for name, tensor in list(tensors_of(store)):
        store[name] = tensor[..., order] if name == "edge_index" else tensor[order]


def is_exchange(path: Path) -> bool:
    """Whether a folder holds tables that :func:`export_graph` wrote."""
    return (path / METADATA).is_file()


def _write_tables(graph: HeteroData, folder: Path) -> None:
    for name in ("nodes", "edges", "held_out"):
        (folder / name).mkdir()
    for kind in graph.node_types:
        columns = _columns(graph[kind])
        table = pl.DataFrame([_raw_ids(graph, kind).alias("id"), *columns])
        table.write_parquet(folder / "nodes" / f"{kind}.parquet")
    for relation in graph.edge_types:
        store = graph[relation]
        ends = [
            _raw_ids(graph, kind).gather(index.cpu().numpy()).alias(end)
            for kind, index, end in zip(
                relation[::2], store.edge_index, ENDS, strict=True
            )
        ]
        table = pl.DataFrame([*ends, *_columns(store)])
        table.write_parquet(folder / "edges" / f"{'-'.join(relation)}.parquet")
    parts = [part for part in PARTS if hasattr(graph, part)]
    for part in parts:
        table = _held_out_table(graph, getattr(graph, part))
        table.write_parquet(folder / "held_out" / f"{part}.parquet")
    metadata = {
        "format": "graphseq exchange",
        "nodes": {kind: "vocabulary" in graph[kind] for kind in graph.node_types},
        "relations": [list(relation) for relation in graph.edge_types],
        "held_out": parts,
        "provenance": getattr(graph, "provenance", None),
    }
    text = json.dumps(metadata, indent=1, ensure_ascii=False)
    (folder / METADATA).write_text(text + "\n", "utf-8")


def _held_out_table(graph: HeteroData, rows: HeldOut) -> pl.DataFrame:
    """One row per user: raw ids of the user, the history and the targets."""
    users, items = _raw_ids(graph, "user"), _raw_ids(graph, "item")
    table = {"user": users.gather(rows.user.cpu().numpy())}
    for name, pointers in (("history", rows.history_ptr), ("target", rows.target_ptr)):
        owner = torch.repeat_interleave(pointers.diff().cpu())
        ids = items.gather(getattr(rows, name).cpu().numpy())
        flat = pl.DataFrame({"row": owner.numpy(), "id": ids})
        table[name] = flat.group_by("row", maintain_order=True).agg("id")["id"]
    return pl.DataFrame(table)


def _read_tables(folder: Path) -> HeteroData:
    metadata = json.loads((folder / METADATA).read_text("utf-8"))
    check_names(metadata["nodes"], metadata["relations"])
    check_parts(metadata["held_out"])
    graph, numbers = HeteroData(), {}
    for kind, named in metadata["nodes"].items():
        table = pl.read_parquet(folder / "nodes" / f"{kind}.parquet", glob=False)
        graph[kind].num_nodes = len(table)
        numbers[kind] = Vocabulary(table["id"])
        if named:
            graph[kind].vocabulary = numbers[kind]
        _put(graph[kind], table.drop("id"))
    for source, name, target in metadata["relations"]:
        table = pl.read_parquet(
            folder / "edges" / f"{source}-{name}-{target}.parquet", glob=False
        )
        store = graph[source, name, target]
        ends = zip((source, target), ENDS, strict=True)
        index = [numbers[kind].encode(table[end]) for kind, end in ends]
        store.edge_index = torch.from_numpy(np.stack(index))
        _put(store, table.drop(ENDS))
    for part in metadata["held_out"]:
        table = pl.read_parquet(folder / "held_out" / f"{part}.parquet", glob=False)
        setattr(graph, part, _held_out(table, numbers))
    if metadata["provenance"] is not None:
        graph.provenance = metadata["provenance"]
    return graph


def _held_out(table: pl.DataFrame, numbers: dict[str, Vocabulary]) -> HeldOut:
    def flat(name: str) -> tuple[Tensor, Tensor]:
        lengths = torch.tensor(table[name].list.len().cast(pl.Int64).to_numpy())
        ids = numbers["item"].encode(table[name].explode())
        pointers = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        return torch.tensor(ids), pointers

    number = pl.Series(numbers["user"].encode(table["user"]))
    table = table[number.arg_sort()]  # another program may have reordered the rows
    user = torch.tensor(number.sort().to_numpy())
    return HeldOut(user, *flat("history"), *flat("target"))


def _raw_ids(graph: HeteroData, kind: str) -> pl.Series:
    """The raw ids of the nodes of a kind; their numbers without a vocabulary."""
    if "vocabulary" in graph[kind]:
        ids: pl.Series = graph[kind].vocabulary.ids
        return ids
    return pl.int_range(int(graph[kind].num_nodes), eager=True)


def _columns(store: Any) -> list[pl.Series]:
    """The tensors of a store except ``edge_index``; of more dimensions, as arrays."""
    found = [each for each in tensors_of(store) if each[0] != "edge_index"]
    if unknown := [name for name, x in found if x.dtype == torch.bfloat16]:
        raise GraphError(
            f"Parquet has no bfloat16; found it in {', '.join(unknown)}. Convert to "
            "float32 before the export"
        )
    return [pl.Series(name, tensor.numpy()) for name, tensor in found]


def _put(store: Any, table: pl.DataFrame) -> None:
    for column in table:
        if empty := column.null_count():
            raise GraphError(
                f"the column {column.name!r} of nodes or edges has {empty:,} empty "
                "fields; every node and edge needs a value"
            )
        store[column.name] = torch.from_numpy(column.to_numpy().copy())
