"""Graphs on disk: a folder that is safe to read, since nothing in it is pickled.

``graph.json`` describes the graph, ``tensors.safetensors`` holds its tensors, and
``user.parquet`` and ``item.parquet`` the raw ids. ``log.parquet`` and its two
vocabularies hold the log, for updates. The canonical order keeps the order of the
source where times tie, so this log is all that an update needs of the source.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.atomic import atomic_folder, write_safetensors
from graphseq.data import HeldOut, Interactions, Vocabulary
from graphseq.errors import GraphError, GraphSeqError
from graphseq.folders import (
    GRAPH,
    GRAPH_FORMAT,
    GRAPH_VERSION,
    graph_metadata,
    is_graph,
    refuse_other_files,
)
from graphseq.graphs.content import (
    ITEMS,
    LOG,
    PARTS,
    USERS,
    check_content,
    check_names,
    check_parts,
)
from graphseq.graphs.hashing import graph_hash, held_out_hash, log_hash, tensors_of
from graphseq.runtime import timed

TENSORS = "tensors.safetensors"
ZSTD_LEVEL = 3  # higher levels take longer and save little
DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    *(OverflowError, MemoryError, SafetensorError, GraphSeqError),
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
)
"""What the parsers of a damaged folder raise, RecursionError and panics included."""


def save_graph(
    graph: HeteroData, path: str | Path, *, log: Interactions | None = None
) -> Path:
    """Write a graph into a folder atomically.

    An older graph stays until the new one is complete. Cached values (``operator``)
    are not stored.

    Args:
        graph: A graph as :func:`build_graph` makes it.
        path: The folder to write; its parents are created too.
        log: The whole log from which the graph was made, before any filter. Only a
            graph with its log can be updated. The log is not part of the graph's hash.

    Returns:
        The folder.

    Raises:
        GraphError: Something other than a saved graph is there, or other files are with
            it, a node type cannot be a file name, an edge has no such node or a weight
            that is not a finite number from 0, or the folder cannot be written.
    """
    path = Path(path)
    check_names(graph.node_types, graph.edge_types)
    check_content(graph)
    refuse_other_files(path)
    with atomic_folder(path, is_graph, "a saved graph") as folder:
        _write(graph, log, folder)
    return path


def load_graph(path: str | Path, *, hash: str | None = None) -> HeteroData:
    """Read a graph that :func:`save_graph` wrote, and verify its hashes.

    Args:
        path: The folder.
        hash: Its expected hash, or the first digits of it; any other graph is refused.

    Raises:
        GraphError: The folder is not a saved graph, is of another version, lacks a
            file, its content does not match its hash or the expected one, or a weight
            is not a finite number from 0.
    """
    path = Path(path)
    metadata = graph_metadata(path)
    try:
        with timed(__name__, f"read the graph in {path}"):
            graph = _read(metadata, path)
        found = {"graph_hash": graph_hash(graph), "held_out": held_out_hash(graph)}
    except DAMAGE as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    expected = metadata.get("hashes")
    for name, value in found.items():
        known = expected.get(name) if isinstance(expected, dict) else None
        _check_hash(path, name, value, known)
    check_content(graph)
    if hash is not None and not found["graph_hash"].startswith(hash):
        raise GraphError(
            f"{path} holds the graph {found['graph_hash']:.12}, and {hash:.12} is "
            "expected: it was built again or updated. Give the folder of that graph"
        )
    return graph


def load_log(path: str | Path) -> Interactions:
    """Read the log that :func:`save_graph` stored with a graph, and verify its hash.

    Raises:
        GraphError: The folder is not a saved graph, was saved without its log, or the
            log does not match its hash.
    """
    path = Path(path)
    stored = graph_metadata(path).get("log")
    if not stored:
        raise GraphError(
            f"{path} holds a graph without its log ({LOG}): it was built with "
            f"--no-log, imported, or saved from Python without log=. Build it again "
            f"with its log."
        )
    try:
        log = read_log(stored, path)
        found, expected = log_hash(log), stored["hash"]
    except DAMAGE as error:
        raise _damaged(path, f"its log: {type(error).__name__}: {error}") from error
    _check_hash(path, "log", found, expected)
    return log


def _check_hash(path: Path, name: str, found: str, expected: object) -> None:
    if found != expected:
        raise _damaged(
            path,
            f"its {name} is {found[:12]}…, but it was saved with {str(expected)[:12]}…",
        )


def _damaged(path: Path, reason: str) -> GraphError:
    reason = " ".join(reason.split())
    return GraphError(f"{path} is damaged: {reason:.300}. Build the graph again.")


def _write(graph: HeteroData, log: Interactions | None, folder: Path) -> None:
    tensors: dict[str, Tensor] = {}
    for kind in graph.node_types:
        for name, value in tensors_of(graph[kind]):
            tensors[f"nodes/{kind}/{name}"] = value
        if "vocabulary" in graph[kind]:
            ids = graph[kind].vocabulary.ids.rename("id")
            ids.to_frame().write_parquet(folder / f"{kind}.parquet")
    for number, relation in enumerate(graph.edge_types):
        for name, value in tensors_of(graph[relation]):
            tensors[f"edges/{number}/{name}"] = value
    parts = [part for part in PARTS if hasattr(graph, part)]
    for part in parts:
        for name, value in getattr(graph, part)._asdict().items():
            tensors[f"held_out/{part}/{name}"] = value
    write_safetensors(folder / TENSORS, tensors)
    metadata = {
        "format": GRAPH_FORMAT,
        "version": GRAPH_VERSION,
        "hashes": {"graph_hash": graph_hash(graph), "held_out": held_out_hash(graph)},
        "nodes": {kind: int(graph[kind].num_nodes) for kind in graph.node_types},
        "vocabularies": [k for k in graph.node_types if "vocabulary" in graph[k]],
        "relations": [list(relation) for relation in graph.edge_types],
        "held_out": parts,
        "provenance": getattr(graph, "provenance", None),
    }
    if log is not None:
        metadata["log"] = write_log(log, folder)
    text = json.dumps(metadata, indent=1, ensure_ascii=False)
    (folder / GRAPH).write_text(text + "\n", "utf-8")


def _read(metadata: dict[str, Any], folder: Path) -> HeteroData:
    tensors = load_file(folder / TENSORS)
    graph = HeteroData()
    check_names(metadata["nodes"], metadata["relations"])
    for kind, count in metadata["nodes"].items():
        graph[kind].num_nodes = count
    check_names(metadata["vocabularies"])
    for kind in metadata["vocabularies"]:
        if kind not in metadata["nodes"]:
            raise GraphError(f"the number of {kind} nodes is missing")
        ids = pl.read_parquet(folder / f"{kind}.parquet", glob=False)["id"]
        graph[kind].vocabulary = Vocabulary(ids)
    check_parts(metadata["held_out"])
    rows: dict[str, dict[str, Tensor]] = {part: {} for part in metadata["held_out"]}
    for key, value in tensors.items():
        group, owner, name = key.split("/", 2)
        if group == "held_out":
            rows[owner][name] = value
        elif group == "nodes":
            graph[owner][name] = value
        else:
            graph[tuple(metadata["relations"][int(owner)])][name] = value
    for part, columns in rows.items():
        setattr(graph, part, HeldOut(**columns))
    if metadata["provenance"] is not None:
        graph.provenance = metadata["provenance"]
    return graph


def write_log(log: Interactions, folder: Path) -> dict[str, Any]:
    """Write the files of a log; returns its entry in the metadata."""
    columns = {
        "user": _narrow(log.user, log.num_users),
        "item": _narrow(log.item, log.num_items),
        "time": pl.Series(log.time),
    }
    if log.weight is not None:
        columns["weight"] = pl.Series(log.weight)
    tables = {LOG: pl.DataFrame(columns)}
    tables[USERS] = log.users.ids.rename("id").to_frame()
    tables[ITEMS] = log.items.ids.rename("id").to_frame()
    for name, table in tables.items():
        table.write_parquet(
            folder / name, compression="zstd", compression_level=ZSTD_LEVEL
        )
    entry = {"events": len(log), "has_time": log.has_time, "hash": log_hash(log)}
    return entry | ({"time_steps": log.time_steps} if log.time_steps else {})


def read_log(stored: dict[str, Any], folder: Path) -> Interactions:
    """The log that an entry of the metadata describes; its hash is not verified."""
    table = pl.read_parquet(folder / LOG, glob=False)
    user, item, time = (
        table[name].to_numpy().astype(np.int64, copy=False)
        for name in ("user", "item", "time")
    )
    users, items = (
        Vocabulary(pl.read_parquet(folder / name, glob=False)["id"])
        for name in (USERS, ITEMS)
    )
    weight = table["weight"].to_numpy() if "weight" in table.columns else None
    timed, steps = stored["has_time"], stored.get("time_steps", 0)
    if steps not in range(4):
        raise ValueError(f"time_steps is {steps!r}")
    return Interactions(
        user, item, time, users, items, timed, weight=weight, time_steps=steps
    )


def _narrow(dense: NDArray[np.int64], size: int) -> pl.Series:
    """Dense ids in the smallest integer type that holds them all."""
    return pl.Series(dense.astype(np.min_scalar_type(max(size - 1, 0))))
