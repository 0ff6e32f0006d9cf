"""Plots of the results: ours over the published ones, and models compared."""

import csv
from collections.abc import Iterator

import evidence
import published_page
from evidence import Result
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphseq.drawing import DASHES, PALETTE, svg

BEAUTY = ("amazon-beauty", "leave_one_out")
SHORT = {"main table": "", "Table": "T."}
COLOURS = dict(zip(("kept", "excluded"), PALETTE, strict=False))


def plots() -> dict[str, str]:
    """File name -> SVG, deterministic."""
    drawn = {"reached": reached(), "compared": compared(), "curves": curves()}
    return {f"{name}.svg": drawn[name] for name in drawn}


def reached() -> str:
    """The range of ratios, ours to published, of every published row on Beauty."""
    rows = [
        (published, min(found.values()), max(found.values()))
        for published in evidence.published()
        if (published.data, published.split) == BEAUTY
        if (best := published_page.nearest(published)) is not None
        for found in [best[1]]
    ]
    rows.sort(key=lambda row: row[1], reverse=True)
    figure, axes = _figure(7.5, 0.9 + 0.24 * len(rows))
    for height, (published, low, high) in enumerate(rows):
        colour = COLOURS[str(published.protocol)]
        axes.plot([low, high], [height, height], color=colour, linewidth=5, alpha=0.55)
        axes.plot(low, height, "o", color=colour, markersize=6)
    axes.axvline(1, color="0.3", linewidth=1)
    axes.axvline(published_page.REACHED, color="0.3", linewidth=1, linestyle=":")
    names = [f"{row.model} · {_source(row.source)}" for row, *_ in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set_xscale("log")
    axes.set_xticks(ticks := [0.5, 0.7, 1, 1.5, 2, 3], [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set(xlabel="ours / published (log scale); dot: lowest ratio of the row")
    _legend(axes)
    return svg(figure)


def compared() -> str:
    """NDCG@10 on Beauty under both protocols, the best experiment of each model."""
    rows = sorted(_best_of_each(), key=lambda row: row[1].means("excluded")["NDCG@10"])
    figure, axes = _figure(7.5, 0.9 + 0.27 * len(rows))
    for height, (_, result) in enumerate(rows):
        values = {name: result.means(name)["NDCG@10"] for name in COLOURS}
        axes.plot(values.values(), [height] * 2, color="0.8", linewidth=2, zorder=1)
        for name, value in values.items():
            axes.plot(value, height, "o", color=COLOURS[name], markersize=6)
        seconds = f"{float(result.rows[0]['cpu_seconds']):,.0f} s"
        axes.annotate(
            seconds,
            (max(values.values()), height),
            (9, -3),
            textcoords="offset points",
            fontsize=8,
            color="0.4",
        )
    axes.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=8)
    axes.set(xlabel="test NDCG@10, labelled with CPU seconds", xlim=(0, None))
    _legend(axes)
    return svg(figure)


def curves() -> str:
    """Validation NDCG@10 on Beauty against CPU time, epoch by epoch.

    Of each run: its experiment, epoch, CPU seconds, these in epochs of SASRec on the
    same kind of processor, in the fastest precision there, and the metric.
    """
    runs: dict[str, list[tuple[float, float]]] = {}
    with (evidence.EXPERIMENTS / "curves.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            point = float(row["sasrec_epochs"]), float(row["NDCG@10"])
            runs.setdefault(row["experiment"], []).append(point)
    figure, axes = _figure(7.5, 4.2)
    for number, (name, points) in enumerate(runs.items()):
        colour, dash = PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE)]
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=dash, label=name)
    time = "CPU time, in epochs of SASRec on such a processor"
    axes.set(xlabel=time, ylabel="validation NDCG@10")
    axes.set(xscale="log", ylim=(0.01, None))
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    return svg(figure)


def _best_of_each() -> Iterator[tuple[str, Result]]:
    """The best experiment of every model, with and without graph features."""
    found: dict[str, list[Result]] = {}
    for run in evidence.experiments():
        result = evidence.result(run)
        if result and (run.data, run.split) == BEAUTY and run.trained:
            label = run.model + f" {run.variant.upper()}" * (run.variant != "full")
            label += _graph(run)
            found.setdefault(label, []).append(result)
    for label, results in found.items():
        yield label, max(results, key=lambda r: r.means("excluded")["NDCG@10"])


def _graph(run: evidence.Experiment) -> str:
    """The relations that the items of an experiment are propagated over."""
    if len(run.relations) > 1:
        return f" on {len(run.relations)} relations"
    return "".join(f" on {evidence.RELATIONS[relation]}" for relation in run.relations)


def _source(text: str) -> str:
    """A paper and its table, abbreviated."""
    paper, _, table = text.partition(" (")
    _, _, table = table.partition(") ")
    for long, short in SHORT.items():
        table = table.replace(long, short)
    return f"{paper} {table}".strip()


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _legend(axes: Axes) -> None:
    for protocol, colour in COLOURS.items():
        axes.plot([], [], "o", color=colour, label=f"history {protocol}")
    axes.legend(frameon=False, loc="lower right", fontsize=9)
