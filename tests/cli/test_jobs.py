"""The list of runs, and child processes: limits, failures, interruption."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphseq.cli import jobs as module
from graphseq.cli.jobs import Job, Outcome, find_experiments, list_jobs, work
from graphseq.errors import ConfigError

POP = {
    "data": {"cycle": {"num_users": 8, "num_items": 4, "length": 5}},
    "split": {"leave_one_out": {}},
    "model": {"POP": {}},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two experiments in it, entered."""
    monkeypatch.chdir(tmp_path)
    for name, k in {"a/one": 1, "b/two": 2}.items():
        path = tmp_path / "experiments" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(POP | {"evaluate": {"ks": [k]}}))
    return tmp_path


def listed(
    *experiments: str, seeds: list[int] | None = None, settings: tuple[str, ...] = ()
) -> list[Job]:
    words = experiments or ("experiments",)
    found, refused = list_jobs(words, settings=settings, seeds=seeds)
    assert not refused
    return found


def names(found: list[Job]) -> list[str]:
    return [job.name for job in found]


def test_files_folders_and_patterns_are_found_once_each(here: Path) -> None:
    one, two = "experiments/a/one.yaml", "experiments/b/two.yaml"
    assert find_experiments(["experiments"]) == [one, two]
    assert find_experiments(["experiments/*/t*.yaml", "experiments", two]) == [two, one]
    assert find_experiments([str(here / one)]) == [one]


def test_a_word_that_names_no_file_is_refused(here: Path) -> None:
    with pytest.raises(ConfigError, match="experimnts names no experiment"):
        find_experiments(["experiments", "experimnts"])


def test_every_file_comes_with_the_first_seed_before_any_with_the_second(
    here: Path,
) -> None:
    made = listed(seeds=[0, 7, 7])
    expected = ["a-one seed 0", "b-two seed 0", "a-one seed 7", "b-two seed 7"]
    assert names(made) == expected
    assert [job.own_seed for job in made] == [True, True, False, False]
    assert len({job.folder for job in made}) == 4


def test_without_seeds_a_file_has_its_own(here: Path) -> None:
    path = here / "experiments" / "a" / "one.yaml"
    path.write_text(yaml.safe_dump(POP | {"train": {"seed": 3}}))
    assert names(listed()) == ["a-one seed 3", "b-two seed 0"]


def test_the_run_folder_depends_on_options_and_not_on_comments(here: Path) -> None:
    path = here / "experiments" / "a" / "one.yaml"
    before = listed()[0]
    path.write_text(f"# a claim\n{path.read_text()}train: {{threads: 1}}\n")
    assert listed()[0].folder == before.folder
    path.write_text(path.read_text().replace("ks:", "history: kept\n  ks:"))
    assert listed()[0].folder != before.folder


def test_a_file_that_cannot_be_run_does_not_stop_the_others(here: Path) -> None:
    path = here / "experiments" / "a" / "one.yaml"
    path.write_text(yaml.safe_dump(POP | {"model": {"POPP": {}}}))
    made, refused = list_jobs(["experiments"])
    assert names(made) == ["b-two seed 0"]
    [(name, reason)] = refused.items()
    assert name == "experiments/a/one.yaml"
    assert "POPP" in reason


QUICK = "print('hello')"
FAILS = "print('first'); raise SystemExit('it broke')"
LASTS = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LASTS


def make_jobs(folder: Path, number: int) -> list[Job]:
    return [
        Job(f"experiments/x/{n}.yaml", 0, f"f{n}", folder / str(n), "NDCG@10", 5, True)
        for n in range(number)
    ]


def python(*codes: str) -> Callable[[Job], list[str]]:
    """The command of job n runs the n-th code."""

    def command(job: Job) -> list[str]:
        return [sys.executable, "-S", "-c", codes[int(Path(job.experiment).stem)]]

    return command


def run(jobs: list[Job], *codes: str, **options: Any) -> list[Outcome]:
    """Work through the jobs; the outcomes."""
    outcomes: list[Outcome] = []
    defaults = {"command": python(*codes), "at_once": 1, "environment": {}}
    work(jobs, outcomes, **(defaults | options))
    return outcomes


