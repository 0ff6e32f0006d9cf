"""Learning curves: of one run, of several, and of the seeds of one variant."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from graphseq.errors import RunError
from graphseq.plots import by_variant, learning_figure, plot_learning
from graphseq.training import Run


def run(values: list[float], seed: int = 0, model: str = "SASRec", **train: Any) -> Run:
    history = [{"epoch": n, "NDCG@10": value} for n, value in enumerate(values, 1)]
    record = {
        "seed": seed,
        "best_epoch": 1 + int(np.argmax(values)),
        "graph": {"hash": "a"},
    }
    experiment = {"model": {model: {}}, "train": {"seed": seed, **train}}
    return Run(None, experiment, record, history)


def axes_of(runs: Any, metric: str = "NDCG@10") -> Axes:
    [axes] = learning_figure(runs, metric).axes
    return axes


def test_one_run_is_drawn_like_several(tmp_path: Path) -> None:
    one = run([0.1, 0.3, 0.2])
    plot_learning(one, tmp_path / "one.svg")
    path = plot_learning({"SASRec": one}, tmp_path / "several.svg")
    assert path.read_bytes() == (tmp_path / "one.svg").read_bytes()
    assert "validation NDCG@10" in path.read_text("utf-8")


def test_a_dot_marks_the_epoch_that_was_kept() -> None:
    curve, dot = axes_of({"a": run([0.1, 0.3, 0.2])}).lines
    assert curve.get_xydata().tolist() == [[1, 0.1], [2, 0.3], [3, 0.2]]
    assert dot.get_xydata().tolist() == [[2, 0.3]]


def test_seeds_are_a_mean_in_a_band_as_far_as_all_were_trained() -> None:
    seeds = [run([0.1, 0.3]), run([0.3, 0.5, 0.9], seed=1)]
    axes = axes_of({"a": seeds, "b": run([0.2, 0.1])})
    [mean] = [line for line in axes.lines if "2 seeds" in str(line.get_label())]
    assert mean.get_xdata().tolist() == [1, 2]
    assert mean.get_ydata() == pytest.approx([0.2, 0.4])
    [band] = axes.collections
    corners = band.get_paths()[0].vertices
    assert {(1, 0.1), (1, 0.3), (2, 0.3), (2, 0.5)} <= {*map(tuple, corners)}
    styles = {line.get_linestyle() for line in axes.lines if line.get_label() == "b"}
    assert styles == {"--"}


def test_an_untrained_model_is_a_horizontal_line() -> None:
    one = run([0.25], model="POP")
    untrained = replace(one, history=[{"epoch": 0, "NDCG@10": 0.25}])
    [line] = axes_of({"POP": untrained}).lines
    assert [*line.get_ydata()] == [0.25, 0.25]


def test_epochs_without_the_metric_are_left_out_and_a_run_without_is_refused() -> None:
    one = run([0.1, 0.2, 0.3])
    one.history[1]["NDCG@10"] = None
    curve, _ = axes_of({"a": one}).lines
    assert curve.get_xdata().tolist() == [1, 3]
    with pytest.raises(RunError, match=r"no epoch of a has .* mean 'NDCG@10'"):
        learning_figure({"a": one}, "NDGC@10")


def test_runs_that_differ_in_the_seed_only_are_one_variant() -> None:
    runs = {
        "beauty-0": run([0.1]),
        "beauty-1": run([0.2], seed=1, threads=2),
        "beauty-lr": run([0.3], lr=0.1),
        "x": run([0.1], model="GRU4Rec"),
        "y": run([0.1], seed=3, model="GRU4Rec"),
    }
    found = by_variant(runs)
    assert found == {
        "beauty": [runs["beauty-0"], runs["beauty-1"]],
        "beauty-lr": runs["beauty-lr"],
        "x … y": [runs["x"], runs["y"]],
    }


def test_two_variants_of_one_common_name_have_two_names() -> None:
    runs = {f"sas-{n}": run([0.1], seed=n, lr=0.1 + n // 2) for n in range(4)}
    found = by_variant(runs)
    assert [*found] == ["sas-0 … sas-1", "sas-2 … sas-3"]
    runs = {"sas": run([0.1], lr=0.5), **{f"sas-{n}": run([0.2], n) for n in (0, 1)}}
    assert [*by_variant(runs)] == ["sas", "sas-0 … sas-1"]


def test_a_dollar_in_a_name_is_no_formula(tmp_path: Path) -> None:
    path = plot_learning({r"p$\frac$q": run([0.1, 0.2])}, tmp_path / "one.svg")
    assert r"p$\frac$q" in path.read_text("utf-8")
