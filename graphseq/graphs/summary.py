"""Statistics of a graph's relations, as tables and as plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from torch_geometric.data import HeteroData

from graphseq.atomic import write_figure
from graphseq.constants import INTERACTS, ITEM, USER
from graphseq.graphs.build import binary_matrix, interaction_matrix

if TYPE_CHECKING:
    from rich.table import Table
else:  # rich is imported only to print
    Table = Any


QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "99 %": 0.99}


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
        """Plot the degree distribution on two logarithmic axes.

        Returns:
            The path; its suffix decides the format.
        """
        figure, axes = _axes("log", "degree", "nodes")
        for name, degrees in self._degrees.items():
            degree, nodes = np.unique(degrees[degrees > 0], return_counts=True)
            axes.plot(degree, nodes, ".", markersize=4, alpha=0.7, label=name)
        return _save(figure, axes, "Degree distribution", path)

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
                | _spread(degree)
                | {"isolated": int((degree == 0).sum())}
                | _components(matrix, square)
                | {"reciprocity": reverse}
            )
    return Summary(rows, degrees)


def _possible(matrix: csr_matrix, square: bool) -> int:
    rows, columns = (int(size) for size in matrix.shape)
    return rows * (columns - 1) if square else rows * columns


def _spread(values: NDArray[Any]) -> dict[str, float | int]:
    """Mean, quantiles and maximum; zeros if there are no values."""
    if not len(values):
        return dict.fromkeys(["mean", *QUANTILES, "max"], 0)
    quantiles = np.quantile(values, list(QUANTILES.values())).tolist()
    spread = dict(zip(QUANTILES, quantiles, strict=True))
    return {"mean": float(values.mean()), **spread, "max": values.max().item()}


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


def _axes(scale: str, x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    return figure, figure.add_subplot(xscale=scale, yscale=scale, xlabel=x, ylabel=y)


def _save(figure: Any, axes: Any, title: str, path: str | Path) -> Path:
    axes.set_title(title)
    if axes.lines:
        axes.legend(frameon=False)
    write_figure(path, figure, dpi=150)
    return Path(path)


def _format(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


Values = NDArray[np.floating[Any]]


class Distributions(NamedTuple):
    """Distributions of one quantity in several groups.

    Attributes:
        groups: The values of each group, sorted, (n,).
        quantity: Name of the quantity.
        title: Title of the plot.
        logarithmic: Whether the axes of the plot are logarithmic.
    """

    groups: Mapping[str, Values]
    quantity: str
    title: str
    logarithmic: bool

    def frame(self) -> pl.DataFrame:
        """One row per group: its name, size, mean, quantiles and maximum."""
        rows = [
            {"group": name, "values": len(values)} | _spread(values)
            for name, values in self.groups.items()
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def plot(self, path: str | Path) -> Path:
        """Plot the complementary cumulative distribution of each group.

        Returns:
            The path; its suffix decides the format.
        """
        scale = "log" if self.logarithmic else "linear"
        figure, axes = _axes(scale, self.quantity, "fraction at least as large")
        for name, values in self.groups.items():
            value, first = np.unique(values, return_index=True)
            axes.step(value, 1 - first / len(values), where="post", label=name)
        return _save(figure, axes, self.title, path)


def weight_distributions(graph: HeteroData) -> Distributions:
    """The edge weights of every weighted relation."""
    groups = {
        " ".join(relation): np.sort(graph[relation].edge_weight.cpu().numpy())
        for relation in graph.edge_types
        if "edge_weight" in graph[relation] and graph[relation].edge_weight.numel()
    }
    return Distributions(groups, "weight", "Edge weights", logarithmic=True)


def similarity_distributions(
    graph: HeteroData, *, pairs: int = 10_000, seed: int = 0
) -> Distributions:
    """Similarity of linked nodes, compared with random pairs of nodes.

    The similarity of two users is the cosine of their rows of the binary interaction
    matrix, of two items that of their columns. It is 0 for nodes without training
    events.

    Args:
        graph: A graph with user-item edges; without them there are no groups.
        pairs: Edges per relation, and random pairs per kind of node, to sample.
        seed: Seed of the samples.
    """
    groups: dict[str, Values] = {}
    rng = np.random.default_rng(seed)
    random_pairs: dict[str, Values] = {}
    if INTERACTS in graph.edge_types:
        chosen = interaction_matrix(graph, "similarity_distributions")
        rows = {USER: chosen, ITEM: chosen.T.tocsr()}
        for relation in graph.edge_types:
            kind, _, other = relation
            edges = graph[relation].edge_index.cpu().numpy()
            if kind != other or kind not in rows or not edges.size:
                continue
            sample = rng.integers(edges.shape[1], size=pairs)
            linked = edges[:, sample] if edges.shape[1] > pairs else edges
            groups[f"{' '.join(relation)}: linked"] = _cosines(rows[kind], linked)
            size = rows[kind].shape[0]
            any_two = rng.integers(size, size=(2, pairs))
            any_two[1] += any_two[0] == any_two[1]  # never a node with itself
            random_pairs[f"any two {kind}s"] = _cosines(rows[kind], any_two % size)
    title = "Similarity of linked nodes"
    return Distributions(groups | random_pairs, "cosine", title, logarithmic=False)


def _cosines(rows: csr_matrix, pairs: NDArray[np.integer[Any]]) -> Values:
    """Cosines of pairs of rows of a binary matrix, sorted; pairs are (2, n)."""
    sizes = np.diff(rows.indptr).astype(np.float64)
    left, right = pairs
    shared = np.asarray(rows[left].multiply(rows[right]).sum(axis=1)).ravel()
    norms = np.sqrt(sizes[left] * sizes[right])
    found: Values = np.sort(
        np.divide(shared, norms, out=np.zeros(len(norms)), where=norms > 0)
    )
    return found
