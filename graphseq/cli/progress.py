"""Progress of long work: bars and tables on a terminal, lines in a file."""

import csv
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphseq.runtime import format_bytes, is_quiet, peak_memory

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from graphseq.cli.jobs import Job, Outcome
    from graphseq.graphs.progress import Advance

STAGE_PAUSE = 10.0  # seconds between two lines of a stage without a terminal
RUN_PAUSE = 60.0  # the same for a run
logger = logging.getLogger(__name__)
UNLIMITED = 2**20  # columns of a line that is not shown on a terminal


def make_console(*, emoji: bool = True) -> "Console":
    """A console for results; text for a file or another program is never cut.

    On a terminal, a table that is too wide continues in another one below
    (:func:`.fit_width`).
    """
    from rich.console import Console
    from rich.protocol import rich_cast
    from rich.table import Table

    from graphseq.cli.tables import fit_width

    class Results(Console):
        def on_broken_pipe(self) -> None:
            """Let the command end as after any other closed pipe; rich exits with 1."""
            raise BrokenPipeError

        def print(self, *objects: Any, **options: Any) -> None:
            """Print, with wide tables in several parts."""
            shown: list[Any] = []
            for each in map(rich_cast, objects):
                parts = fit_width(each, self) if isinstance(each, Table) else [each]
                shown += parts
            super().print(*shown, **options)

    width = None if sys.stdout.isatty() else UNLIMITED
    return Results(soft_wrap=True, emoji=emoji, width=width)


@dataclass
class Stage:
    """A finished stage.

    Attributes:
        name: Its name.
        seconds: Wall-clock time.
        memory: Peak memory of the process up to its end, in bytes.
        result: Its result, in words.
    """

    name: str
    seconds: float
    memory: int
    result: str = ""


class Stages:
    """Consecutive stages of one command: a bar on a terminal, or a line now and then.

    Use it in a ``with`` block; an open stage ends with the block.

    Args:
        on_terminal: Whether to show bars; by default if standard error is a terminal.
    """

    def __init__(self, on_terminal: bool | None = None) -> None:
        self.finished: list[Stage] = []
        self._name: str | None = None
        self._began = self._printed = 0.0
        shown = sys.stderr.isatty() if on_terminal is None else on_terminal
        self._bar = _bar() if shown and not is_quiet() else None

    def __enter__(self) -> "Stages":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if self._bar is not None:
            self._bar.stop()

    def begin(self, name: str) -> None:
        """End the open stage and begin another."""
        self.end()
        self._name, self._began = name, time.monotonic()
        self._printed = self._began
        if self._bar is not None:
            self._task = self._bar.add_task(name, total=None, words="")

    def end(self, result: str = "") -> None:
        """End the open stage, if there is one."""
        if self._name is None:
            return
        seconds = time.monotonic() - self._began
        self.finished.append(Stage(self._name, seconds, peak_memory(), result))
        logger.debug("%s: %.2f s %s", self._name, seconds, result)
        self._name = None
        if self._bar is not None:
            self._bar.remove_task(self._task)

    def advance(self, step: "Advance") -> None:
        """Show the progress of the open stage."""
        now = time.monotonic()
        words = describe_progress(step, now - self._began)
        if self._bar is not None:
            self._bar.update(
                self._task, total=step.total, completed=step.done, words=words
            )
        elif now - self._printed > STAGE_PAUSE and not is_quiet():
            self._printed = now
            print(f"{self._name}: {words}", file=sys.stderr, flush=True)

    def table(self) -> "Table":
        """Result, time and peak memory of each stage."""
        from rich.table import Table

        shown = Table(header_style="bold")
        shown.add_column("stage", no_wrap=True)
        shown.add_column("result")
        shown.add_column("seconds", justify="right")
        shown.add_column("peak memory so far", justify="right")
        for stage in self.finished:
            seconds = f"{stage.seconds:,.1f}"
            shown.add_row(stage.name, stage.result, seconds, format_bytes(stage.memory))
        total = sum(stage.seconds for stage in self.finished)
        shown.add_section()
        shown.add_row("total", "", f"{total:,.1f}", format_bytes(peak_memory()))
        return shown


def describe_progress(step: "Advance", seconds: float) -> str:
    """Fraction, rate and remaining time of a stage."""
    fraction = step.done / step.total if step.total else 0.0
    if not step.done or seconds <= 0:
        return f"{fraction:.0%}"
    left = clock(seconds * (step.total - step.done) / step.done)
    rate = _short(step.done / seconds)
    return f"{fraction:.0%}, {rate} {step.unit}/s, {left} left"


def _short(amount: float) -> str:
    """1.2 million rather than 1234567.8."""
    for unit in ("", " thousand", " million"):
        if amount < 1000:
            return f"{amount:.3g}{unit}"
        amount /= 1000
    return f"{amount:.3g} billion"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        transient=True,
    )


def epochs_and_best(job: "Job") -> tuple[int, float | None]:
    """Finished epochs of a run, and its best monitored value so far."""
    try:
        with (job.folder / "history.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError:  # the first epoch is not finished
        return 0, None
    values = [float(row[job.monitor]) for row in rows if row.get(job.monitor or "")]
    return int(rows[-1]["epoch"]) if rows else 0, max(values, default=None)


class RunLines:
    """A line when a run starts, ends, and now and then when it has advanced."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._printed: dict[Job, tuple[float, int]] = {}
        self._ended = 0

    def __call__(
        self, running: "Mapping[Job, float]", outcomes: "Sequence[Outcome]"
    ) -> None:
        """Print the changes; ``running`` gives the seconds of each run."""
        if is_quiet():
            return
        for outcome in outcomes[self._ended :]:
            self._ended += 1
            words = f"{outcome.state}  {_describe_run(outcome.job, outcome.seconds)}"
            print(
                f"[{self._ended}/{self.total}] {outcome.job.name}: {words}", flush=True
            )
        for job, seconds in running.items():
            epoch, _ = epochs_and_best(job)
            before, last = self._printed.get(job, (-RUN_PAUSE, -1))
            if seconds - before < RUN_PAUSE or epoch == last:
                continue
            words = (
                f"started, {job.folder}" if last < 0 else _describe_run(job, seconds)
            )
            self._printed[job] = (seconds, epoch)
            print(f"{job.name}: {words}", flush=True)


def _describe_run(job: "Job", seconds: float) -> str:
    epoch, best = epochs_and_best(job)
    value = "" if best is None else f"  best {job.monitor} {best:.4f}"
    return f"epoch {epoch} of {job.epochs}{value}  {clock(seconds)}"
