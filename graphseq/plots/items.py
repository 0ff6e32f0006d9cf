"""A map of the items: their vectors in two dimensions."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from graphseq.drawing import (
    MARKERS,
    OTHER,
    PALETTE,
    draw_labels,
    panels,
    plain,
    shorten,
    style,
    write_figure,
)
from graphseq.errors import ConfigError, GraphError
from graphseq.models import Model
from graphseq.plots.item_values import (
    Colour,
    ItemValues,
    count_events,
    item_values,
    raw_ids,
)
from graphseq.plots.projection import Method, Projection, project
from graphseq.schema import Count, Positive, Size, checked
from graphseq.training import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUPS = 6  # categories with a colour; the others are grey
LABELLED = 40  # items at most that get a label, if it overlaps no other
RASTERISED = 2000  # more points than that are an image within a vector file


@checked
def plot_items(
    source: Model | Run,
    path: str | Path,
    *,
    graph: HeteroData | None = None,
    colour: Colour | Mapping[Any, Any] = "events",
    labels: Mapping[Any, str] | None = None,
    method: Method = "pca",
    seed: Count = 0,
    perplexity: Positive = 30.0,
    neighbours: Size = 15,
    max_items: Size = 5000,
) -> Path:
    """Plot the item vectors of a model in two dimensions.

    The vectors are first scaled to length 1. The plot names the method with its
    options, and how many of the items it shows. Distances between distant groups mean
    little with ``tsne`` and ``umap``.

    Args:
        source: A model, or a run with a folder.
        path: File to write: ``.png``, ``.svg`` or ``.pdf``.
        graph: The graph that the model was trained on; ``None``: that of the run.
        colour: ``events``, the number of training events; ``communities`` of the
            item-item graph (Louvain), which a sequence model has not seen; the most
            frequent ``attribute`` of each item in the graph; or a text or a number for
            each item by its raw id. Of categories, the six most frequent have a colour
            and a marker each.
        labels: Texts by raw id, such as titles: the items with the most events are
            labelled, as far as the texts do not overlap.
        method: ``pca``, the first two principal axes; ``tsne``, of scikit-learn, or
            ``umap``, of umap-learn: ``pip install graphseq[plots]``.
        seed: Seed of ``tsne`` and ``umap``.
        perplexity: Of ``tsne``.
        neighbours: Of ``umap``.
        max_items: Items to show; of more, those with the most training events.

    Returns:
        The path.

    Raises:
        ConfigError: The vectors have only one dimension, as those of ``POP``; the
            method is not installed, or does not fit so few items.
        GraphError: The graph is missing, or lacks what the colours show.
    """
    model, graph = _model_and_graph(source, graph)
    values, events = item_values(graph, colour), count_events(graph)
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(model.catalogue(graph).float())
    if vectors.shape[1] < 2:
        raise ConfigError(
            "plot_items needs two dimensions, and the item vectors of "
            f"{type(model).__name__} have one; plot a model that learns vectors"
        )
    shown = np.argsort(-events, kind="stable")[:max_items]  # by importance
    found = project(
        vectors.numpy()[shown],
        method,
        seed=seed,
        perplexity=perplexity,
        neighbours=neighbours,
    )
    title = f"Items of {type(model).__name__}: {found.description}"
    if len(shown) < len(events):
        title += (
            f"\n{len(shown):,} of {len(events):,} items shown, those with the most "
            "training events"
        )
    ids, known = raw_ids(graph), labels or {}
    texts = {n: known[ids[i]] for n, i in enumerate(shown) if ids[i] in known}
    with style():
        figure = _figure(found, values, shown, title)
        chosen = [*texts][:LABELLED]
        points = [(float(x), float(y)) for x, y in found.points[chosen]]
        draw_labels(figure, points, [shorten(texts[n], 28) for n in chosen])
    return write_figure(path, figure)


def _model_and_graph(
    source: Model | Run, graph: HeteroData | None
) -> tuple[Model, HeteroData]:
    if isinstance(source, Run):
        graph = source.graph() if graph is None else graph
        return source.model(graph), graph
    if graph is None:
        raise GraphError(
            f"plot_items reads the items of {type(source).__name__} from a graph, and "
            "none was given: pass graph=…, or a run with a folder in place of the model"
        )
    return source, graph


def _figure(
    found: Projection, values: ItemValues, shown: NDArray[np.int64], title: str
) -> "Figure":
    figure, [axes] = panels(width=6.2, height=4.8)
    points = found.points
    look: dict[str, Any] = {"linewidths": 0, "rasterized": len(points) > RASTERISED}
    look["s"] = float(np.clip(6000 / len(points), 5, 24))
    if values.numbers is not None:
        drawn = _draw_numbers(axes, points, values.numbers[shown], look)
        bar = figure.colorbar(drawn, ax=axes, label=values.name, shrink=0.7)
        bar.outline.set_visible(False)
    else:
        assert values.categories is not None
        categories = [values.categories[item] for item in shown]
        handles, labels = _draw_categories(axes, points, categories, look)
        figure.legend(
            handles,
            labels,
            loc="outside right center",
            title=f"{values.name} (items)",
            alignment="left",
            markerscale=(30 / look["s"]) ** 0.5,
        )
    axes.set_title(title, loc="left")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel=found.axes[0], ylabel=found.axes[1])
    if not any(found.axes):  # only distances of near points have a meaning
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure


def _draw_numbers(
    axes: "Axes",
    points: NDArray[Any],
    numbers: NDArray[np.float64],
    look: dict[str, Any],
) -> Any:
    """Points by a colour scale, logarithmic if the numbers span a factor of 100."""
    from matplotlib.colors import LogNorm

    known = ~np.isnan(numbers)
    positive = numbers[known & (numbers > 0)]
    low, high = numbers[known].min(initial=np.inf), numbers[known].max(initial=0)
    least = positive.min(initial=np.inf)
    wide = low >= 0 and high > 100 * max(low, least)
    if not known.all():
        axes.scatter(*points[~known].T, color=OTHER, alpha=0.4, **look)
    order = np.argsort(numbers[known], kind="stable")  # the largest on top
    x, y = points[known][order].T
    values = numbers[known][order]
    return axes.scatter(
        x,
        y,
        c=np.maximum(values, least) if wide else values,
        norm=LogNorm() if wide else None,
        cmap="viridis_r",
        **look,
    )


def _draw_categories(
    axes: "Axes",
    points: NDArray[Any],
    categories: list[str | None],
    look: dict[str, Any],
) -> tuple[list[Any], list[Any]]:
    """Points by colour and marker, those of rare categories in grey; the legend."""
    known = np.array([c or "" for c in categories])
    found, counts = np.unique(known[known != ""], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [str(found[n]) for n in order[:GROUPS] if counts[n] > 1]
    rest = ~np.isin(known, kept)
    if rest.any():
        others = len(found) - len(kept)
        label = f"{others} others" if others else "none"
        label += f" ({rest.sum():,})"
        axes.scatter(*points[rest].T, color=OTHER, alpha=0.35, label=label, **look)
    for number, category in enumerate(kept):
        chosen = known == category
        axes.scatter(
            *points[chosen].T,
            color=PALETTE[number],
            marker=MARKERS[number],
            label=f"{plain(shorten(category, 24))} ({chosen.sum():,})",
            **look,
        )
    handles, labels = axes.get_legend_handles_labels()
    if rest.any():  # the others last
        handles, labels = handles[1:] + handles[:1], labels[1:] + labels[:1]
    return handles, labels
