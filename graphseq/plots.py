"""Plots of trained models: learning curves, segments of users, a map of the items."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import torch
from torch_geometric.data import HeteroData

from graphseq.atomic import write_figure
from graphseq.constants import ITEM_CO_OCCURS
from graphseq.errors import ConfigError
from graphseq.models import Model
from graphseq.training import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that colour-blind readers can distinguish (Okabe and Ito)."""


def plot_learning(
    runs: Mapping[str, Run] | Run, path: str | Path, metric: str = "NDCG@10"
) -> None:
    """Plot the validation metric by epoch; an untrained model is a horizontal line.

    Args:
        runs: Runs by their names in the legend, or one run.
        path: File to write; its suffix determines the format.
        metric: A metric of the runs' validation.
    """
    if isinstance(runs, Run):
        [name] = runs.experiment["model"]
        runs = {name: runs}
    write_figure(path, learning_figure(runs, metric), dpi=130)


def learning_figure(runs: Mapping[str, Run], metric: str = "NDCG@10") -> "Figure":
    """The figure of :func:`plot_learning`; a dot marks the epoch that was kept."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(4.2)
    [axes] = figure.axes
    for number, (name, run) in enumerate(runs.items()):
        colour = PALETTE[number % len(PALETTE)]
        rows = [row for row in run.history if row.get(metric) is not None]
        if not rows:
            continue
        if run.epochs == 0:
            axes.axhline(rows[0][metric], label=name, color=colour, linestyle="--")
            continue
        epochs, values = [r["epoch"] for r in rows], [r[metric] for r in rows]
        axes.plot(epochs, values, label=name, color=colour)
        kept = [row for row in rows if row["epoch"] == run.record["best_epoch"]]
        for row in kept:
            axes.plot(row["epoch"], row[metric], "o", color=colour, markersize=5)
    axes.set(
        xlabel="epoch", ylabel=f"validation {metric}, history kept", ylim=(0, None)
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return figure


def segments_figure(
    segments: Mapping[str, pl.DataFrame], column: str, metric: str
) -> "Figure":
    """Bars of a metric for each segment of users and each model.

    Args:
        segments: By model name, the rows of one protocol of ``report.by(column, …)``.
        column: The column that divides the users.
        metric: The metric to draw.
    """
    figure = _figure(3.2)
    [axes] = figure.axes
    first = next(iter(segments.values()))
    width = 0.8 / len(segments)
    for number, (name, rows) in enumerate(segments.items()):
        places = [
            i + (number - (len(segments) - 1) / 2) * width for i in range(len(rows))
        ]
        colour = PALETTE[number % len(PALETTE)]
        axes.bar(places, rows[metric].to_list(), width * 0.92, label=name, color=colour)
    labels = [
        f"{name}\n{users:,} users"
        for name, users in first.select(column, "users").iter_rows()
    ]
    axes.set_xticks(range(len(first)), labels)
    axes.set(xlabel=column.replace("_", " "), ylabel=metric)
    figure.legend(frameon=False, loc="outside upper center", ncols=3)
    return figure


def _figure(height: float) -> "Figure":
    """A figure with one pair of axes, without the frame's upper and right lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, height), layout="constrained")
    figure.subplots().spines[["top", "right"]].set_visible(False)
    return figure


def plot_items(model: Model, graph: HeteroData, path: Path) -> None:
    """Plot the item vectors on their first two principal axes.

    Colours are communities of the item-item graph, which a sequence model has not seen:
    clusters of one colour show that sequences and graph agree.

    Raises:
        ConfigError: The vectors have only one dimension, as those of ``POP``.
    """
    from matplotlib.figure import Figure

    with torch.no_grad():
        vectors = torch.nn.functional.normalize(model.catalogue(graph).float())
    if vectors.shape[1] < 2:
        raise ConfigError(
            "plot_items needs two dimensions, and the item vectors of "
            f"{type(model).__name__} have one; plot a model that learns vectors"
        )
    vectors = vectors - vectors.mean(dim=0)
    _, _, axes_of = torch.linalg.svd(vectors, full_matrices=False)
    x, y = (vectors @ axes_of[:2].T).T.numpy()
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.scatter(x, y, c=_communities(graph), cmap="tab20", s=14, linewidths=0)
    axes.set(
        title=f"{type(model).__name__}'s item vectors; colours from the item graph",
        xticks=[],
        yticks=[],
    )
    write_figure(path, figure, dpi=130)


def _communities(graph: HeteroData) -> list[int]:
    """The Louvain community of every item in the item-item graph."""
    import networkx

    found: networkx.Graph[int] = networkx.Graph()
    found.add_nodes_from(range(graph["item"].num_nodes))
    edges = graph[ITEM_CO_OCCURS]
    pairs = zip(*edges.edge_index.tolist(), edges.edge_weight.tolist(), strict=True)
    found.add_weighted_edges_from(pairs)
    parts = networkx.community.louvain_communities(found, seed=0)
    part_of = {item: part for part, items in enumerate(parts) for item in items}
    return [part_of[item] for item in range(len(part_of))]
