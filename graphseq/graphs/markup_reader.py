"""Graphs read from GraphML and GEXF: ours, and others that say kind and relation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import torch
from torch_geometric.data import HeteroData

from graphseq.data import Vocabulary
from graphseq.data.ids import to_integers
from graphseq.errors import GraphError
from graphseq.graphs.markup import NAMES, Markup

Row = dict[str, str]
TENSORS = {shown: name for name, shown in NAMES.items()}


def read_markup(path: Path, form: Markup) -> HeteroData:
    """Read the nodes and edges of a file.

    Nodes need a ``kind`` (user, item, …), their label is the raw id; edges need a
    ``relation``, and may have a ``weight``. What a file of ours says beside that
    restores the types of ids and columns, and how the graph was made.

    Raises:
        GraphError: There is no such file, it is no such file, or it lacks those.
    """
    nodes: dict[str, list[Row]] = {}
    edges: dict[tuple[str, str, str], list[Row]] = {}
    places: dict[str, tuple[str, int]] = {}
    card: dict[str, Any] = {}
    try:
        for what, row in _rows(path):
            if what == "card":
                card = json.loads(row["text"])
            elif what == "node":
                same = nodes.setdefault(row["kind"], [])
                places[row["id"]] = row["kind"], len(same)
                same.append(row)
            else:
                ends = places[row["source"]], places[row["target"]]
                relation = ends[0][0], row["relation"], ends[1][0]
                row |= {"source": str(ends[0][1]), "target": str(ends[1][1])}
                edges.setdefault(relation, []).append(row)
        return _graph(card, nodes, edges)
    except KeyError as error:
        raise GraphError(
            f"{path} lacks {error.args[0]!r}. Nodes are to have an attribute 'kind', "
            f"edges 'relation', and nodes come before their edges"
        ) from error
    except (
        OSError,
        ValueError,
        ElementTree.ParseError,
        pl.exceptions.PolarsError,
    ) as e:
        raise GraphError(f"{path} cannot be read as {form}: {e}") from e


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Nodes and edges with their attributes by name, and the card if there is one."""
    names: dict[str, str] = {}
    with path.open("rb") as file:
        for _, element in ElementTree.iterparse(file):
            tag = element.tag.rpartition("}")[2]
            if tag in ("key", "attribute"):
                title = element.get("attr.name") or element.get("title") or ""
                names[element.get("id", "")] = title
            elif (
                tag == "description" or names.get(element.get("key", "")) == "graphseq"
            ):
                if (element.text or "").startswith("{"):
                    yield "card", {"text": element.text or ""}
            elif tag in ("node", "edge"):
                row = dict(element.attrib)
                for value in element.iter():
                    if key := value.get("key") or value.get("for"):
                        row[names.get(key, key)] = (
                            value.get("value") or value.text or ""
                        )
                yield tag, row
                element.clear()


def _graph(
    card: dict[str, Any],
    nodes: dict[str, list[Row]],
    edges: dict[tuple[str, str, str], list[Row]],
) -> HeteroData:
    graph = HeteroData()
    columns = card.get("nodes", {})
    for kind in dict.fromkeys([*columns, *nodes]):
        rows = nodes.get(kind, [])
        graph[kind].num_nodes = len(rows)
        ids = pl.Series([row.get("label", row["id"]) for row in rows], dtype=pl.String)
        if kind in card.get("named", nodes):
            graph[kind].vocabulary = Vocabulary(_typed(ids, card, kind))
        _put(graph[kind], rows, columns.get(kind, {}))
    known = {tuple(relation): types for relation, types in card.get("relations", [])}
    for relation in dict.fromkeys([*known, *edges]):
        rows = edges.get(relation, [])
        store = graph[relation]
        ends = [[int(row[end]) for row in rows] for end in ("source", "target")]
        store.edge_index = torch.tensor(ends, dtype=torch.int64).view(2, -1)
        has_weight = bool(rows) and all("weight" in row for row in rows)
        others = {"weight": "Float32"} if has_weight else {}
        _put(store, rows, known.get(relation, others))
    if card.get("provenance") is not None:
        graph.provenance = card["provenance"]
    return graph


def _typed(ids: pl.Series, card: dict[str, Any], kind: str) -> pl.Series:
    """The raw ids as integers, where they were, or where no card says and all are."""
    numbers = to_integers(ids)
    of_card = card.get("ids", {}).get(kind)
    are = numbers.null_count() == 0 and len(ids) > 0
    return numbers if of_card == "Int64" or (of_card is None and are) else ids


def _put(store: Any, rows: list[Row], types: dict[str, str]) -> None:
    for name, kind in types.items():
        text = pl.Series([row[name] for row in rows], dtype=pl.String)
        values = text.cast(getattr(pl, kind)).to_numpy().copy()
        store[TENSORS.get(name, name)] = torch.from_numpy(values)
