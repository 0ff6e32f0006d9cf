"""Plots of trained models: learning curves, and a map of the items."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch_geometric.data import HeteroData

from graphseq.atomic import write_figure
from graphseq.constants import ITEM_CO_OCCURS
from graphseq.errors import ConfigError
from graphseq.models import Model
from graphseq.training import Run


def plot_learning(
    runs: Mapping[str, Run] | Run, path: str | Path, metric: str = "NDCG@10"
) -> None:
    """Plot the validation metric by epoch; an untrained model is a horizontal line.

    Args:
        runs: Runs by their names in the legend, or one run.
        path: File to write; its suffix determines the format.
        metric: A metric of the runs' validation.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    if isinstance(runs, Run):
        [name] = runs.experiment["model"]
        runs = {name: runs}
    for name, run in runs.items():
        rows = [row for row in run.history if row.get(metric) is not None]
        if run.epochs == 0:
            axes.axhline(rows[0][metric], label=name, color="0.5", linestyle="--")
            continue
        epochs, values = [r["epoch"] for r in rows], [r[metric] for r in rows]
        axes.plot(epochs, values, marker="o", markersize=3, label=name)
    axes.set(
        xlabel="epoch", ylabel=f"validation {metric}, history kept", ylim=(0, None)
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    write_figure(path, figure, dpi=130)


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
