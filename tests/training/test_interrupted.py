"""Runs that ended early, were started oddly, or lost a file."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import RunError
from graphseq.evaluation import evaluate
from graphseq.folders import RUN
from graphseq.models import Model
from graphseq.training import Run, fit, load_run
from graphseq.training.run import CHECKPOINT, HISTORY, WEIGHTS

Make = Callable[..., Model]


def short(model: Model, graph: HeteroData, **options: Any) -> Run:
    """A quick run."""
    given = {"max_epochs": 2, "batch_size": 30, "progress": False, "threads": 1}
    return fit(model, graph, **(given | options))


def interrupted(folder: Path) -> None:
    """Make a finished run one that was killed after its last epoch."""
    record = json.loads((folder / RUN).read_text())
    (folder / RUN).write_text(json.dumps(record | {"finished": False}))


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_no_more_epochs_than_an_interrupted_run_has_train_nothing(
    tiny: Make, graph: HeteroData, tmp_path: Path, epochs: int
) -> None:
    trained = tiny()
    short(trained, graph, folder=tmp_path)
    kept = (tmp_path / WEIGHTS).read_bytes()
    interrupted(tmp_path)
    model = tiny()
    run = short(model, graph, folder=tmp_path, max_epochs=epochs, resume=True)
    assert (run.epochs, run.finished) == (2, True)
    assert (tmp_path / WEIGHTS).read_bytes() == kept
    assert torch.equal(model.backbone.features.weight, trained.backbone.features.weight)


def test_a_process_with_a_rank_and_one_device_trains_alone(
    tiny: Make, graph: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANK", "1")
    assert short(tiny(), graph).finished
    assert [*tmp_path.iterdir()] == []
    short(tiny(), graph, folder="run")
    assert load_run("run").finished
    with pytest.raises(RunError, match="contains a run already"):
        short(tiny(), graph, folder="run")


def test_what_fails_before_its_first_epoch_leaves_the_folder_free(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    class Failing(RuntimeError):
        pass

    model = tiny()
    losses = model.losses

    def fail(*_: Any) -> Any:
        raise Failing

    model.losses = fail  # type: ignore[method-assign]
    with pytest.raises(Failing):
        short(model, graph, folder=tmp_path)
    assert [*tmp_path.iterdir()] == []
    model.losses = losses  # type: ignore[method-assign]
    assert short(model, graph, folder=tmp_path).finished


def test_a_folder_without_its_record_is_not_trained_over(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    (tmp_path / RUN).unlink()
    for resume in (False, True):
        with pytest.raises(RunError, match=f"{CHECKPOINT}, {WEIGHTS}.*no {RUN}"):
            short(tiny(), graph, folder=tmp_path, resume=resume)


def test_the_report_of_older_weights_goes_when_training_goes_on(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    model = tiny()
    run = short(model, graph, folder=tmp_path)
    evaluate(model, graph, folder=tmp_path)
    same = short(tiny(), graph, folder=tmp_path, resume=True)
    assert same.report.facts == run.report.facts
    longer = short(tiny(), graph, folder=tmp_path, max_epochs=3, resume=True)
    with pytest.raises(RunError, match="contains no report"):
        _ = longer.report


def test_metrics_are_numbers_however_late_the_first_is(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    rows = [f"{epoch},0.5," for epoch in range(1, 151)] + ["151,1,0.25"]
    (tmp_path / HISTORY).write_text("epoch,loss,NDCG@10\n" + "\n".join(rows) + "\n")
    history = load_run(tmp_path).history
    assert history[0] == {"epoch": 1, "loss": 0.5, "NDCG@10": None}
    assert history[-1] == {"epoch": 151, "loss": 1.0, "NDCG@10": 0.25}


def test_a_run_without_an_evaluated_epoch_can_be_shown(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    record = json.loads((tmp_path / RUN).read_text())
    (tmp_path / RUN).write_text(json.dumps(record | {"best_epoch": 0}))
    run = load_run(tmp_path)
    assert "no epoch evaluated yet" in repr(run)
    with pytest.raises(RunError, match="none of the 2 epochs has been evaluated"):
        _ = run.best


@pytest.mark.parametrize("name", ["S3Rec", "MCLRec", "SASRec"])
@pytest.mark.parametrize("option", [{"gradient_clip": 0.5}, {"precision": "64-true"}])
def test_models_of_one_stage_or_more_clip_and_train_in_float64(
    small: Make, graph: HeteroData, name: str, option: dict[str, Any]
) -> None:
    objective = {"MutualInformation": {"pretrain_epochs": 1}}
    stages = {"objective": objective} if name == "S3Rec" else {}
    model = small(name, **stages)
    run = short(model, graph, **option)
    assert run.epochs == 2
    kinds = {weight.dtype for weight in model.parameters()}
    assert kinds == {torch.float64 if "precision" in option else torch.float32}


def test_clipping_bounds_the_step_of_every_turn(small: Make, graph: HeteroData) -> None:
    def moved(clip: float | None) -> float:
        torch.manual_seed(0)
        model = small("MCLRec")
        before = [weight.detach().clone() for weight in model.parameters()]
        # Adam forgets the size of a gradient, unless it is as small as its epsilon
        short(model, graph, max_epochs=1, gradient_clip=clip)
        after = [weight.detach() for weight in model.parameters()]
        return float(
            sum((a - b).square().sum() for a, b in zip(after, before, strict=True))
        )

    assert moved(1e-12) < moved(None) / 100


def test_a_reader_of_the_lines_may_leave_and_training_goes_on(
    tiny: Make, graph: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # before the first line, which then fails for certain
    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        run = short(tiny(), graph, folder=tmp_path, max_epochs=3, progress=True)
        monkeypatch.undo()
    assert run.finished and run.epochs == 3


def test_a_run_in_float64_is_resumed_to_the_last_bit(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    whole, parts, again = tiny(), tiny(), tiny()
    short(whole, graph, precision="64-true", max_epochs=3)
    options: dict[str, Any] = {"precision": "64-true", "folder": tmp_path}
    short(parts, graph, max_epochs=2, **options)
    short(again, graph, max_epochs=3, resume=True, **options)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
