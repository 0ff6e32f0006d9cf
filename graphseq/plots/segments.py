"""Bars of a metric by segments of users."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from graphseq.drawing import PALETTE, legend_above, panels, plain, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def segments_figure(
    segments: Mapping[str, pl.DataFrame], column: str, metric: str
) -> "Figure":
    """Bars of a metric for each segment of users and each model.

    Args:
        segments: By model name, the rows of one protocol of ``report.by(column, …)``.
        column: The column that divides the users.
        metric: The metric to draw.
    """
    first = next(iter(segments.values()))
    width = 0.8 / len(segments)
    with style():
        figure, [axes] = panels(height=3.2)
        for number, (name, rows) in enumerate(segments.items()):
            offset = (number - (len(segments) - 1) / 2) * width
            positions = [i + offset for i in range(len(rows))]
            colour = PALETTE[number % len(PALETTE)]
            values = rows[metric].to_list()
            axes.bar(positions, values, width * 0.92, label=plain(name), color=colour)
        labels = [
            f"{plain(str(name))}\n{users:,} users"
            for name, users in first.select(column, "users").iter_rows()
        ]
        axes.set_xticks(range(len(first)), labels)
        axes.grid(axis="x", visible=False)
        axes.set(xlabel=column.replace("_", " "), ylabel=metric)
        legend_above(figure, columns=3)
    return figure
