"""Plots of runs: learning curves, segments of users, a map of the items.

Graphs plot themselves: :meth:`graphseq.graphs.Summary.plot`,
:meth:`graphseq.graphs.Distributions.plot` and :func:`graphseq.graphs.draw`. All plots
have one style, and the suffix of a path decides their format: ``.svg`` and ``.pdf`` for
papers, ``.png`` for pages. Equal inputs give equal files.
"""

from graphseq.plots.items import plot_items
from graphseq.plots.learning import by_variant, learning_figure, plot_learning
from graphseq.plots.segments import segments_figure

__all__ = [
    "by_variant",
    "learning_figure",
    "plot_items",
    "plot_learning",
    "segments_figure",
]
