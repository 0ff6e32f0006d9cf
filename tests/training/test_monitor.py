"""Functions as monitors: what they select, how they resume, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from graphseq.config.sections import check_sections
from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError, RunError
from graphseq.evaluation import Report
from graphseq.graphs import build_graph
from graphseq.models import Backbone, SASRec
from graphseq.training import Run, fit
from graphseq.training.monitor import list_length, measured, name_of

GRAPH = build_graph(leave_one_out(synthetic.cycle(20, 12, length=8)))


def minus_coverage(report: Report) -> float:
    return -report["kept"]["coverage@10"]


def train(monitor: Any, **options: Any) -> Run:
    torch.manual_seed(0)
    model = SASRec(20, Backbone(12, dim=8, max_length=8))
    options = {"max_epochs": 3, "lr": 0.03, "progress": False, **options}
    return fit(model, GRAPH, monitor=monitor, **options)


def test_a_function_selects_the_best_epoch_and_is_a_column_of_the_history() -> None:
    run = train(minus_coverage)
    values = [row["minus_coverage"] for row in run.history]
    assert values == [-row["coverage@10"] for row in run.history]
    assert run.record["best_epoch"] == 1 + int(np.argmax(values))
    assert run.experiment["train"]["monitor"] == "minus_coverage"


def test_a_run_with_a_function_resumes_with_a_function_of_this_name(
    tmp_path: Path,
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(row: Any) -> None:
        if row["epoch"] == 2:
            raise Interrupted

    folder = tmp_path / "run"
    with pytest.raises(Interrupted):
        train(minus_coverage, folder=folder, callbacks=[interrupt])
    with pytest.raises(RunError, match=r"monitor.*'minus_coverage', requested.*'MRR'"):
        train("MRR", folder=folder, resume=True)
    resumed = train(minus_coverage, folder=folder, resume=True)
    assert resumed.history == train(minus_coverage).history


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), torch.tensor(0.5)])
def test_numbers_of_any_library_are_numbers(value: Any) -> None:
    report = Report({"kept": {}}, pl.DataFrame(), {})
    assert measured(lambda _: value, "half", report) == float(value)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "0.5", None, True, [0.5], torch.ones(2)]
)
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    report = Report({"kept": {}}, pl.DataFrame(), {})
    with pytest.raises(RunError, match=r"monitor=bad must return a finite number"):
        measured(lambda _: value, "bad", report)


def test_names_of_metrics_and_columns_are_refused() -> None:
    def loss(report: Report) -> float:
        return 0.0

    with pytest.raises(ConfigError, match="Rename the function"):
        train(loss)
    report = Report({"kept": {"users": 1.0}}, pl.DataFrame(), {})
    with pytest.raises(RunError, match="name of the metric users"):
        measured(loss, "users", report)
    assert name_of(lambda _: 0.0) == "lambda"
    assert (name_of("HR@5"), name_of(None)) == ("HR@5", None)


def test_the_lists_are_as_long_as_the_monitor_reads() -> None:
    assert [list_length(m) for m in ("HR@5", "MRR", "mine", None)] == [5, 10, 10, 10]


def test_a_file_takes_the_name_of_a_metric_only() -> None:
    sections = {
        "data": {"cycle": {"num_users": 20, "num_items": 12, "length": 8}},
        "split": {"leave_one_out": {}},
        "model": {"POP": {}},
        "train": {"monitor": "minus_coverage"},
    }
    with pytest.raises(ConfigError, match=r"monitor.*a metric that grows .* in Python"):
        check_sections(sections, "file")
