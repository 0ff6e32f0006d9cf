"""Many runs: the list of jobs, and child processes that work through it."""

import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from graphseq.errors import GraphSeqError
from graphseq.runtime import PARENT, interrupted_by_signals

if TYPE_CHECKING:
    from graphseq.config import Experiment

State = Literal["done", "failed", "stopped", "elsewhere"]

LOG = "log.txt"
TAIL = 12  # lines of the log of a failed run that are shown
POLL, GRACE = 0.2, 15.0  # seconds


@dataclass(frozen=True)
class Job:
    """One run: an experiment and a seed.

    Attributes:
        experiment: The experiment file.
        seed: Seed of this run.
        fingerprint: Hash of the options of the experiment, without the seed.
        folder: Run folder; it depends on the experiment and the seed only.
        monitor: Metric by which the best epoch is chosen.
        epochs: Maximum number of epochs.
        own_seed: Whether this is the seed in the file.
        untrained: Whether its weights would stay random: it has no epochs.
    """

    experiment: str
    seed: int
    fingerprint: str
    folder: Path
    monitor: str | None
    epochs: int
    own_seed: bool
    untrained: bool = False

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"{_label(self.experiment)} seed {self.seed}"


def list_jobs(
    words: Sequence[str],
    *,
    settings: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    runs: Path = Path("runs"),
    graph: Path | None = None,
    data: Path | None = None,
) -> tuple[list[Job], dict[str, str]]:
    """All (experiment, seed) pairs: all experiments with one seed, then with the next.

    Args:
        words: Experiment files, folders of them, or patterns.
        settings: Overrides of options, such as ``train.max_epochs=5``.
        seeds: Seeds of every experiment; ``None`` is the one in its file.
        runs: Folder of the run folders.
        graph: Saved graph of all experiments, instead of their data.
        data: Folder of the data, with which the graph is compared.

    Returns:
        The jobs, and the error message of each file that cannot be run.

    Raises:
        ConfigError: A word names no file.
    """
    from graphseq.config import load

    jobs: list[Job] = []
    refused: dict[str, str] = {}
    order = list(dict.fromkeys(seeds or ()))
    for name in find_experiments(words):
        try:
            experiment = load(name, settings)
            if graph is not None:
                experiment = experiment.on_graph(graph, data)
        except GraphSeqError as error:
            refused[name] = str(error)
        else:
            own = order or [experiment.seed]
            jobs += [_job(name, experiment, seed, runs) for seed in own]
    return sorted(jobs, key=lambda j: order.index(j.seed) if order else 0), refused


def _job(name: str, experiment: "Experiment", seed: int, runs: Path) -> Job:
    from graphseq.config.fingerprint import fingerprint

    options, word = experiment.resolved()["train"], fingerprint(experiment.options)
    return Job(
        experiment=name,
        seed=seed,
        fingerprint=word,
        folder=runs / f"{_label(name)}-{word[:8]}-{seed}",
        monitor=options["monitor"],
        epochs=options["max_epochs"],
        own_seed=seed == experiment.seed,
        untrained=options["start"] is None and experiment.keeps_random_weights,
    )


def find_experiments(words: Sequence[str]) -> list[str]:
    """Names of the experiments of files, variants, folders and patterns; once each.

    Raises:
        ConfigError: A word names no experiment.
    """
    from graphseq.config import experiment_names

    return list(
        dict.fromkeys(name for word in words for name in experiment_names(word))
    )


def _label(experiment: str) -> str:
    """Folder, stem and variant of a file; for the file of a run, the run's name."""
    path = Path(re.sub(r"\.ya?ml:", "-", experiment)).absolute()
    if path.name == "experiment.yaml":
        return path.parent.name
    folder = path.parent
    alone = folder.name == "experiments" or folder == Path.cwd()
    return path.stem if alone else f"{folder.name}-{path.stem}"


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: The job.
        state: ``done``; ``failed``; ``stopped`` (it can be resumed); ``elsewhere``
            (another process uses its folder, or has recorded it).
        seconds: Wall-clock time.
        tail: The last lines of the log of a failed run.
    """

    job: Job
    state: State
    seconds: float
    tail: str = ""


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.log.close()


def work(
    jobs: Sequence[Job],
    outcomes: list[Outcome],
    *,
    command: Callable[[Job], list[str]],
    at_once: int,
    environment: Mapping[str, str],
    is_recorded: Callable[[Job], bool] = lambda job: False,
    watch: Callable[[Mapping[Job, float], list[Outcome]], None] = lambda *_: None,
) -> None:
    """Run all jobs in child processes; one that fails does not stop the others.

    Args:
        jobs: In the order in which they are started.
        outcomes: Filled as the jobs end, also when this function is interrupted.
        command: The command of a job; its output goes to ``log.txt`` in its folder.
        at_once: Maximum number of processes at a time.
        environment: Variables for the processes, added to those of this one.
        is_recorded: Whether another process has done a job; called before its start.
        watch: Called with the seconds of the running jobs, and the outcomes.

    Raises:
        KeyboardInterrupt: After Ctrl-C, SIGTERM or SIGHUP, when all have ended.
    """
    waiting, running = deque(jobs), dict[Job, _Child]()

    def end(job: Job, state: State) -> None:
        child = running.pop(job)
        child.close()
        text = tail(job.folder / LOG) if state == "failed" else ""
        outcomes.append(Outcome(job, state, child.seconds, text))

    signals = ExitStack()
    signals.enter_context(interrupted_by_signals())
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.popleft()
                child = None if is_recorded(job) else _start(job, command, environment)
                if child is None:
                    outcomes.append(Outcome(job, "elsewhere", 0.0))
                else:
                    running[job] = child
            for job, child in list(running.items()):
                if (code := child.process.poll()) is not None:
                    end(job, "failed" if code else "done")
            watch({job: child.seconds for job, child in running.items()}, outcomes)
            if running:
                time.sleep(POLL)
    except KeyboardInterrupt:
        _end([child.process for child in running.values()], GRACE)
        for job in list(running):
            end(job, "stopped")
        raise
    finally:  # no process is left running after another error
        _end([child.process for child in running.values()], 0.0)
        signals.close()


def _start(
    job: Job, command: Callable[[Job], list[str]], environment: Mapping[str, str]
) -> _Child | None:
    """Start a job; ``None`` if another process works in its folder.

    The child inherits the lock on the log and holds it until it ends.
    """
    from graphseq.locks import lock_file

    job.folder.mkdir(parents=True, exist_ok=True)
    log = (job.folder / LOG).open("ab")
    if not lock_file(log):
        log.close()
        return None
    process = subprocess.Popen(
        command(job),
        stdin=subprocess.PIPE,  # it closes when this process ends; see end_with_parent
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment, PARENT: "stdin"},
        start_new_session=True,  # Ctrl-C reaches this process only, which passes it on
    )
    return _Child(process, log)


def _end(processes: Sequence[subprocess.Popen[bytes]], grace: float) -> None:
    """End processes and their children; kill those that outlive the grace period.

    A second Ctrl-C ends the grace period.
    """
    until = time.monotonic() + grace
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(ProcessLookupError):
                if process.poll() is None:
                    os.killpg(process.pid, number)
        with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            for process in processes:
                left = max(0.0, until - time.monotonic())
                process.wait(left if number == signal.SIGTERM else None)


def tail(log: Path, lines: int = TAIL) -> str:
    """The last lines of a log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
