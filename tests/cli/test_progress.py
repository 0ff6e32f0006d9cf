"""Progress of stages and of runs."""

from pathlib import Path

import pytest
from rich.console import Console

from graphseq.cli import progress as module
from graphseq.cli.jobs import Job, Outcome
from graphseq.cli.progress import (
    RUN_PAUSE,
    RunLines,
    Stages,
    clock,
    describe_progress,
    epochs_and_best,
)
from graphseq.graphs.progress import Advance


def test_fraction_rate_and_remaining_time_are_shown() -> None:
    step = Advance("edges", 2_500_000, 10_000_000, "multiply-adds")
    words = "25%, 1.25 million multiply-adds/s, 0:06 left"
    assert describe_progress(step, 2.0) == words
    assert describe_progress(Advance("edges", 0, 10, "pairs"), 2.0) == "0%"


@pytest.mark.parametrize("on_terminal", [False, True])
def test_stages_follow_each_other_and_have_a_table(on_terminal: bool) -> None:
    with Stages(on_terminal) as stages:
        stages.begin("read")
        stages.end("7 events")
        stages.begin("build")
        stages.advance(Advance("edges", 1, 2, "pairs"))
        stages.begin("save")
    assert [stage.name for stage in stages.finished] == ["read", "build", "save"]
    assert [stage.result for stage in stages.finished] == ["7 events", "", ""]
    assert all(stage.seconds >= 0 and stage.memory > 0 for stage in stages.finished)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(stages.table())
    assert "7 events" in shown.get()
    assert "total" in shown.get()


def test_without_a_terminal_a_stage_prints_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stages(on_terminal=False) as stages:
        stages.begin("item-item")
        stages.advance(Advance("edges", 1, 4, "pairs"))
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(module, "STAGE_PAUSE", -1.0)
        monkeypatch.setenv("GRAPHSEQ_QUIET", "1")
        stages.advance(Advance("edges", 2, 4, "pairs"))
        assert capsys.readouterr().err == ""
        monkeypatch.delenv("GRAPHSEQ_QUIET")
        stages.advance(Advance("edges", 2, 4, "pairs"))
    assert capsys.readouterr().err.startswith("item-item: 50%, ")


def test_a_failure_closes_the_open_stage() -> None:
    with pytest.raises(KeyError), Stages(on_terminal=True) as stages:
        stages.begin("read")
        raise KeyError
    assert [stage.name for stage in stages.finished] == ["read"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    history = "epoch,loss,NDCG@10\n1,2.0,0.01\n2,1.5,0.03\n3,1.2,\n4,1.1,0.02\n"
    (tmp_path / "history.csv").write_text(history)
    return Job("experiments/a/one.yaml", 0, "f", tmp_path, "NDCG@10", 9, True)


def test_a_run_has_its_epoch_and_its_best_value(job: Job) -> None:
    assert epochs_and_best(job) == (4, 0.03)
    assert clock(3725.0) == "1:02:05"


def test_a_run_in_its_first_epoch_has_no_values(job: Job) -> None:
    (job.folder / "history.csv").unlink()
    assert epochs_and_best(job) == (0, None)


def test_a_run_that_monitors_nothing_has_no_best(job: Job) -> None:
    blind = Job(job.experiment, 0, "f", job.folder, None, 9, True)
    assert epochs_and_best(blind) == (4, None)


def test_a_run_prints_a_line_when_it_starts_advances_and_ends(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = RunLines(1)
    for seconds in (0.0, RUN_PAUSE / 2, RUN_PAUSE + 1, 3 * RUN_PAUSE):
        lines({job: seconds}, [])
        if seconds == RUN_PAUSE / 2:
            with (job.folder / "history.csv").open("a") as file:
                file.write("5,1.0,0.04\n")
    done = [Outcome(job, "done", 200.0)]
    lines({}, done)
    lines({}, done)
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        f"a-one seed 0: started, {job.folder}",
        "a-one seed 0: epoch 5 of 9  best NDCG@10 0.0400  1:01",
        "[1/1] a-one seed 0: done  epoch 5 of 9  best NDCG@10 0.0400  3:20",
    ]
