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

from graphseq.constants import INTERACTS, ITEM, USER, EdgeType
from graphseq.graphs.build import interaction_matrix

if TYPE_CHECKING:
    from rich.table import Table
else:  # rich is imported by whoever prints
    Table = Any


QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "99 %": 0.99}


class Summary:
    """Figures of every relation of a graph; one row for each side of a relation.

    A relation between two kinds of nodes has a side for each. One between nodes of one
    kind has a single row where every edge has its reverse, else one for the edges out
    of a node and one for those into it.

    Printing it shows a table; so does rich.
    """

    def __init__(
        self, rows: list[dict[str, Any]], degrees: dict[str, NDArray[np.int64]]
    ) -> None:
        self._rows = rows
        self._degrees = degrees

    def frame(self) -> pl.DataFrame:
        """All figures, one row for each side of a relation.

        Columns: relation, side, nodes, edges (distinct pairs), repeats (further edges
        of a pair), density (edges over the pairs there could be, a node with itself
        left out), mean, min, 25 %, median, 75 %, 99 %, max (of the degree), isolated
        (nodes without an edge), components (connected parts of two nodes or more),
        largest (nodes of the largest), reciprocity (share of the edges whose reverse is
        an edge too; null between two kinds of nodes).
        """
        return pl.DataFrame(self._rows, infer_schema_length=None)

    def plot(self, path: str | Path) -> Path:
        """Draw how many nodes have how many neighbours, on two logarithmic axes.

        Returns:
            The picture's path; its ending decides the format.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.add_subplot(
            xscale="log", yscale="log", xlabel="degree", ylabel="nodes"
        )
        for name, degrees in self._degrees.items():
            degree, nodes = np.unique(degrees[degrees > 0], return_counts=True)
            axes.plot(degree, nodes, ".", markersize=4, alpha=0.7, label=name)
        axes.set_title("How many nodes have how many neighbours")
        if self._degrees:
            axes.legend(frameon=False)
        figure.savefig(path, dpi=150)
        return Path(path)

    def __rich__(self) -> Table:
        from rich import table as rich_table

        frame = self.frame()
        table = rich_table.Table(header_style="bold")
        table.add_column("", no_wrap=True)
        for relation, side in frame.select("relation", "side").iter_rows():
            table.add_column(f"{relation}: {side}", justify="right")
        for name in frame.columns[2:]:
            table.add_row(name, *map(_spell, frame[name]))
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
        matrix, repeats = _pairs(graph, relation)
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
                | _components(matrix, square)
                | {"reciprocity": reverse}
            )
    return Summary(rows, degrees)


def _pairs(graph: HeteroData, relation: EdgeType) -> tuple[csr_matrix, int]:
    """Distinct edges as a binary matrix, and the number of the others."""
    row, column = graph[relation].edge_index.cpu().numpy()
    shape = graph[relation[0]].num_nodes, graph[relation[2]].num_nodes
    matrix = csr_matrix((np.ones(len(row), np.float32), (row, column)), shape)
    matrix.data[:] = 1
    return matrix, len(row) - matrix.nnz


def _possible(matrix: csr_matrix, square: bool) -> int:
    rows, columns = (int(size) for size in matrix.shape)
    return rows * (columns - 1) if square else rows * columns


def _spread(degree: NDArray[np.int64]) -> dict[str, float | int]:
    if not len(degree):
        return dict.fromkeys(["mean", *QUANTILES, "max", "isolated"], 0)
    quantiles = np.quantile(degree, list(QUANTILES.values()))
    return {
        "mean": float(degree.mean()),
        **dict(zip(QUANTILES, quantiles.tolist(), strict=True)),
        "max": int(degree.max()),
        "isolated": int((degree == 0).sum()),
    }


def _components(matrix: csr_matrix, square: bool) -> dict[str, int]:
    """Connected parts of at least two nodes, directions aside."""
    if not square:
        edges = matrix.tocoo()
        nodes = sum(matrix.shape)
        places = edges.row, edges.col + matrix.shape[0]
        matrix = coo_matrix((edges.data, places), (nodes, nodes)).tocsr()
    sizes = np.bincount(connected_components(matrix, directed=False)[1], minlength=1)
    return {
        "components": int((sizes > 1).sum()),
        "largest": int(sizes.max()) if (sizes > 1).any() else 0,
    }


def _reciprocity(matrix: csr_matrix) -> float | None:
    """Share of the edges between two nodes whose reverse is an edge; null if none."""
    others = matrix.nnz - int((matrix.diagonal() > 0).sum())
    both = matrix.multiply(matrix.T.tocsr()).nnz - (matrix.nnz - others)
    return both / others if others else None


def _spell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


Values = NDArray[np.floating[Any]]


class Distributions(NamedTuple):
    """Values of several groups, to be compared.

    Attributes:
        groups: The values of each group, sorted, (n,).
        quantity: What is measured.
        title: What the picture shows.
        logarithmic: Whether the picture has logarithmic axes.
    """

    groups: Mapping[str, Values]
    quantity: str
    title: str
    logarithmic: bool

    def frame(self) -> pl.DataFrame:
        """A row for each group: its name, size, mean, quantiles and largest value."""
        rows = []
        for name, values in self.groups.items():
            spread = np.quantile(values, list(QUANTILES.values())).tolist()
            figures = dict(zip(QUANTILES, spread, strict=True))
            mean, most = float(values.mean()), float(values[-1])
            rows.append({"group": name, "values": len(values), "mean": mean})
            rows[-1] |= figures | {"max": most}
        return pl.DataFrame(rows, infer_schema_length=None)

    def plot(self, path: str | Path) -> Path:
        """Draw which share of each group is at least as large as a value.

        Returns:
            The picture's path; its ending decides the format.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        scale = "log" if self.logarithmic else "linear"
        axes = figure.add_subplot(
            xscale=scale,
            yscale=scale,
            xlabel=self.quantity,
            ylabel="share that is at least so large",
        )
        for name, values in self.groups.items():
            value, first = np.unique(values, return_index=True)
            axes.step(value, 1 - first / len(values), where="post", label=name)
        axes.set_title(self.title)
        if self.groups:
            axes.legend(frameon=False)
        figure.savefig(path, dpi=150)
        return Path(path)


