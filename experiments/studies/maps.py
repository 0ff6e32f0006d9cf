"""Studies of vectors: maps of items and of views."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from experiments.studies.study import OfModels, Point, Runs, by_panel, colours
from graphseq.drawing import MARKERS, PALETTE, legend_above, panels, style
from graphseq.models import MCLRec
from graphseq.models.mclrec import LearnedViews
from graphseq.plots.item_values import count_events
from graphseq.plots.projection import project
from graphseq.sequences import SequenceLoader

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ItemMap(OfModels):
    """The item vectors of models by t-SNE, coloured by the items' training events.

    Attributes:
        bounds: Bounds of the groups of items.
    """

    bounds: Sequence[int] = (20, 40)

    def measure(self, runs: Runs) -> Iterator[Point]:
        low, high = self.bounds
        names = f"fewer than {low} events", f"{low} to {high - 1}", f"{high} or more"
        for name, variant in self.models.items():
            run = runs(variant)[0]
            graph = run.graph()
            vectors = run.model(graph).catalogue(graph).detach()
            events = count_events(graph)
            groups = np.searchsorted(self.bounds, events, side="right")
            places = tsne(vectors)
            for item in groups.argsort(kind="stable"):
                x, y = places[item]
                yield Point(name, names[groups[item]], f"{x:.2f}", round(float(y), 2))

    def draw(self, points: Sequence[Point]) -> "Figure":
        return maps(points)


@dataclass(frozen=True)
class ViewMap(OfModels):
    """Random and learned views of the same sequences by t-SNE.

    Attributes:
        users: Number of sequences.
    """

    users: int = 200

    def measure(self, runs: Runs) -> Iterator[Point]:
        names = "random view h¹", "random view h²", "learned view z¹", "learned view z²"
        for name, variant in self.models.items():
            run = runs(variant)[0]
            graph = run.graph()
            vectors = view_vectors(run.model(graph), graph, self.users)
            found = tsne(torch.cat(vectors)).reshape(len(names), -1, 2)
            for series, place in zip(names, found, strict=True):
                for x, y in place:
                    yield Point(name, series, f"{x:.2f}", round(float(y), 2))

    def draw(self, points: Sequence[Point]) -> "Figure":
        return maps(points)


def view_vectors(
    model: gs.models.Model, graph: HeteroData, users: int
) -> list[torch.Tensor]:
    """Two random views of each sequence and two learned ones, (users, D) each."""
    assert isinstance(model, MCLRec)
    [objective] = model.objectives
    assert isinstance(objective, LearnedViews)
    model.eval()
    torch.manual_seed(0)
    batch = SequenceLoader(graph, "user", users, model.backbone.max_length)[0]
    with torch.no_grad():
        views = objective.views(model.backbone, batch)
        h = model.backbone.last(model.backbone.items(graph), views).chunk(2)
        z = [augment(x) for augment, x in zip(objective.augmenters, h, strict=True)]
    return [*h, *z]


def tsne(vectors: torch.Tensor) -> np.ndarray:
    """Two coordinates of each vector, scaled to length 1 before."""
    scaled = torch.nn.functional.normalize(vectors.float()).numpy()
    return project(scaled, "tsne", seed=0).points


def maps(points: Sequence[Point]) -> "Figure":
    """Small dots, a panel for each model."""
    grouped = by_panel(points)
    with style():
        figure, grid = panels(len(grouped), columns=2, height=3.4)
        for axes, (panel, found) in zip(grid, grouped.items(), strict=True):
            draw_map(axes, panel, found)
        legend_above(figure, markerscale=2)
    return figure


def draw_map(axes: "Axes", title: str, points: Sequence[Point]) -> None:
    """One map."""
    for name, number in colours(points).items():
        own = [point for point in points if point.series == name]
        axes.plot(
            [float(point.place) for point in own],
            [point.value for point in own],
            MARKERS[number],
            color=PALETTE[number],
            markersize=2,
            markeredgewidth=0,
            label=name,
        )
    axes.set(title=title, xticks=[], yticks=[])
    axes.grid(visible=False)
