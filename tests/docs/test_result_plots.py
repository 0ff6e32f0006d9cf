"""The plots show every row that was run, and are deterministic."""

import csv
import re
from functools import cache
from importlib import import_module as extension
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@cache
def plots() -> dict[str, str]:
    drawn: dict[str, str] = extension("result_plots").plots()
    return drawn


def texts(name: str) -> list[str]:
    """The labels of a plot."""
    return re.findall(r">([^<>]+)</text>", plots()[name])


def test_every_published_row_that_was_run_is_drawn() -> None:
    page = extension("published_page")
    rows = [
        row
        for row in extension("evidence").published()
        if (row.data, row.split) == extension("result_plots").BEAUTY
        and page.nearest(row) is not None
    ]
    labels = [text for text in texts("reached.svg") if " · " in text]
    assert len(labels) == len(rows) > 20
    assert {text.partition(" · ")[0] for text in labels} == {row.model for row in rows}


def test_every_model_that_was_trained_on_beauty_is_drawn_with_its_cost() -> None:
    evidence = extension("evidence")
    models = {
        run.model
        for run in evidence.experiments()
        if run.data == "amazon-beauty" and evidence.result(run)
    }
    shown = texts("compared.svg")
    assert {text.split()[0] for text in shown} >= models
    assert "SASRec on item graph" in shown
    assert sum(bool(re.fullmatch(r"[\d,]+ s", text)) for text in shown) >= len(models)


def test_every_curve_is_of_an_experiment_and_ends_at_its_cost() -> None:
    with (ROOT / "experiments" / "results.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["seed"] == "0"]
    costs = {
        row["experiment"].removeprefix("experiments/").replace(".yaml", ""): float(
            row["cpu_seconds"]
        )
        for row in rows
    }
    with (ROOT / "experiments" / "curves.csv").open(newline="") as file:
        ends = {row["experiment"]: row for row in csv.DictReader(file)}
    shown = texts("curves.svg")
    for name, last in ends.items():
        assert name in shown
        assert float(last["cpu_seconds"]) == pytest.approx(costs[name], rel=0.02)


def test_plots_of_the_same_results_are_equal() -> None:
    assert plots() == extension("result_plots").plots()
    assert all("<dc:date>" not in text for text in plots().values())
