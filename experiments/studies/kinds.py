"""Studies of metrics: variants, sweeps of options, groups of users, noise and cost."""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from torch_geometric.data import HeteroData

import graphseq as gs
from experiments.studies.study import OfModels, Point, Runs, Study, by_panel, colours
from graphseq.constants import Protocol
from graphseq.drawing import (
    DASHES,
    MARKERS,
    OTHER,
    PALETTE,
    legend_above,
    panels,
    style,
)
from graphseq.evaluation import Report
from graphseq.evaluation.intervals import Floats, over_users

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESAMPLES = 10_000  # of the bootstrap
SPAN = 0.06  # least relative height of an axis, so that no small change looks large

Places = Mapping[float, str]
"""A variant, ``FILE:VARIANT`` of this folder, at each value on the horizontal axis."""


@dataclass(frozen=True)
class Variants(Study):
    """Named variants, each with the interval of its difference to the first one.

    Attributes:
        entries: Name -> variant; the first is the reference.
        metrics: A panel for each.
        history: The history protocol.
    """

    entries: Mapping[str, str]
    metrics: Sequence[str] = ("HR@20", "NDCG@20")
    history: Protocol = "kept"

    @property
    def variants(self) -> Iterable[str]:
        return self.entries.values()

    def measure(self, runs: Runs) -> Iterator[Point]:
        reference = next(iter(self.variants))
        for metric in self.metrics:
            panel = f"{metric}, history {self.history}"
            for name, variant in self.entries.items():
                found = runs.compared(variant, reference, self.history, metric)
                yield Point(panel, "", name, *found)

    def draw(self, points: Sequence[Point]) -> "Figure":
        from matplotlib.ticker import MaxNLocator

        grouped = by_panel(points)
        rows = max(len(found) for found in grouped.values())
        with style():
            figure, grid = panels(
                len(grouped), columns=2, height=0.8 + 0.26 * rows, sharey=True
            )
            for axes, (panel, found) in zip(grid, grouped.items(), strict=True):
                axes.axvline(found[0].value, color=OTHER, linewidth=1)
                for height, point in enumerate(found):
                    if not math.isnan(point.low):
                        axes.plot(
                            [point.low, point.high], [height] * 2, color=PALETTE[0]
                        )
                    axes.plot(point.value, height, "o", color=PALETTE[0], markersize=5)
                axes.set_yticks(range(len(found)), [point.place for point in found])
                axes.set(xlabel=panel)
                axes.xaxis.set_major_locator(MaxNLocator(4))
            grid[0].invert_yaxis()
        return figure


@dataclass(frozen=True)
class Sweep(Study):
    """A metric against the values of an option: means, and ranges of several seeds.

    Attributes:
        axes: Label of the horizontal axis -> name in the legend -> variants.
        metric: The metric.
        history: The history protocol.
        log: Whether the horizontal axes are logarithmic.
    """

    axes: Mapping[str, Mapping[str, Places]]
    metric: str = "NDCG@20"
    history: Protocol = "kept"
    log: bool = False

    @property
    def variants(self) -> Iterable[str]:
        return [
            variant
            for series in self.axes.values()
            for places in series.values()
            for variant in places.values()
        ]

    def measure(self, runs: Runs) -> Iterator[Point]:
        for panel, series in self.axes.items():
            for name, places in series.items():
                for place, variant in places.items():
                    found = runs.values(variant, self.history, self.metric)
                    bounds = (min(found), max(found)) if len(found) > 1 else ()
                    value = statistics.mean(found)
                    yield Point(panel, name, f"{place:g}", value, *bounds)

    def draw(self, points: Sequence[Point]) -> "Figure":
        return lines(points, f"{self.metric}, history {self.history}", log=self.log)


@dataclass(frozen=True)
class Segments(OfModels):
    """A metric of segments of users, by model; intervals as in :func:`paired`.

    Attributes:
        column: ``history_length`` or ``target_events``.
        bins: Bounds of the segments.
        metric: The metric.
        history: The history protocol.
    """

    column: str
    bins: Sequence[int]
    metric: str = "NDCG@20"
    history: Protocol = "kept"

    def measure(self, runs: Runs) -> Iterator[Point]:
        panel, users = self.column.replace("_", " "), {}
        for name, variant in self.models.items():
            reports = [run.report for run in runs(variant)]
            users[name] = self._values(reports)
            table = reports[0].by(self.column, self.bins)
            rows = table.filter(pl.col("protocol") == self.history).rows(named=True)
            for number, row in enumerate(rows):
                place = f"{row[self.column]}\n{row['users']:,} users"
                reference, own = (
                    values[segment == number]
                    for values, segment in (next(iter(users.values())), users[name])
                )
                assert len(own) == row["users"]
                yield Point(panel, name, place, *paired(own, reference))

    def _values(self, reports: Sequence[Report]) -> tuple[Floats, Floats]:
        """The metric of each user, a mean over the runs, and the user's segment."""
        frames = [
            report.per_user.filter(pl.col("protocol") == self.history)
            for report in reports
        ]
        values = np.mean([frame[self.metric].to_numpy() for frame in frames], axis=0)
        segment = np.digitize(frames[0][self.column].to_numpy(), self.bins)
        return values, np.unique(segment, return_inverse=True)[1]

    def draw(self, points: Sequence[Point]) -> "Figure":
        numbers = colours(points)
        places = [*dict.fromkeys(point.place for point in points)]
        width = 0.8 / len(numbers)
        with style():
            figure, [axes] = panels(height=3.2)
            for position, (name, number) in enumerate(numbers.items()):
                offset = (position - (len(numbers) - 1) / 2) * width
                own = [point for point in points if point.series == name]
                across = [i + offset for i in range(len(places))]
                axes.bar(
                    across,
                    [point.value for point in own],
                    width * 0.92,
                    label=name,
                    color=PALETTE[number],
                )
                lows, highs = [p.low for p in own], [p.high for p in own]
                axes.vlines(across, lows, highs, color="0.25", linewidth=1)
            axes.set_xticks(range(len(places)), places)
            axes.grid(axis="x", visible=False)
            ylabel = f"{self.metric}, history {self.history}"
            axes.set(xlabel=points[0].panel, ylabel=ylabel)
            legend_above(figure)
        return figure


