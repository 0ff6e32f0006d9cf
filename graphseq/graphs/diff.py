"""Difference of two graphs, by raw ids."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.graphs.hashing import HASHED, graph_hash, held_out_hash, tensors_of

if TYPE_CHECKING:
    from rich.table import Table
else:  # rich is imported only to print
    Table = Any

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """Difference of two graphs, A and B.

    Attributes:
        rows: One for each kind of node and each relation: what, in_both, only_a,
            only_b, and changed, the number of common edges with another weight.
        options: Options that differ, by name: (A's, B's).
        vectors: Kinds of nodes whose tensors, such as vectors, or whose raw ids are in
            one graph only, or differ for a common node.
        same_training: Whether the content hashes of the training data are equal.
        same_held_out: Whether the held-out rows are equal.
    """

    rows: list[dict[str, Any]]
    options: dict[str, tuple[Any, Any]]
    vectors: list[str]
    same_training: bool
    same_held_out: bool

    @property
    def same(self) -> bool:
        """Whether the graphs are equal."""
        return self.same_training and self.same_held_out

    @property
    def only_order(self) -> bool:
        """Whether counts and vectors agree: order, times or single weights differ.

        Weights are counted by the sum of each pair.
        """
        counts = [row[name] for row in self.rows for name in ("only_a", "only_b")]
        changed = [row["changed"] or 0 for row in self.rows]
        other = self.options or self.vectors or any(counts + changed)
        return not (self.same_training or other)

    def frame(self) -> pl.DataFrame:
        """The rows as a table."""
        return pl.DataFrame(self.rows, infer_schema_length=None)

    def __rich__(self) -> Table:
        from rich import table as rich_table

        shown = rich_table.Table(header_style="bold")
        for name in ("", "in both", "only in A", "only in B", "other weight"):
            shown.add_column(name, justify="right" if name else "left")
        for what, *amounts in self.frame().iter_rows():
            shown.add_row(what, *("–" if n is None else f"{n:,}" for n in amounts))
        return shown


def difference(a: HeteroData, b: HeteroData) -> Difference:
    """Compare the nodes and edges of two graphs by raw ids.

    Edges of one pair count once, with the sum of their weights (``edge_weight``, or
    ``weight``, such as ratings), or without weights their number.
    """
    kinds = sorted({*a.node_types, *b.node_types})
    numbers = {kind: _common_numbers(a, b, kind) for kind in kinds}
    rows = [_nodes(kind, *numbers[kind]) for kind in kinds]
    for relation in dict.fromkeys([*a.edge_types, *b.edge_types]):
        ends = numbers[relation[0]], numbers[relation[2]]
        rows.append(_edges(relation, a, b, ends))
    return Difference(
        rows,
        _options(a, b),
        [kind for kind in kinds if _other_tensors(a, b, kind, *numbers[kind])],
        graph_hash(a) == graph_hash(b),
        held_out_hash(a) == held_out_hash(b),
    )


def _common_numbers(a: HeteroData, b: HeteroData, kind: str) -> tuple[Numbers, Numbers]:
    """Numbers of A's and of B's nodes of a kind, equal for equal raw ids."""
    counts = [g[kind].num_nodes if kind in g.node_types else 0 for g in (a, b)]
    named = [kind in g.node_types and "vocabulary" in g[kind] for g in (a, b)]
    first = np.arange(counts[0])
    if not all(named):
        return first, np.arange(counts[1])
    second = a[kind].vocabulary.encode(b[kind].vocabulary.ids, missing=-1)
    new = second < 0
    second = np.where(new, counts[0] + np.cumsum(new) - 1, second)
    return first, second


def _nodes(kind: str, first: Numbers, second: Numbers) -> dict[str, Any]:
    both = len(np.intersect1d(first, second))
    only = {"only_a": len(first) - both, "only_b": len(second) - both}
    return {"what": f"{kind}s", "in_both": both, **only, "changed": None}


def _other_tensors(
    a: HeteroData, b: HeteroData, kind: str, first: Numbers, second: Numbers
) -> bool:
    """Whether nodes have other tensors, or raw ids in one of the graphs only."""
    if not all(kind in graph.node_types for graph in (a, b)):
        return False
    one, two = (dict(tensors_of(graph[kind])) for graph in (a, b))
    named = [("vocabulary" in graph[kind]) for graph in (a, b)]
    if one.keys() != two.keys() or named[0] != named[1]:
        return True
    _, in_a, in_b = np.intersect1d(
        first, second, assume_unique=True, return_indices=True
    )
    return any(
        one[name].shape[1:] != two[name].shape[1:]
        or not np.array_equal(one[name].numpy()[in_a], two[name].numpy()[in_b])
        for name in one
    )


def _edges(
    relation: EdgeType,
    a: HeteroData,
    b: HeteroData,
    ends: tuple[tuple[Numbers, Numbers], tuple[Numbers, Numbers]],
) -> dict[str, Any]:
    sources, targets = ends
    width = 1 + max((int(n.max(initial=-1)) for n in targets), default=-1)
    tables: list[tuple[Any, Any]] = []
    for graph, source, target in zip((a, b), sources, targets, strict=True):
        if relation not in graph.edge_types:
            tables.append((np.empty(0, np.int64), np.empty(0)))
            continue
        store = graph[relation]
        start, end = store.edge_index.cpu().numpy()
        key, pair = np.unique(source[start] * width + target[end], return_inverse=True)
        weight = store.get("edge_weight", store.get("weight"))
        values = None if weight is None else weight.cpu().numpy().astype(np.float64)
        tables.append((key, np.bincount(pair, values, minlength=len(key))))
    (keys_a, weights_a), (keys_b, weights_b) = tables
    both, in_a, in_b = np.intersect1d(
        keys_a, keys_b, assume_unique=True, return_indices=True
    )
    return {
        "what": " ".join(relation),
        "in_both": len(both),
        "only_a": len(keys_a) - len(both),
        "only_b": len(keys_b) - len(both),
        "changed": int(np.count_nonzero(weights_a[in_a] != weights_b[in_b])),
    }


def _options(a: HeteroData, b: HeteroData) -> dict[str, tuple[Any, Any]]:
    known = [getattr(graph, "provenance", None) or {} for graph in (a, b)]
    pairs = {name: (known[0].get(name), known[1].get(name)) for name in HASHED}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
