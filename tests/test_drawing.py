"""The style of plots: files, formats, panels and labels."""

from pathlib import Path

import pytest
from matplotlib import rcParams

from graphseq.drawing import (
    DASHES,
    MARKERS,
    PALETTE,
    draw_labels,
    legend_above,
    panels,
    shorten,
    style,
    svg,
    write_figure,
)
from graphseq.errors import ConfigError


def test_the_style_is_in_force_within_the_block_only() -> None:
    before = rcParams["svg.fonttype"]
    with style():
        figure, [axes] = panels()
        assert rcParams["svg.fonttype"] == "none"
    assert rcParams["svg.fonttype"] == before
    assert not axes.spines["top"].get_visible()
    assert not axes.spines["right"].get_visible()
    assert "<text" in svg(figure) and svg(figure) == svg(figure)


def test_the_suffix_is_the_format(tmp_path: Path) -> None:
    figure, _ = panels()
    beginnings = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for kind, beginning in beginnings.items():
        path = write_figure(tmp_path / f"new/plot.{kind}", figure)
        assert path.read_bytes().startswith(beginning)
    for name in ("plot", "plot.jpeg"):
        with pytest.raises(ConfigError, match=r"written as .png, .svg or .pdf"):
            write_figure(tmp_path / name, figure)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_panels_are_as_many_as_were_requested() -> None:
    figure, grid = panels(4, columns=3, sharex=True)
    assert len(grid) == len(figure.axes) == 4
    labelled = [axes.xaxis.get_tick_params()["labelbottom"] for axes in grid]
    assert labelled == [False, True, True, True]


def test_every_colour_has_a_marker_and_a_line_style() -> None:
    assert len(PALETTE) == len({*PALETTE}) == len({*MARKERS}) == len({*DASHES})


def test_a_legend_has_each_label_once() -> None:
    figure, grid = panels(2)
    for axes in grid:
        axes.plot([0, 1], label="same")
    legend_above(figure)
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["same"]


def test_labels_that_would_overlap_are_left_out() -> None:
    figure, [axes] = panels()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    points = [(0.2, 0.5), (0.2, 0.5), (0.7, 0.2), (0.99, 0.5)]
    drawn = draw_labels(figure, points, ["first", "second", "far", "outside the axes"])
    assert drawn == [0, 2]
    assert [text.get_text() for text in axes.texts] == ["first", "far"]


def test_a_long_text_is_cut() -> None:
    assert shorten("short", 5) == "short"
    assert shorten("a long one", 6) == "a lon…"
