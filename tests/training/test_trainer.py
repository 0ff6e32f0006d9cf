"""The trainer: devices, loggers, progress, and no trace outside the run folder."""

import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError, RunError
from graphseq.graphs import graph_hash
from graphseq.models import Model
from graphseq.training import Run, load_state, trainer
from graphseq.training.run import CHECKPOINT

Make = Callable[..., Model]
Short = Callable[..., Run]


def test_the_callers_state_is_left_alone(
    short: Short,
    tiny: Make,
    graph: HeteroData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import lightning.pytorch  # noqa: F401  # its import adds filters of warnings

    model, digest = tiny(), graph_hash(graph)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads, filters = torch.get_num_threads(), list(warnings.filters)
    level = logging.getLogger("lightning.pytorch").level
    short(model, graph, threads=2)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.get_num_threads() == threads
    assert warnings.filters == filters
    assert logging.getLogger("lightning.pytorch").level == level
    assert graph_hash(graph) == digest
    assert not model.training
    assert os.listdir(tmp_path) == []


def test_another_logger_hears_of_every_epoch(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    from lightning.pytorch.loggers.logger import DummyLogger

    heard: list[dict[str, float]] = []

    class Notes(DummyLogger):
        def log_metrics(
            self, metrics: dict[str, float], step: int | None = None
        ) -> None:
            heard.append(dict(metrics))

    run = short(tiny(), graph, loggers=[Notes()])
    assert [row["epoch"] for row in heard] == [0, 1]
    assert heard[1]["NDCG@10"] == pytest.approx(run.history[1]["NDCG@10"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accelerator": "gpux"}, "accelerator 'gpux' is not on this machine; there"),
        ({"strategy": "dpp"}, "unknown strategy 'dpp'; did you mean 'ddp'"),
        ({"devices": 0}, "cannot train with accelerator 'auto', devices 0"),
        (
            {"precision": "16-mixed", "accelerator": "cpu"},
            "precision '16-mixed' needs a GPU, and this run is on the CPU",
        ),
        ({"devices": 1000}, "would start 1,000 processes on the"),
        ({"threads": 10**5}, "threads: expected a whole number from 1 to 1024"),
        ({"workers": 10**5}, "workers: expected a whole number from 0 to 1024"),
        ({"loggers": ["tensorbord"]}, r"tensorboard.*found 'tensorbord'"),
        ({"loggers": [object()]}, r"Lightning logger objects; found object"),
        ({"callbacks": [object()]}, "callbacks are functions of the row .*found obj"),
    ],
)
def test_what_is_not_on_this_machine_is_refused_before_a_run_folder_is_made(
    short: Short,
    tiny: Make,
    graph: HeteroData,
    tmp_path: Path,
    options: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(ConfigError, match=words):
        short(tiny(), graph, folder=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_gpu_that_is_not_there_is_refused(
    short: Short, tiny: Make, graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lightning.pytorch.accelerators import CUDAAccelerator

    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: False))
    with pytest.raises(ConfigError) as error:
        short(tiny(), graph, accelerator="cuda")
    assert str(error.value).startswith(
        "accelerator 'cuda' is not on this machine; there are cpu"
    )
    assert str(error.value).endswith("; leave it out (auto)")


def test_each_epoch_is_a_line(
    short: Short, tiny: Make, graph: HeteroData, capsys: pytest.CaptureFixture[str]
) -> None:
    short(tiny(), graph, progress=True)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch   1  loss ")
    assert first.endswith("best so far")
    assert second.startswith("epoch   2  loss ")


def test_on_a_terminal_there_is_a_bar_with_the_losses(
    short: Short,
    tiny: Make,
    graph: HeteroData,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    short(tiny(), graph, progress=True)
    shown = capsys.readouterr().out
    assert "epoch   2: 100%" in shown
    assert "next_item=" in shown
    assert "NDCG@10=" in shown


def test_the_checkpoint_holds_no_pickle(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    state = load_state(tmp_path / CHECKPOINT)
    assert state["epoch"] == 1
    assert state["optimizer_states"][0]["state"][0]["exp_avg"].shape == (12, 8)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "checkpoint.safetensors",
        "experiment.yaml",
        "graph",
        "history.csv",
        "run.json",
        "weights.safetensors",
    }


def test_a_truncated_checkpoint_is_refused(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[:-10])
    with pytest.raises(RunError, match="damaged or of another program"):
        short(tiny(), graph, folder=tmp_path, max_epochs=4, resume=True)


def test_mlflow_writes_a_database_in_the_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow 3 refuses to write a folder of files."""
    monkeypatch.setattr(trainer, "MLFlowLogger", lambda **options: options)
    monkeypatch.chdir(tmp_path)
    made: Any = trainer.LOGGERS["mlflow"]("run")
    assert made["tracking_uri"] == f"sqlite:///{tmp_path}/run/mlflow.db"
    assert made["artifact_location"] == f"{tmp_path}/run/mlflow"
