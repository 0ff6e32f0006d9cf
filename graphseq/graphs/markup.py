"""Graphs written as GraphML and GEXF, row by row as text, so that they may be large."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from torch_geometric.data import HeteroData

from graphseq.atomic import made_parents, refusals
from graphseq.errors import GraphError
from graphseq.graphs.tables import columns_of, raw_ids
from graphseq.graphs.xml_text import escaped, escaped_column, refuse_signs

Markup = Literal["graphml", "gexf"]
CHUNK = 100_000  # elements that are spelt at a time
NAMES = {"edge_weight": "weight"}  # as other tools call it

TYPES = {
    "Float32": "double",
    "Float64": "double",
    "String": "string",
    "Boolean": "boolean",
}


def write_markup(graph: HeteroData, path: Path, form: Markup) -> Path:
    """Write the nodes and edges of a graph into one file; all of it, or nothing.

    A node is ``KIND:NUMBER``, its label the raw id, its kind an attribute. An edge has
    its relation, its weight and its other columns.

    Raises:
        GraphError: A raw id holds a sign that XML does not know, a tensor has more
            than one dimension, or the file cannot be written.
    """
    if path.is_dir():
        raise GraphError(f"{path} is a folder; {form} is one file. Name a file in it")
    nodes = {kind: _nodes(graph, kind) for kind in graph.node_types}
    edges = {relation: _columns(graph[relation]) for relation in graph.edge_types}
    for table in nodes.values():
        refuse_signs(table["label"])
    with refusals(f"asked to write {path}"), made_parents(path):
        handle, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                for text in _document(graph, nodes, edges, form):
                    file.write(text)
            Path(made).chmod(0o644)
            os.replace(made, path)
        finally:
            Path(made).unlink(missing_ok=True)
    return path


def _document(
    graph: HeteroData,
    nodes: dict[str, pl.DataFrame],
    edges: dict[tuple[str, str, str], pl.DataFrame],
    form: Markup,
) -> Iterator[str]:
    card = {
        "nodes": {k: _types(table, "label") for k, table in nodes.items()},
        "named": [k for k in nodes if "vocabulary" in graph[k]],
        "ids": {k: str(raw_ids(graph, k).dtype) for k in nodes},
        "relations": [[list(r), _types(table)] for r, table in edges.items()],
        "provenance": getattr(graph, "provenance", None),
    }
    text = escaped(json.dumps(card, ensure_ascii=False))
    known = {
        "node": {"kind": "String"} | _all_types(nodes.values(), "label"),
        "edge": {"relation": "String"} | _all_types(edges.values()),
    }
    yield from _head(text, known, form)
    for kind, table in nodes.items():
        frame = table.with_row_index("number").select(
            id=pl.format(f"{kind}:{{}}", "number"),
            kind=pl.lit(kind),
            **{name: pl.col(name) for name in table.columns},
        )
        yield from _elements(frame, "node", form)
    if form == "gexf":
        yield "</nodes>\n<edges>\n"
    first = 0
    for (source, name, target), table in edges.items():
        start, end = graph[source, name, target].edge_index.cpu().numpy()
        numbers = np.arange(first, first + len(start))
        own = pl.DataFrame({"id": numbers, "source": start, "target": end})
        frame = own.with_columns(
            pl.col("id").cast(pl.String),
            pl.format(f"{source}:{{}}", "source"),
            pl.format(f"{target}:{{}}", "target"),
            relation=pl.lit(name),
        ).with_columns(table.get_columns())
        first += len(start)
        yield from _elements(frame, "edge", form)
    yield (
        "</edges>\n</graph>\n</gexf>\n" if form == "gexf" else "</graph>\n</graphml>\n"
    )


def _head(card: str, known: dict[str, dict[str, str]], form: Markup) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    if form == "graphml":
        yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
        kind = 'attr.name="graphseq" attr.type="string"'
        yield f'<key id="graphseq" for="graph" {kind}/>\n'
        known["node"] |= {"label": "String"}
        for owner, columns in known.items():
            for name, dtype in columns.items():
                spelt = f'attr.name="{name}" attr.type="{TYPES.get(dtype, "long")}"'
                yield f'<key id="{owner}-{name}" for="{owner}" {spelt}/>\n'
        yield f'<graph edgedefault="directed">\n<data key="graphseq">{card}</data>\n'
        return
    yield '<gexf xmlns="http://www.gexf.net/1.2draft" version="1.2">\n'
    yield f"<meta><description>{card}</description></meta>\n"
    yield '<graph defaultedgetype="directed" mode="static">\n'
    for owner, columns in known.items():
        yield f'<attributes class="{owner}">\n'
        for name, kind in columns.items():
            if (owner, name) != ("edge", "weight"):  # GEXF has a place for it
                spelt = f'title="{name}" type="{TYPES.get(kind, "long")}"'
                yield f'<attribute id="{name}" {spelt}/>\n'
        yield "</attributes>\n"
    yield "<nodes>\n"


def _elements(frame: pl.DataFrame, tag: str, form: Markup) -> Iterator[str]:
    """Rows as elements, in their order."""
    own = ["id", "label"] if tag == "node" else ["id", "source", "target", "weight"]
    if form == "graphml":
        own = own[:1] if tag == "node" else own[1:3]
        frame = frame.drop("id") if tag == "edge" else frame
    own = [name for name in own if name in frame.columns]
    others = [name for name in frame.columns if name not in own]
    for start in range(0, len(frame), CHUNK):
        part = frame.slice(start, CHUNK).select(
            escaped_column(n) for n in frame.columns
        )
        attributes = [pl.format(f' {name}="{{}}"', name) for name in own]
        if form == "graphml":
            inner = [pl.format(f'<data key="{tag}-{n}">{{}}</data>', n) for n in others]
            around = pl.lit(""), pl.lit("")
        else:
            inner = [
                pl.format(f'<attvalue for="{n}" value="{{}}"/>', n) for n in others
            ]
            around = pl.lit("<attvalues>"), pl.lit("</attvalues>")
        line = pl.concat_str(
            pl.lit(f"<{tag}"),
            *attributes,
            pl.lit(">"),
            around[0],
            *inner,
            around[1],
            pl.lit(f"</{tag}>\n"),
        )
        yield "".join(part.select(line).to_series().to_list())


def _nodes(graph: HeteroData, kind: str) -> pl.DataFrame:
    label = raw_ids(graph, kind).cast(pl.String).alias("label")
    return pl.DataFrame([label, *_columns(graph[kind]).get_columns()])


def _columns(store: Any) -> pl.DataFrame:
    """The tensors of a store, but for the edges themselves, as columns."""
    columns = columns_of(store, "edge_index")
    deep = [name for name, column in columns.items() if column.dtype.is_nested()]
    if deep:
        raise GraphError(
            f"GraphML and GEXF hold single values; {deep} have more than one a row. "
            f"Export as parquet, or take them out first"
        )
    return pl.DataFrame([c.alias(NAMES.get(n, n)) for n, c in columns.items()])


def _types(table: pl.DataFrame, besides: str = "") -> dict[str, str]:
    return {n: str(kind) for n, kind in table.schema.items() if n != besides}


def _all_types(tables: Any, besides: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for table in tables:
        found |= _types(table, besides)
    return found
