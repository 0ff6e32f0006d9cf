"""Distributions of edge weights and similarities, as tables and as plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM, USER
from graphseq.drawing import PALETTE, panels, style, write_figure
from graphseq.errors import GraphError, quantity
from graphseq.graphs.build import interaction_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.number[Any]]
QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "99 %": 0.99}


class Distributions(NamedTuple):
    """Distributions of one quantity in several groups.

    Attributes:
        groups: The values of each group, sorted, (n,).
        quantity: Name of the quantity.
        title: Title of the plot.
        logarithmic: Whether the axes of the plot are logarithmic.
        facts: A line under the title of a group's panel.
        references: The group that is drawn in the panel of another, for comparison.
    """

    groups: Mapping[str, Values]
    quantity: str
    title: str
    logarithmic: bool
    facts: Mapping[str, str] = {}
    references: Mapping[str, str] = {}

    def frame(self) -> pl.DataFrame:
        """One row per group: its name, size, mean, quantiles and maximum."""
        rows = [
            {"group": name, "values": len(values)} | spread(values)
            for name, values in self.groups.items()
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def plot(self, path: str | Path) -> Path:
        """Plot the complementary cumulative distributions, one panel a group.

        A point of a curve is a value and the fraction of the values that are at least
        as large. A line marks the median. Logarithmic axes have no zero: the curve
        then begins below 1, at the fraction of the values above zero.

        Args:
            path: The file to write: ``.png``, ``.svg`` or ``.pdf``.

        Returns:
            The path.

        Raises:
            GraphError: There is nothing to plot.
        """
        return write_figure(path, self.figure())

    def figure(self) -> "Figure":
        """The figure of :meth:`plot`."""
        shown = [
            name for name in self.groups if name not in {*self.references.values()}
        ]
        if not shown:
            raise GraphError(
                f"cannot plot {self.title.lower()}: no relation of this graph has any. "
                "Build the graph with such relations"
            )
        with style():
            figure, grid = panels(len(shown), sharex=True, sharey=True)
            for name, axes in zip(shown, grid, strict=True):
                self._draw(axes, name)
            figure.supxlabel(self.quantity, fontsize="medium")
            figure.supylabel("fraction at least as large", fontsize="medium")
            figure.suptitle(self.title, fontsize="large")
        return figure

    def _draw(self, axes: "Axes", name: str) -> None:
        if self.logarithmic:
            axes.set(xscale="log", yscale="log")
        if name in self.references:
            other = self.references[name]
            _curve(axes, self.groups[other], color="0.45", linestyle="--", label=other)
        _curve(axes, self.groups[name], color=PALETTE[0], label="linked")
        median = float(np.median(self.groups[name]))
        if median > 0 or not self.logarithmic:
            axes.axvline(median, color=PALETTE[0], linewidth=1, linestyle=":")
            axes.annotate(
                f"median {median:.3g}",
                (median, 1),
                (4, -2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                va="top",
                fontsize=7,
                color="0.25",
            )
        lines = [name.removesuffix(": linked"), self.facts.get(name, "")]
        axes.set_title("\n".join(filter(None, lines)), fontsize=8)
        if name in self.references:
            axes.legend(loc="upper right", bbox_to_anchor=(1, 0.88))


def _curve(axes: "Axes", values: Values, **options: Any) -> None:
    value, first = np.unique(values, return_index=True)
    above = 1 - first / len(values)
    kept = value > 0 if axes.get_xscale() == "log" else np.ones(len(value), bool)
    marker = "o" if kept.sum() == 1 else None  # a step of one value has no length
    axes.step(value[kept], above[kept], where="pre", marker=marker, **options)


def spread(values: NDArray[Any]) -> dict[str, float | int]:
    """Mean, quantiles and maximum; zeros if there are no values."""
    if not len(values):
        return dict.fromkeys(["mean", *QUANTILES, "max"], 0)
    quantiles = np.quantile(values, list(QUANTILES.values())).tolist()
    found = dict(zip(QUANTILES, quantiles, strict=True))
    return {"mean": float(values.mean()), **found, "max": values.max().item()}


def weight_distributions(graph: HeteroData) -> Distributions:
    """The edge weights of every weighted relation."""
    groups = {
        " ".join(relation): np.sort(graph[relation].edge_weight.cpu().numpy())
        for relation in graph.edge_types
        if "edge_weight" in graph[relation] and graph[relation].edge_weight.numel()
    }
    facts = {name: quantity(len(values), "edge") for name, values in groups.items()}
    return Distributions(groups, "weight", "Edge weights", True, facts)


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
    references = {}
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
            name = f"{' '.join(relation)}: linked"
            groups[name] = _cosines(rows[kind], linked)
            references[name] = f"any two {kind}s"
            size = rows[kind].shape[0]
            any_two = rng.integers(size, size=(2, pairs))
            any_two[1] += any_two[0] == any_two[1]  # never a node with itself
            random_pairs[f"any two {kind}s"] = _cosines(rows[kind], any_two % size)
    facts = {
        name: f"{quantity(len(values), 'linked pair')}"
        for name, values in groups.items()
    }
    return Distributions(
        groups | random_pairs,
        "cosine of the sets of interactions",
        "Similarity of linked nodes",
        False,
        facts,
        references,
    )


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
