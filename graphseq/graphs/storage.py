"""Graphs on disk: a folder that can be read without trusting it.

``graph.json`` says what there is, ``tensors.safetensors`` holds every tensor, and
``user.parquet`` and ``item.parquet`` the raw ids. ``log.parquet`` and its two
vocabularies hold the log, for updates. Nothing is pickled.
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

from graphseq.atomic import new_folder, write_safetensors
from graphseq.data import HeldOut, Interactions, Vocabulary
from graphseq.errors import GraphError, GraphSeqError
from graphseq.graphs.hashing import graph_hash, held_out_hash, log_hash, tensors_of

FORMAT, VERSION = "graphseq graph", 1
CARD, TENSORS = "graph.json", "tensors.safetensors"
PARTS = ("validation", "test")
DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(SafetensorError, pl.exceptions.PolarsError, GraphSeqError),
)


def save_graph(
    graph: HeteroData, path: str | Path, *, log: Interactions | None = None
) -> Path:
    """Write a graph into a folder; all of it, or nothing.

    The folder is written under a temporary name beside its final one and renamed. A
    graph that stood there before stays until the new one is complete. What is cached
    (``operator``) is not stored.

    Args:
        graph: A graph as :func:`build_graph` makes it.
        path: The folder to make; its parents are made too.
        log: The whole log that the graph was made of, before any filter; events can be
            added only to a graph that has it. It is no part of the graph's hash.

    Returns:
        The folder.

    Raises:
        GraphError: If something other than a saved graph stands there, or the folder
            cannot be written.
    """
    path = Path(path)
    with new_folder(path, is_graph, "a saved graph") as folder:
        _write(graph, log, folder)
    return path


def load_graph(path: str | Path) -> HeteroData:
    """Read a graph that :func:`save_graph` wrote, and check that it is unharmed.

    Raises:
        GraphError: If the folder is not a saved graph, is of a later version, lacks a
            file, or holds other data than its hash says.
    """
    path = Path(path)
    card = _card(path)
    try:
        graph = _read(card, path)
        found = {"graph_hash": graph_hash(graph), "held_out": held_out_hash(graph)}
    except DAMAGE as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    promised = card.get("hashes") or {}
    for name, value in found.items():
        _check(path, name, value, promised.get(name))
    return graph


def load_log(path: str | Path) -> Interactions:
    """Read the log that :func:`save_graph` stored with a graph, and check it.

    Raises:
        GraphError: If the folder is not a saved graph, or was saved without its log, or
            holds another log than its hash says.
    """
    path = Path(path)
    stored = _card(path).get("log")
    if not stored:
        raise GraphError(
            f"{path} holds a graph without its log ({LOG}): it was built with "
            f"--no-log, imported, or saved from Python without log=. Build it anew "
            f"with its log."
        )
    try:
        log = read_stored(stored, path)
        found, promised = log_hash(log), stored["hash"]
    except DAMAGE as error:
        raise _damaged(path, f"its log: {type(error).__name__}: {error}") from error
    _check(path, "log", found, promised)
    return log


def _card(path: Path) -> dict[str, Any]:
    """What a folder says of itself, if it is a graph of this version."""
    if not is_graph(path):
        state = (
            f"it has no {CARD} of ours" if path.exists() else "there is no such folder"
        )
        raise GraphError(
            f"{path} is no saved graph: {state}. Make one with `graphseq build LOG "
            f"--output FOLDER` (in Python, save_graph)."
        )
    card: dict[str, Any] = json.loads((path / CARD).read_text("utf-8"))
    if card.get("version") != VERSION:
        raise GraphError(
            f"{path} holds a graph of format version {card.get('version')}; this "
            f"graphseq reads version {VERSION}. Build the graph anew."
        )
    return card


def _check(path: Path, name: str, found: str, promised: object) -> None:
    if found != promised:
        raise _damaged(
            path,
            f"its {name} is {found[:12]}…, but it was saved with {str(promised)[:12]}…",
        )


def _damaged(path: Path, why: str) -> GraphError:
    return GraphError(f"{path} is damaged: {why}. Build the graph anew.")


def _write(graph: HeteroData, log: Interactions | None, folder: Path) -> None:
    """All files of a graph."""
    tensors: dict[str, Tensor] = {}
    for kind in graph.node_types:
        for name, value in tensors_of(graph[kind]):
            tensors[f"nodes/{kind}/{name}"] = value
        if "vocabulary" in graph[kind]:
            ids = graph[kind].vocabulary.ids.rename("id")
            ids.to_frame().write_parquet(folder / f"{kind}.parquet")
    for place, relation in enumerate(graph.edge_types):
        for name, value in tensors_of(graph[relation]):
            tensors[f"edges/{place}/{name}"] = value
    parts = [part for part in PARTS if hasattr(graph, part)]
    for part in parts:
        for name, value in getattr(graph, part)._asdict().items():
            tensors[f"held_out/{part}/{name}"] = value
    write_safetensors(folder / TENSORS, tensors)
    card = {
        "format": FORMAT,
        "version": VERSION,
        "hashes": {"graph_hash": graph_hash(graph), "held_out": held_out_hash(graph)},
        "nodes": {kind: graph[kind].num_nodes for kind in graph.node_types},
        "vocabularies": [k for k in graph.node_types if "vocabulary" in graph[k]],
        "relations": [list(relation) for relation in graph.edge_types],
        "held_out": parts,
        "provenance": getattr(graph, "provenance", None),
    }
    if log is not None:
        card["log"] = write_log(log, folder)
    text = json.dumps(card, indent=1, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", "utf-8")


def _read(card: dict[str, Any], folder: Path) -> HeteroData:
    """The graph that a card describes."""
    tensors = load_file(folder / TENSORS)
    graph = HeteroData()
    for kind, count in card["nodes"].items():
        graph[kind].num_nodes = count
    for kind in card["vocabularies"]:
        ids = pl.read_parquet(folder / f"{kind}.parquet")["id"]
        graph[kind].vocabulary = Vocabulary(ids)
    rows: dict[str, dict[str, Tensor]] = {part: {} for part in card["held_out"]}
    for key, value in tensors.items():
        group, owner, name = key.split("/", 2)
        if group == "held_out":
            rows[owner][name] = value
        elif group == "nodes":
            graph[owner][name] = value
        else:
            graph[tuple(card["relations"][int(owner)])][name] = value
    for part, columns in rows.items():
        setattr(graph, part, HeldOut(**columns))
    if card["provenance"] is not None:
        graph.provenance = card["provenance"]
    return graph


def hashes(path: str | Path) -> dict[str, str]:
    """The hashes with which a graph was saved: ``graph_hash`` and ``held_out``."""
    card = json.loads((Path(path) / CARD).read_text("utf-8"))
    found: dict[str, str] = card["hashes"]
    return found


def is_graph(path: Path) -> bool:
    """Whether a folder says that it is a saved graph."""
    try:
        card = json.loads((path / CARD).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(card, dict) and card.get("format") == FORMAT


LOG, USERS, ITEMS = "log.parquet", "log-users.parquet", "log-items.parquet"
LEVEL = 3  # of zstd; higher ones take longer and save little


def write_log(log: Interactions, folder: Path) -> dict[str, Any]:
    """Write the files of a log; what the graph's card says of them."""
    columns = {
        "user": _narrow(log.user, log.num_users),
        "item": _narrow(log.item, log.num_items),
        "time": pl.Series(log.time),
    }
    _write_table(pl.DataFrame(columns), folder / LOG)
    _write_table(log.users.ids.rename("id").to_frame(), folder / USERS)
    _write_table(log.items.ids.rename("id").to_frame(), folder / ITEMS)
    return {"events": len(log), "has_time": log.has_time, "hash": log_hash(log)}


def read_stored(card: dict[str, Any], folder: Path) -> Interactions:
    """The log that a graph's card describes, unchecked against its hash."""
    table = pl.read_parquet(folder / LOG)
    user, item, time = (
        table[name].to_numpy().astype(np.int64, copy=False)
        for name in ("user", "item", "time")
    )
    users, items = (
        Vocabulary(pl.read_parquet(folder / name)["id"]) for name in (USERS, ITEMS)
    )
    return Interactions(user, item, time, users, items, has_time=card["has_time"])


def _narrow(dense: NDArray[np.int64], size: int) -> pl.Series:
    """Dense ids in the fewest bytes that hold them all."""
    return pl.Series(dense.astype(np.min_scalar_type(max(size - 1, 0))))


def _write_table(table: pl.DataFrame, path: Path) -> None:
    table.write_parquet(path, compression="zstd", compression_level=LEVEL)
