"""Processes side by side: limits, failures, interruption; the jobs are a few lines."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graphseq.cli import workers
from graphseq.cli.jobs import Job
from graphseq.cli.workers import Interrupted, Outcome, work

QUICK = "print('hello')"
FAILS = "print('first'); raise SystemExit('it broke')"
LASTS = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LASTS


def jobs(folder: Path, number: int) -> list[Job]:
    return [
        Job(f"experiments/x/{n}.yaml", 0, f"f{n}", folder / str(n), "NDCG@10", 5, True)
        for n in range(number)
    ]


def python(*codes: str) -> Callable[[Job], list[str]]:
    """The command of job n runs the n-th code."""

    def command(job: Job) -> list[str]:
        return [sys.executable, "-S", "-c", codes[int(Path(job.experiment).stem)]]

    return command


def states(outcomes: list[Outcome]) -> dict[str, str]:
    return {Path(o.job.experiment).stem: o.state for o in outcomes}


def test_one_that_fails_is_reported_and_the_others_are_done(tmp_path: Path) -> None:
    command = python(QUICK, FAILS, QUICK)
    outcomes = work(jobs(tmp_path, 3), command=command, at_once=2, environment={})
    assert states(outcomes) == {"0": "done", "1": "failed", "2": "done"}
    [failed] = [o for o in outcomes if o.state == "failed"]
    assert failed.said.splitlines() == ["first", "it broke"]
    assert (tmp_path / "0" / "log.txt").read_text() == "hello\n"


def test_no_more_run_at_once_than_asked_and_that_many_do(tmp_path: Path) -> None:
    seen: list[int] = []
    code = "import time; time.sleep(0.3)"
    work(
        jobs(tmp_path, 4),
        command=python(*[code] * 4),
        at_once=2,
        environment={},
        watch=lambda running, _: seen.append(len(running)),
    )
    assert max(seen) == 2


def test_processes_have_the_variables_that_limit_threads(tmp_path: Path) -> None:
    code = "import os; print(os.environ['OMP_NUM_THREADS'])"
    environment = {"OMP_NUM_THREADS": "3"}
    [job] = jobs(tmp_path, 1)
    work([job], command=python(code), at_once=1, environment=environment)
    assert (job.folder / "log.txt").read_text() == "3\n"


def test_what_was_done_elsewhere_since_is_not_started(tmp_path: Path) -> None:
    outcomes = work(
        jobs(tmp_path, 2),
        command=python(QUICK, QUICK),
        at_once=1,
        environment={},
        is_made=lambda job: job.fingerprint == "f1",
    )
    assert states(outcomes) == {"0": "done", "1": "elsewhere"}
    assert not (tmp_path / "1").exists()


def test_a_folder_in_which_another_queue_works_is_left_alone(tmp_path: Path) -> None:
    [job] = jobs(tmp_path, 1)
    first = workers._start(job, python(LASTS), {})
    assert first is not None
    first.log.close()  # as if that queue were gone; its process is not
    outcomes = work([job], command=python(QUICK), at_once=1, environment={})
    assert states(outcomes) == {"0": "elsewhere"}
    workers._kill([first.process])
    outcomes = work([job], command=python(QUICK), at_once=1, environment={})
    assert states(outcomes) == {"0": "done"}


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_process_and_tells_what_was_done(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "GRACE", 0.5)  # the third does not listen
    logs = [tmp_path / name / "log.txt" for name in "12"]
    before = signal.getsignal(signal.SIGTERM)

    def interrupt_when_all_are_up(running: object, outcomes: list[Outcome]) -> None:
        up = all(p.exists() and p.read_text().endswith("\n") for p in logs)
        if up and outcomes:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted) as stopped:
        work(
            jobs(tmp_path, 4),
            command=python(QUICK, LASTS, DEAF, LASTS),
            at_once=3,
            environment={},
            watch=interrupt_when_all_are_up,
        )
    ended = states(stopped.value.outcomes)
    assert {name: ended[name] for name in "012"} == {
        "0": "done",
        "1": "stopped",
        "2": "stopped",
    }
    assert not any(is_alive(int(log.read_text())) for log in logs)
    assert signal.getsignal(signal.SIGTERM) is before
