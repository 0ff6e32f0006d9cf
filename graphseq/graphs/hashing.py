"""Content hashes: graphs with the same hash train the same models."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import HeldOut, Interactions

HASHED = ("split", "transforms", "has_time")  # of the provenance; not ``counts``


def graph_hash(graph: HeteroData) -> str:
    """Hash of the training data of a graph, as 64 hexadecimal digits.

    It covers the tensors of every relation and node type, the numbers of nodes, the
    vocabularies, and the parameters of the split and the steps; not the held-out events
    (see :func:`held_out_hash`), nor cached values.
    """
    digest = hashlib.sha256()
    provenance = getattr(graph, "provenance", {})
    _text(digest, {name: provenance.get(name) for name in HASHED})
    for kind in sorted(graph.node_types):
        _text(digest, ["nodes", kind, int(graph[kind].num_nodes)])
        if "vocabulary" in graph[kind]:
            _ids(digest, graph[kind].vocabulary.ids)
        _tensors(digest, graph[kind])
    for relation in sorted(graph.edge_types):
        _text(digest, ["edges", *relation])
        _tensors(digest, graph[relation])
    return digest.hexdigest()


def held_out_hash(graph: HeteroData) -> str:
    """Hash of the held-out histories and targets, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in ("validation", "test"):
        rows: HeldOut | None = getattr(graph, part, None)
        _text(digest, [part, rows is not None])
        if rows is not None:
            _tensors(digest, rows._asdict())
    return digest.hexdigest()


def log_hash(log: Interactions) -> str:
    """Hash of a log: its events in canonical order and its ids, as 64 digits."""
    digest = hashlib.sha256()
    _text(digest, ["log", len(log), log.has_time])
    for column in (log.user, log.item, log.time):
        digest.update(column.data)
    if log.weight is not None:
        _text(digest, ["weight"])
        digest.update(log.weight.data)
    for vocabulary in (log.users, log.items):
        _ids(digest, vocabulary.ids)
    return digest.hexdigest()


def tensors_of(store: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a node or edge store, sorted by name."""
    for name in sorted(store.keys()):
        if isinstance(store[name], Tensor):
            yield name, store[name].detach().cpu().contiguous()


def _tensors(digest: Any, store: Any) -> None:
    for name, tensor in tensors_of(store):
        _text(digest, [name, str(tensor.dtype), list(tensor.shape)])
        if tensor.numel():
            digest.update(tensor.view(-1).view(torch.uint8).numpy())


def _ids(digest: Any, ids: pl.Series) -> None:
    """Hash raw ids: integers directly, strings as their lengths and their bytes."""
    _text(digest, ["vocabulary", str(ids.dtype), len(ids)])
    if ids.dtype.is_integer():
        digest.update(ids.to_numpy())
        return
    digest.update(ids.str.len_bytes().to_numpy())
    digest.update("".join(ids.to_list()).encode())


def _text(digest: Any, value: Any) -> None:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
    digest.update(len(text).to_bytes(8, "little") + text)
