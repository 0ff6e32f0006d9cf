"""Learning curves of one or several runs and seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphseq.constants import NOT_A_VARIANT
from graphseq.drawing import (
    DASHES,
    PALETTE,
    legend_above,
    panels,
    plain,
    style,
    write_figure,
)
from graphseq.errors import RunError, suggest
from graphseq.training import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Runs = Mapping[str, Run | Sequence[Run]]
"""Options of training in which runs of one variant may differ."""


def plot_learning(runs: Runs | Run, path: str | Path, metric: str = "NDCG@10") -> Path:
    """Plot the validation metric by epoch; an untrained model is a horizontal line.

    Several runs under one name are seeds of one variant: their mean is a line, as far
    as all of them were trained, in a band from the lowest to the highest. A dot marks
    the epoch that each run has kept.

    Args:
        runs: A run or a list of runs by the name in the legend, or one run.
        path: File to write: ``.png``, ``.svg`` or ``.pdf``.
        metric: A metric of the runs' validation.

    Returns:
        The path.

    Raises:
        RunError: No epoch of a run has the metric.
    """
    if isinstance(runs, Run):
        [name] = runs.experiment["model"]
        runs = {name: runs}
    return write_figure(path, learning_figure(runs, metric))


def learning_figure(runs: Runs, metric: str = "NDCG@10") -> "Figure":
    """The figure of :func:`plot_learning`."""
    from matplotlib.ticker import MaxNLocator

    with style():
        figure, [axes] = panels(height=3.6)
        for number, (name, found) in enumerate(runs.items()):
            line = {
                "color": PALETTE[number % len(PALETTE)],
                "linestyle": DASHES[number % len(DASHES)],
            }
            _draw(
                axes, name, [found] if isinstance(found, Run) else found, metric, line
            )
        axes.set(xlabel="epoch", ylabel=f"validation {metric}", ylim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_above(figure, columns=3, handlelength=3)
    return figure


def _draw(
    axes: "Axes", name: str, runs: Sequence[Run], metric: str, line: dict[str, Any]
) -> None:
    """The curve of one run, or the mean and the band of several."""
    label = plain(name)
    curves = [_curve(name, run, metric) for run in runs]
    if all(run.epochs == 0 for run in runs):
        level = np.mean([value for curve in curves for value in curve.values()])
        axes.axhline(float(level), label=label, **line)
        return
    common = sorted(set.intersection(*(set(curve) for curve in curves)))
    values = np.array([[curve[epoch] for epoch in common] for curve in curves])
    if len(runs) > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        colour = line["color"]
        axes.fill_between(common, low, high, color=colour, alpha=0.18, linewidth=0)
        for curve in curves:  # also the epochs that not all seeds have reached
            axes.plot([*curve], [*curve.values()], color=colour, lw=0.5, alpha=0.6)
        label += f": mean and range of {len(runs)} seeds"
    axes.plot(common, values.mean(axis=0), label=label, **line)
    for run, curve in zip(runs, curves, strict=True):
        if (kept := run.record["best_epoch"]) in curve:
            axes.plot(kept, curve[kept], "o", color=line["color"], markersize=4.5)


def _curve(name: str, run: Run, metric: str) -> dict[int, float]:
    """The metric of each evaluated epoch.

    Raises:
        RunError: There is none.
    """
    found = {
        row["epoch"]: row[metric] for row in run.history if row.get(metric) is not None
    }
    if not found:
        known = [k for row in run.history for k in row if k == "MRR" or "@" in k]
        raise RunError(
            f"no epoch of {name} has a validation {metric}; "
            f"{suggest(metric, dict.fromkeys(known))}"
        )
    return found


def by_variant(runs: Mapping[str, Run]) -> dict[str, Run | list[Run]]:
    """Runs that differ only in their seeds, under one name.

    Args:
        runs: Runs by name, such as that of their folder.

    Returns:
        Single runs under their names; those of one variant under their common name
        without the seed at its end, or else under the first and the last name.
    """
    groups: dict[str, dict[str, Run]] = {}
    for name, run in runs.items():
        options = dict(run.experiment)
        train = options.get("train", {})
        options["train"] = {k: v for k, v in train.items() if k not in NOT_A_VARIANT}
        key = repr((options, run.record["graph"]["hash"]))
        groups.setdefault(key, {})[name] = run
    found: dict[str, Run | list[Run]] = {}
    stems = {name: _without_seed(name, run) for name, run in runs.items()}
    for group in groups.values():
        names, common = [*group], {stems[name] for name in group}
        others = {stems[name] for name in runs.keys() - group.keys()}
        name = f"{names[0]} … {names[-1]}"
        if len(common) == 1 and not common & (others | runs.keys() - group.keys()):
            name = common.pop()
        found |= group if len(group) == 1 else {name: [*group.values()]}
    return found


def _without_seed(name: str, run: Run) -> str:
    return name.removesuffix(str(run.record["seed"])).rstrip("-_. ") or name
