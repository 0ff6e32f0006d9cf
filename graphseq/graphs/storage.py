"""Graphs on disk: a folder that can be read without trusting it.

``graph.json`` says what there is, ``tensors.safetensors`` holds every tensor, and
``user.parquet`` and ``item.parquet`` the raw ids. Nothing is pickled.
"""

import json
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import HeldOut, Vocabulary
from graphseq.errors import GraphError, GraphSeqError
from graphseq.graphs.folder import new_folder
from graphseq.graphs.hashing import graph_hash, held_out_hash, tensors_of

FORMAT, VERSION = "graphseq graph", 1
CARD, TENSORS = "graph.json", "tensors.safetensors"
PARTS = ("validation", "test")


def save_graph(graph: HeteroData, path: str | Path) -> Path:
    """Write a graph into a folder; all of it, or nothing.

    The folder is written under a temporary name beside its final one and renamed. A
    graph that stood there before stays until the new one is complete. What is cached
    (``operator``) is not stored.

    Args:
        graph: A graph as :func:`build_graph` makes it.
        path: The folder to make; its parents are made too.

    Returns:
        The folder.

    Raises:
        GraphError: If something other than a saved graph stands there, or the folder
            cannot be written.
    """
    path = Path(path)
    with new_folder(path, is_graph, "a saved graph") as folder:
        _write(graph, folder)
    return path


def load_graph(path: str | Path) -> HeteroData:
    """Read a graph that :func:`save_graph` wrote, and check that it is unharmed.

    Raises:
        GraphError: If the folder is not a saved graph, is of a later version, lacks a
            file, or holds other data than its hash says.
    """
    path = Path(path)
    if not is_graph(path):
        state = "it is not a saved graph" if path.exists() else "there is nothing"
        raise GraphError(
            f"asked to load a graph from {path}, but {state}: {CARD} is missing or is "
            f"not ours. Write one with save_graph(graph, path)."
        )
    card = json.loads((path / CARD).read_text("utf-8"))
    if card.get("version") != VERSION:
        raise GraphError(
            f"{path} holds a graph of format version {card.get('version')}; this "
            f"graphseq reads version {VERSION}. Build the graph anew."
        )
    damage = (OSError, ValueError, LookupError, TypeError, AttributeError)
    foreign = (SafetensorError, pl.exceptions.PolarsError, GraphSeqError)
    try:
        graph = _read(card, path)
        found = {"graph_hash": graph_hash(graph), "held_out": held_out_hash(graph)}
    except (*damage, *foreign) as error:
        raise GraphError(
            f"{path} is damaged: {type(error).__name__}: {error}. Build the graph anew."
        ) from error
    promised = card.get("hashes") or {}
    for name, value in found.items():
        if value != promised.get(name):
            raise GraphError(
                f"{path} is damaged: its {name} is {value[:12]}…, but it was saved "
                f"with {str(promised.get(name))[:12]}…. Build the graph anew."
            )
    return graph


def _write(graph: HeteroData, folder: Path) -> None:
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
            tensors[f"held_out/{part}/{name}"] = value.cpu()
    save_file(_apart(tensors), folder / TENSORS)
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


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, no two of them in the same memory."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage()
        alone = memory.nbytes() == tensor.nbytes and memory.data_ptr() not in seen
        apart[name] = tensor.contiguous() if alone else tensor.clone()
        seen.add(memory.data_ptr())
    return apart


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
