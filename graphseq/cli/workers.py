"""Jobs in processes of their own, several at a time; one that fails harms no other."""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from graphseq.cli.jobs import Job

LOG = "log.txt"
TAIL = 12  # lines of the log of a failed run that are shown
POLL, GRACE = 0.2, 15.0  # seconds
State = Literal["done", "failed", "stopped", "elsewhere"]


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: Which.
        state: ``done``; ``failed``; ``stopped`` (it can be gone on with);
            ``elsewhere`` (another process has its folder or made its row).
        seconds: Wall time.
        said: The end of the log of a failed run.
    """

    job: Job
    state: State
    seconds: float
    said: str = ""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or a polite request to end; carries what was done until then."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    started: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def outcome(self, state: State) -> Outcome:
        self.log.close()
        said = tail(self.job.folder / LOG) if state == "failed" else ""
        return Outcome(self.job, state, self.seconds, said)


def work(
    jobs: Sequence[Job],
    *,
    command: Callable[[Job], list[str]],
    at_once: int,
    environment: Mapping[str, str],
    is_made: Callable[[Job], bool] = lambda job: False,
    watch: Callable[[Mapping[Job, float], list[Outcome]], None] = lambda *_: None,
) -> list[Outcome]:
    """Do all jobs, so many at once.

    Args:
        jobs: In the order in which they are started.
        command: What to run for a job; its output goes to ``log.txt`` in its folder.
        at_once: Processes at a time.
        environment: Variables for the processes, besides those of this one.
        is_made: Whether a job was done by someone else since; asked at its start.
        watch: Told the seconds of the running jobs and the outcomes, over and over.

    Raises:
        Interrupted: After Ctrl-C, when all processes have ended.
    """
    waiting, outcomes = deque(jobs), list[Outcome]()
    running: list[_Running] = []
    try:
        with _terminable():
            while waiting or running:
                while waiting and len(running) < at_once:
                    job = waiting.popleft()
                    made = is_made(job)
                    started = None if made else _start(job, command, environment)
                    if started is None:
                        outcomes.append(Outcome(job, "elsewhere", 0.0))
                    else:
                        running.append(started)
                for one in [r for r in running if r.process.poll() is not None]:
                    running.remove(one)
                    good = one.process.returncode == 0
                    outcomes.append(one.outcome("done" if good else "failed"))
                watch({one.job: one.seconds for one in running}, outcomes)
                if running:
                    time.sleep(POLL)
    except KeyboardInterrupt:
        _stop([one.process for one in running])
        outcomes += [one.outcome("stopped") for one in running]
        raise Interrupted(outcomes) from None
    finally:  # whatever went wrong here, no process is left behind
        _kill([one.process for one in running])
    return outcomes


def _start(
    job: Job, command: Callable[[Job], list[str]], environment: Mapping[str, str]
) -> _Running | None:
    """Start a job; ``None`` if another process works in its folder."""
    job.folder.mkdir(parents=True, exist_ok=True)
    log = (job.folder / LOG).open("ab")
    if not _claim(log):
        log.close()
        return None
    process = subprocess.Popen(
        command(job),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        start_new_session=True,  # Ctrl-C comes to us alone, and we pass it on
    )
    return _Running(job, process, log, time.monotonic())


def _claim(log: IO[bytes]) -> bool:
    """Lock the log, which the job inherits: the lock lasts until the last has ended."""
    try:
        import fcntl
    except ImportError:  # where there is no flock, nothing keeps two queues apart
        return True
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask them to end, and wait a while; a second Ctrl-C does not wait."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    until = time.monotonic() + GRACE
    with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
        for process in processes:
            process.wait(max(0.0, until - time.monotonic()))
    _kill(processes)


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a process with all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat a request to end (SIGTERM) as Ctrl-C is treated."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # only the main thread may say what signals do
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tail(log: Path, lines: int = TAIL) -> str:
    """The end of a log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
