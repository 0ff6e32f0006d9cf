"""Statistics of a graph's relations, as a table and as a plot."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from torch_geometric.data import HeteroData

from graphseq.errors import quantity
from graphseq.graphs.build import binary_matrix
from graphseq.graphs.distributions import Distributions, spread

if TYPE_CHECKING:
    from rich.table import Table
else:  # rich is imported only to print
    Table = Any


class Summary:
    """Statistics of every relation of a graph, with one row per side of a relation.

    A relation between two kinds of nodes has a side for each. A relation within one
    kind has one side if it is symmetric, else one for outgoing and one for incoming
    edges. ``print`` and rich show it as a table.
    """

    def __init__(
        self, rows: list[dict[str, Any]], degrees: dict[str, NDArray[np.int64]]
    ) -> None:
        self._rows = rows
        self._degrees = degrees

    @property
    def degrees(self) -> Distributions:
        """The distribution of the degrees for every side of every relation."""
        facts = {}
        for name, row in zip(self._degrees, self._rows, strict=True):
            edges, alone = quantity(row["edges"], "edge"), row["isolated"]
            facts[name] = edges + f"; {quantity(alone, 'node')} without" * (alone > 0)
        groups = {name: np.sort(d) for name, d in self._degrees.items() if d.any()}
        return Distributions(groups, "degree", "Degrees", True, facts)

    def frame(self) -> pl.DataFrame:
        """All statistics, one row per side of a relation.

        Columns: relation, side, nodes, edges (distinct pairs), repeats (further edges
        of a pair), density (edges divided by possible pairs of different nodes), mean,
        min, 25 %, median, 75 %, 99 %, max (of the degree), isolated (nodes without an
        edge), components (connected components of at least two nodes), largest (nodes
        of the largest component), reciprocity (fraction of the edges whose reverse is
        an edge too; null between two kinds of nodes).
        """
        return pl.DataFrame(self._rows, infer_schema_length=None)

    def plot(self, path: str | Path) -> Path:
        """Plot the distributions of the degrees on logarithmic axes.

        Returns:
            The path; its suffix decides the format.

        Raises:
            GraphError: The graph has no edges.
        """
        return self.degrees.plot(path)

    def __rich__(self) -> Table:
        from rich import table as rich_table

        frame = self.frame()
        table = rich_table.Table(header_style="bold")
        table.add_column("", no_wrap=True)
        for relation, side in frame.select("relation", "side").iter_rows():
            table.add_column(f"{relation}: {side}", justify="right")
        for name in frame.columns[2:]:
            table.add_row(name, *map(_format, frame[name]))
        return table

    def __repr__(self) -> str:
        from rich.console import Console

        console = Console(width=200, color_system=None, force_jupyter=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get()


def summary(graph: HeteroData) -> Summary:
    """Count nodes, edges, degrees, components and reverse edges of every relation."""
    rows: list[dict[str, Any]] = []
    degrees: dict[str, NDArray[np.int64]] = {}
    for relation in graph.edge_types:
        source, name, target = relation
        matrix = binary_matrix(graph, relation)
        repeats = graph[relation].edge_index.shape[1] - matrix.nnz
        square = source == target
        reverse = _reciprocity(matrix) if square else None
        parts = {
            "edges": matrix.nnz,
            "repeats": repeats,
            "density": matrix.nnz / max(1, _possible(matrix, square)),
        }
        sides = {f"{source}": 1, f"{target}": 0}
        if square:
            sides = {source: 1} if reverse == 1 else {"out": 1, "in": 0}
        for side, axis in sides.items():
            degree = np.asarray((matrix > 0).sum(axis=axis)).ravel().astype(np.int64)
            degrees[f"{source} {name} {target}: {side}"] = degree
            rows.append(
                {"relation": f"{source} {name} {target}", "side": side}
                | {"nodes": len(degree), **parts}
                | spread(degree)
                | {"isolated": int((degree == 0).sum())}
                | _components(matrix, square)
                | {"reciprocity": reverse}
            )
    return Summary(rows, degrees)


def _possible(matrix: csr_matrix, square: bool) -> int:
    rows, columns = (int(size) for size in matrix.shape)
    return rows * (columns - 1) if square else rows * columns


def _components(matrix: csr_matrix, square: bool) -> dict[str, int]:
    """Weakly connected components of at least two nodes."""
    if not square:
        edges = matrix.tocoo()
        nodes = sum(matrix.shape)
        ends = edges.row, edges.col + matrix.shape[0]
        matrix = coo_matrix((edges.data, ends), (nodes, nodes)).tocsr()
    sizes = np.bincount(connected_components(matrix, directed=False)[1], minlength=1)
    return {
        "components": int((sizes > 1).sum()),
        "largest": int(sizes.max()) if (sizes > 1).any() else 0,
    }


def _reciprocity(matrix: csr_matrix) -> float | None:
    """Fraction of the edges between different nodes whose reverse is an edge too."""
    others = matrix.nnz - int((matrix.diagonal() > 0).sum())
    both = matrix.multiply(matrix.T.tocsr()).nnz - (matrix.nnz - others)
    return both / others if others else None


def _format(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
