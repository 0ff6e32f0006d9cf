"""Create, resume and refuse run folders."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out, synthetic
from graphseq.errors import RunError
from graphseq.graphs import build_graph
from graphseq.models import (
    POP,
    Model,
)
from graphseq.training import Run

Make = Callable[..., Model]
Short = Callable[..., Run]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_a_temporary_folder_is_removed(
    short: Short,
    tiny: Make,
    graph: HeteroData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = short(tiny(), graph)
    assert run.folder is None
    assert os.listdir(tmp_path) == []
    with pytest.raises(RunError, match="has no folder with the weights"):
        run.model()


def test_a_folder_with_a_run_is_refused(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    with pytest.raises(RunError, match=r"contains a run already.*resume=True"):
        short(tiny(), graph, folder=tmp_path)


def test_a_finished_run_is_resumed_as_it_is(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    first, again = tiny(), tiny()
    run = short(first, graph, folder=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("[wch]*")}
    assert short(again, graph, folder=tmp_path, resume=True).history == run.history
    assert same(first, again)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.glob("[wch]*")}


def test_a_run_can_be_given_more_epochs(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    whole, parts = tiny(), tiny()
    expected = short(whole, graph, max_epochs=5)
    short(parts, graph, folder=tmp_path, max_epochs=2)
    run = short(tiny(), graph, folder=tmp_path, max_epochs=5, resume=True)
    assert run.history == expected.history
    assert same(run.model(), whole)
    assert run.record["resumed_after"] == [2]


def test_a_run_that_had_decided_to_stop_is_not_trained_on(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"lr": 1e-12, "max_epochs": 9, "patience": 2}
    options |= {"folder": tmp_path}
    short(tiny(), graph, **options)
    record = (tmp_path / "run.json").read_text()
    killed = record.replace('"finished": true', '"finished": false')
    assert killed != record
    (tmp_path / "run.json").write_text(killed)
    assert short(tiny(), graph, resume=True, **options).epochs == 3


def test_resuming_something_else_lists_every_difference(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    other = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=9)))
    with pytest.raises(RunError) as error:
        short(tiny(dim=4), other, folder=tmp_path, lr=0.02, seed=1, resume=True)
    lines = str(error.value)
    assert "model.SASRec.backbone.Backbone.dim: the run has 8, requested is 4" in lines
    assert "train.lr: the run has 0.01, requested is 0.02" in lines
    assert "train.seed: the run has 0, requested is 1" in lines
    assert "graph.hash: the run has " in lines
    assert "progress" not in lines


def test_resuming_another_model_names_both(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(POP(30, 12), graph, folder=tmp_path)
    with pytest.raises(RunError) as error:
        short(tiny(), graph, folder=tmp_path, resume=True)
    _, line, *_ = str(error.value).splitlines()
    assert line == "  the run is of POP, this file of SASRec"


def test_a_file_where_the_folder_should_be_is_refused(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").touch()
    with pytest.raises(RunError, match=r"cannot create the run folder .*log\.csv"):
        short(tiny(), graph, folder=tmp_path / "log.csv")