@dataclass(frozen=True)
class Noise(OfModels):
    """A metric against the fraction of random items in the histories of test users.

    Intervals as in :func:`paired`, at each fraction.

    Attributes:
        metric: The metric.
        history: The history protocol.
        fractions: Random items for each event.
        seeds: Seeds of the noise; the metric is the mean.
    """

    metric: str = "NDCG@20"
    history: Protocol = "kept"
    fractions: Sequence[float] = (0.0, 0.05, 0.1, 0.15, 0.2)
    seeds: int = 3

    def measure(self, runs: Runs) -> Iterator[Point]:
        panel = "random items for each event of the history"
        reference: dict[float, Floats] = {}
        for name, variant in self.models.items():
            loaded = [(run.model(), run.graph()) for run in runs(variant)]
            for fraction in self.fractions:
                found = [
                    self._evaluate(model, graph, fraction, seed)
                    for model, graph in loaded
                    for seed in range(self.seeds if fraction else 1)
                ]
                own = np.mean(found, axis=0)
                place = f"{fraction:g}"
                against = reference.setdefault(fraction, own)
                yield Point(panel, name, place, *paired(own, against))

    def _evaluate(
        self, model: gs.models.Model, graph: HeteroData, fraction: float, seed: int
    ) -> Floats:
        """The metric of each user."""
        report = gs.evaluate(
            model, graph, ks=[20], history=self.history, noise=fraction, noise_seed=seed
        )
        rows = report.per_user.filter(pl.col("protocol") == self.history)
        return rows[self.metric].to_numpy()

    def draw(self, points: Sequence[Point]) -> "Figure":
        return lines(points, f"{self.metric}, history {self.history}")


@dataclass(frozen=True)
class Cost(OfModels):
    """NDCG@20 against the CPU seconds of an epoch, validation included.

    Intervals are those of the difference to the first model.
    """

    def measure(self, runs: Runs) -> Iterator[Point]:
        for name, variant in self.models.items():
            found = runs(variant)
            seconds = statistics.mean(run.cpu_seconds / run.epochs for run in found)
            first = next(iter(self.variants))
            measured = runs.compared(variant, first, "kept", "NDCG@20")
            yield Point("CPU seconds of an epoch", name, f"{seconds:.2f}", *measured)

    def draw(self, points: Sequence[Point]) -> "Figure":
        with style():
            figure, [axes] = panels(height=3.2)
            for point in points:
                number = colours(points)[point.series]
                place = float(point.place)
                axes.vlines(place, point.low, point.high, color=PALETTE[number])
                axes.plot(
                    place,
                    point.value,
                    MARKERS[number],
                    color=PALETTE[number],
                    label=point.series,
                )
            axes.set(xlabel=points[0].panel, ylabel="NDCG@20, history kept")
            axes.set_xlim(0, None)
            legend_above(figure, columns=6)
        return figure


def paired(own: Floats, reference: Floats) -> tuple[float, ...]:
    """The mean, and the mean of the reference plus the bounds of the difference.

    Args:
        own: The metric of each user.
        reference: That of the first model; without bounds if it is the same.
    """
    if np.array_equal(own, reference):
        return (float(own.mean()),)
    draw = np.random.default_rng(0)
    (low, high), _ = over_users(own - reference, RESAMPLES, 0.95, draw)
    base = float(reference.mean())
    return float(own.mean()), base + low, base + high


def lines(points: Sequence[Point], ylabel: str, *, log: bool = False) -> "Figure":
    """A line for each series, a panel for each label of the horizontal axis."""
    grouped = by_panel(points)
    with style():
        figure, grid = panels(
            len(grouped), columns=2, height=2.6, sharey=len(grouped) > 1
        )
        for axes, (panel, found) in zip(grid, grouped.items(), strict=True):
            for name, number in colours(found).items():
                own = [point for point in found if point.series == name]
                places = [float(point.place) for point in own]
                axes.plot(
                    places,
                    [point.value for point in own],
                    marker=MARKERS[number],
                    linestyle=DASHES[number],
                    color=PALETTE[number],
                    label=name,
                )
                lows, highs = [p.low for p in own], [p.high for p in own]
                axes.vlines(places, lows, highs, color=PALETTE[number], linewidth=1)
            axes.set(xlabel=panel)
            if log:
                axes.set_xscale("log")
                axes.minorticks_off()
            ticks = sorted({float(point.place) for point in found})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        for axes in grid[::2]:
            axes.set(ylabel=ylabel)
            low, high = axes.get_ylim()  # seeds alone differ by 2 %
            missing = max(0.0, SPAN * (low + high) / 2 - (high - low)) / 2
            axes.set_ylim(low - missing, high + missing)
        if len({point.series for point in points}) > 1:
            legend_above(figure, columns=6)
    return figure
