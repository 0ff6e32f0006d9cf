"""Graphs as Parquet tables: nodes, edges by raw ids, held-out users."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import HeldOut, Vocabulary
from graphseq.graphs.hashing import tensors_of

CARD = "exchange.json"
ENDS = ("source", "target")


def raw_ids(graph: HeteroData, kind: str) -> pl.Series:
    """The names of the nodes of a kind."""
    if "vocabulary" in graph[kind]:
        ids: pl.Series = graph[kind].vocabulary.ids
        return ids.alias("id")
    return pl.int_range(graph[kind].num_nodes, eager=True).alias("id")


def columns_of(store: Any, besides: str = "") -> dict[str, pl.Series]:
    """The tensors of a store as columns; of more dimensions, as columns of arrays."""
    return {
        name: pl.Series(name, tensor.numpy())
        for name, tensor in tensors_of(store)
        if name != besides
    }


def write_tables(graph: HeteroData, folder: Path) -> None:
    """Fill a folder with the tables of a graph."""
    for name in ("nodes", "edges", "held_out"):
        (folder / name).mkdir()
    for kind in graph.node_types:
        table = pl.DataFrame([raw_ids(graph, kind), *columns_of(graph[kind]).values()])
        table.write_parquet(folder / "nodes" / f"{kind}.parquet")
    for relation in graph.edge_types:
        store = graph[relation]
        ends = [
            raw_ids(graph, kind).gather(index.cpu().numpy()).alias(end)
            for kind, index, end in zip(
                relation[::2], store.edge_index, ENDS, strict=True
            )
        ]
        table = pl.DataFrame([*ends, *columns_of(store, "edge_index").values()])
        table.write_parquet(folder / "edges" / f"{'-'.join(relation)}.parquet")
    parts = [part for part in ("validation", "test") if hasattr(graph, part)]
    for part in parts:
        _held_out_table(graph, getattr(graph, part)).write_parquet(
            folder / "held_out" / f"{part}.parquet"
        )
    card = {
        "format": "graphseq exchange",
        "nodes": {kind: "vocabulary" in graph[kind] for kind in graph.node_types},
        "relations": [list(relation) for relation in graph.edge_types],
        "held_out": parts,
        "provenance": getattr(graph, "provenance", None),
    }
    text = json.dumps(card, indent=1, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", "utf-8")


def _held_out_table(graph: HeteroData, rows: HeldOut) -> pl.DataFrame:
    """One row a user: raw ids of the user, the history and the targets."""
    users, items = raw_ids(graph, "user"), raw_ids(graph, "item")
    table = {"user": users.gather(rows.user.cpu().numpy())}
    for name, pointers in (("history", rows.history_ptr), ("target", rows.target_ptr)):
        owner = torch.repeat_interleave(pointers.diff().cpu())
        ids = items.gather(getattr(rows, name).cpu().numpy())
        flat = pl.DataFrame({"row": owner.numpy(), "id": ids})
        table[name] = flat.group_by("row", maintain_order=True).agg("id")["id"]
    return pl.DataFrame(table)


def read_tables(folder: Path) -> HeteroData:
    """The graph whose tables a folder holds."""
    card = json.loads((folder / CARD).read_text("utf-8"))
    _refuse_paths(card)
    graph, numbers = HeteroData(), {}
    for kind, named in card["nodes"].items():
        table = pl.read_parquet(folder / "nodes" / f"{kind}.parquet")
        graph[kind].num_nodes = len(table)
        numbers[kind] = Vocabulary(table["id"])
        if named:
            graph[kind].vocabulary = numbers[kind]
        _put(graph[kind], table.drop("id"))
    for source, name, target in card["relations"]:
        table = pl.read_parquet(folder / "edges" / f"{source}-{name}-{target}.parquet")
        store = graph[source, name, target]
        index = [
            numbers[kind].encode(table[end])
            for kind, end in zip((source, target), ENDS, strict=True)
        ]
        store.edge_index = torch.from_numpy(np.stack(index))
        _put(store, table.drop(ENDS))
    for part in card["held_out"]:
        table = pl.read_parquet(folder / "held_out" / f"{part}.parquet")
        setattr(graph, part, _held_out(table, numbers))
    if card["provenance"] is not None:
        graph.provenance = card["provenance"]
    return graph


def _held_out(table: pl.DataFrame, numbers: dict[str, Vocabulary]) -> HeldOut:
    def flat(name: str) -> tuple[Tensor, Tensor]:
        lengths = torch.tensor(table[name].list.len().cast(pl.Int64).to_numpy())
        ids = numbers["item"].encode(table[name].explode())
        pointers = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        return torch.tensor(ids), pointers

    user = torch.tensor(numbers["user"].encode(table["user"]))
    return HeldOut(user, *flat("history"), *flat("target"))


def _put(store: Any, table: pl.DataFrame) -> None:
    for column in table:
        store[column.name] = torch.from_numpy(column.to_numpy().copy())


def _refuse_paths(card: dict[str, Any]) -> None:
    """Names become names of files: none may lead elsewhere."""
    names = [*card["nodes"], *(n for r in card["relations"] for n in r)]
    for name in [*names, *card["held_out"]]:
        if name != Path(name).name:
            raise ValueError(f"{name!r} is no name of nodes or of a relation")


def is_exchange(path: Path) -> bool:
    """Whether a folder says that it holds tables of ours."""
    return (path / CARD).is_file()
