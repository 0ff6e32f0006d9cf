"""Bars by segments of users."""

import polars as pl

from graphseq.plots import segments_figure


def test_each_model_has_a_bar_in_each_segment() -> None:
    rows = pl.DataFrame(
        {"length": ["1-4", "5-"], "users": [1200, 30], "NDCG@10": [0.1, 0.4]}
    )
    figure = segments_figure({"a": rows, "b": rows}, "length", "NDCG@10")
    [axes] = figure.axes
    assert [patch.get_height() for patch in axes.patches] == [0.1, 0.4] * 2
    assert axes.get_xticklabels()[0].get_text() == "1-4\n1,200 users"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
