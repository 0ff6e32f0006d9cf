"""What a queue says of its runs while they run."""

from pathlib import Path

import pytest

from graphseq.cli.jobs import Job
from graphseq.cli.progress import EVERY, Lines, Screen, clock, standing, told
from graphseq.cli.workers import Outcome


@pytest.fixture
def job(tmp_path: Path) -> Job:
    history = "epoch,loss,NDCG@10\n1,2.0,0.01\n2,1.5,0.03\n3,1.2,\n4,1.1,0.02\n"
    (tmp_path / "history.csv").write_text(history)
    return Job("experiments/a/one.yaml", 0, "f", tmp_path, "NDCG@10", 9, True)


def test_it_tells_the_epoch_the_best_so_far_and_the_time(job: Job) -> None:
    assert standing(job) == (4, 0.03)
    assert told(job, 75.2) == "epoch 4 of 9  best NDCG@10 0.0300  1:15"
    assert clock(3725.0) == "1:02:05"


def test_a_run_whose_first_epoch_is_not_over_has_none(job: Job) -> None:
    (job.folder / "history.csv").unlink()
    assert standing(job) == (0, None)
    assert told(job, 1.0) == "epoch 0 of 9  0:01"


def test_a_run_that_monitors_nothing_has_no_best(job: Job) -> None:
    blind = Job(job.experiment, 0, "f", job.folder, None, 9, True)
    assert standing(blind) == (4, None)


def test_in_a_file_a_run_has_a_line_now_and_then(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(1)
    for seconds in (0.0, EVERY / 2, EVERY + 1, 3 * EVERY):
        lines({job: seconds}, [])
        if seconds == EVERY / 2:
            with (job.folder / "history.csv").open("a") as file:
                file.write("5,1.0,0.04\n")
    done = [Outcome(job, "done", 200.0)]
    lines({}, done)
    lines({}, done)
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        f"a/one seed 0: started, {job.folder}",
        "a/one seed 0: epoch 5 of 9  best NDCG@10 0.0400  1:01",
        "[1/1] a/one seed 0: done  epoch 5 of 9  best NDCG@10 0.0400  3:20",
    ]


def test_on_a_terminal_a_table_shows_what_runs(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    from io import StringIO

    from rich.console import Console
    from rich.live import Live

    console = Console(file=StringIO(), force_terminal=True, width=80)
    with Live(console=console, auto_refresh=False) as live:
        Screen(3, live)({job: 5.0}, [])
        live.refresh()
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("a/one seed 0", "4 of 9", "NDCG@10 0.0300", "0:05", "2 waiting"):
        assert words in shown
