"""What edges weigh, and how alike linked nodes are, in figures and pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM, USER
from graphseq.graphs.relations import interaction_matrix

Values = NDArray[np.floating[Any]]

QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "99 %": 0.99}


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


def weights(graph: HeteroData) -> Distributions:
    """What the edges of every relation with weights weigh."""
    groups = {
        " ".join(relation): np.sort(graph[relation].edge_weight.cpu().numpy())
        for relation in graph.edge_types
        if "edge_weight" in graph[relation] and graph[relation].edge_weight.numel()
    }
    return Distributions(groups, "weight", "What edges weigh", logarithmic=True)


def similarity(
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
        chosen = interaction_matrix(graph, "similarity")
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