def states(outcomes: list[Outcome]) -> dict[str, str]:
    return {Path(o.job.experiment).stem: o.state for o in outcomes}


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    outcomes = run(make_jobs(tmp_path, 3), QUICK, FAILS, QUICK, at_once=2)
    assert states(outcomes) == {"0": "done", "1": "failed", "2": "done"}
    [failed] = [o for o in outcomes if o.state == "failed"]
    assert failed.tail.splitlines() == ["first", "it broke"]
    assert (tmp_path / "0" / "log.txt").read_text() == "hello\n"


def test_as_many_run_at_once_as_requested(tmp_path: Path) -> None:
    seen: list[int] = []
    code = "import time; time.sleep(0.3)"
    jobs = make_jobs(tmp_path, 4)
    run(jobs, *[code] * 4, at_once=2, watch=lambda now, _: seen.append(len(now)))
    assert max(seen) == 2


def test_processes_have_the_variables_that_limit_threads(tmp_path: Path) -> None:
    code = "import os; print(os.environ['OMP_NUM_THREADS'])"
    environment = {"OMP_NUM_THREADS": "3"}
    [job] = make_jobs(tmp_path, 1)
    run([job], code, environment=environment)
    assert (job.folder / "log.txt").read_text() == "3\n"


def test_a_run_that_another_process_recorded_is_not_started(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, 2)
    outcomes = run(jobs, QUICK, QUICK, is_recorded=lambda job: job.fingerprint == "f1")
    assert states(outcomes) == {"0": "done", "1": "elsewhere"}
    assert not (tmp_path / "1").exists()


def test_a_folder_in_which_another_process_trains_is_skipped(tmp_path: Path) -> None:
    [job] = make_jobs(tmp_path, 1)
    first = module._start(job, python(LASTS), {})
    assert first is not None
    first.log.close()  # its child holds the lock
    outcomes = run([job], QUICK)
    assert states(outcomes) == {"0": "elsewhere"}
    module._end([first.process], 0.0)
    first.close()
    outcomes = run([job], QUICK)
    assert states(outcomes) == {"0": "done"}


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        stat = Path(f"/proc/{process}/stat")
        return not (stat.exists() and ") Z " in stat.read_text())
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_processes_and_keeps_the_outcomes(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 0.5)  # the third ignores SIGTERM
    logs = [tmp_path / name / "log.txt" for name in "12"]
    before = signal.getsignal(signal.SIGTERM)

    def interrupt_when_all_are_up(running: object, outcomes: list[Outcome]) -> None:
        up = all(p.exists() and p.read_text().endswith("\n") for p in logs)
        if up and outcomes:
            os.kill(os.getpid(), number)

    outcomes: list[Outcome] = []
    with pytest.raises(KeyboardInterrupt):
        work(
            make_jobs(tmp_path, 4),
            outcomes,
            command=python(QUICK, LASTS, DEAF, LASTS),
            at_once=3,
            environment={},
            watch=interrupt_when_all_are_up,
        )
    ended = states(outcomes)
    assert {name: ended[name] for name in "012"} == {
        "0": "done",
        "1": "stopped",
        "2": "stopped",
    }
    assert not any(is_alive(int(log.read_text())) for log in logs)
    assert signal.getsignal(signal.SIGTERM) is before


def test_children_of_a_killed_process_end(tmp_path: Path) -> None:
    child_code = f"from graphseq.runtime import *; end_with_parent()\n{LASTS}"
    code = (
        "import sys, pathlib\n"
        "from graphseq.cli.jobs import Job, work\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "job = Job('x.yaml', 0, 'f', folder, None, 5, True)\n"
        "work([job], [], command=lambda job: [sys.executable, '-c', sys.argv[2]],"
        " at_once=1, environment={})\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), child_code])
    log = tmp_path / "log.txt"
    until = time.monotonic() + 30
    while not (log.exists() and log.read_text().endswith("\n")):
        assert time.monotonic() < until
        time.sleep(0.05)
    child = int(log.read_text())
    parent.kill()
    parent.wait()
    while is_alive(child):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_variants_of_a_yml_file_are_named(here: Path) -> None:
    variants = {name: {"evaluate": {"ks": [k]}} for name, k in (("x", 1), ("y", 2))}
    Path("base.yml").write_text(yaml.safe_dump(POP | {"variants": variants}))
    folders = [job.folder.name for job in listed("base.yml")]
    assert [folder.rsplit("-", 2)[0] for folder in folders] == ["base-x", "base-y"]