def weight_distributions(graph: HeteroData) -> Distributions:
    """What the edges of every relation with weights weigh."""
    groups = {
        " ".join(relation): np.sort(graph[relation].edge_weight.cpu().numpy())
        for relation in graph.edge_types
        if "edge_weight" in graph[relation] and graph[relation].edge_weight.numel()
    }
    return Distributions(groups, "weight", "What edges weigh", logarithmic=True)


def similarity_distributions(
    graph: HeteroData, *, pairs: int = 10_000, seed: int = 0
) -> Distributions:
    """How alike nodes that are linked have behaved, next to any two nodes.

    Two users are as alike as the sets of their items, two items as the sets of their
    users: by the cosine of the rows of the binary interaction matrix. Of nodes of
    which one has no event in training it is 0.

    Args:
        graph: A graph with user-item edges; without them nothing is compared.
        pairs: How many edges, and how many other pairs, are looked at.
        seed: Of the choice.
    """
    groups: dict[str, Values] = {}
    rng = np.random.default_rng(seed)
    among_any: dict[str, Values] = {}
    if INTERACTS in graph.edge_types:
        chosen = interaction_matrix(graph, "similarity_distributions")
        rows = {USER: chosen, ITEM: chosen.T.tocsr()}
        for relation in graph.edge_types:
            kind, _, other = relation
            edges = graph[relation].edge_index.cpu().numpy()
            if kind != other or kind not in rows or not edges.size:
                continue
            some = rng.integers(edges.shape[1], size=pairs)
            if edges.shape[1] <= pairs:
                some = np.arange(edges.shape[1])
            groups[f"{' '.join(relation)}: linked"] = _cosines(
                rows[kind], edges[:, some]
            )
            size = rows[kind].shape[0]
            any_two = rng.integers(size, size=(2, pairs))
            any_two[1] += any_two[0] == any_two[1]  # never a node with itself
            among_any[f"any two {kind}s"] = _cosines(rows[kind], any_two % size)
    title = "How alike linked nodes are"
    return Distributions(groups | among_any, "cosine", title, logarithmic=False)


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
