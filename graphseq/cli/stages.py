"""Long work, stage by stage: how far it is, what it took, what came of it."""

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphseq.cli.progress import clock
from graphseq.runtime import format_bytes as spelt
from graphseq.runtime import peak_memory

if TYPE_CHECKING:
    from rich.table import Table

    from graphseq.graphs.progress import Advance

PAUSE = 10.0  # seconds between two lines of a stage, where there is no terminal


@dataclass
class Stage:
    """A stage that is over.

    Attributes:
        name: Its name.
        seconds: Of wall-clock time.
        memory: Bytes that the process held at most up to its end.
        made: What came of it.
    """

    name: str
    seconds: float
    memory: int
    made: str = ""


class Stages:
    """Stages that follow each other: a bar on a terminal, or now and then a line.

    Use it in a ``with`` block; an open stage ends with the block.
    """

    def __init__(self, shows: bool | None = None) -> None:
        self.over: list[Stage] = []
        self._name: str | None = None
        self._began = self._told = 0.0
        self._shows = sys.stderr.isatty() if shows is None else shows
        self._bar: Any = None

    def __enter__(self) -> "Stages":
        if self._shows:
            self._bar = _bar()
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if self._bar is not None:
            self._bar.stop()

    def begin(self, name: str) -> None:
        """End the stage that is open, and open another."""
        self.end()
        self._name, self._began = name, time.monotonic()
        self._told = self._began
        if self._bar is not None:
            self._task = self._bar.add_task(name, total=None, told="")

    def end(self, made: str = "") -> None:
        """Close the open stage, if there is one."""
        if self._name is None:
            return
        seconds = time.monotonic() - self._began
        self.over.append(Stage(self._name, seconds, peak_memory(), made))
        self._name = None
        if self._bar is not None:
            self._bar.remove_task(self._task)

    def advance(self, step: "Advance") -> None:
        """Show how far the open stage is."""
        now = time.monotonic()
        words = told(step, now - self._began)
        if self._bar is not None:
            self._bar.update(
                self._task, total=step.total, completed=step.done, told=words
            )
        elif now - self._told > PAUSE:
            self._told = now
            print(f"{self._name}: {words}", file=sys.stderr, flush=True)

    def table(self) -> "Table":
        """What each stage made, how long it took, and the memory up to its end."""
        from rich.table import Table

        shown = Table(header_style="bold")
        shown.add_column("stage", no_wrap=True)
        shown.add_column("made")
        shown.add_column("seconds", justify="right")
        shown.add_column("most memory so far", justify="right")
        for stage in self.over:
            seconds = f"{stage.seconds:,.1f}"
            shown.add_row(stage.name, stage.made, seconds, spelt(stage.memory))
        total = sum(stage.seconds for stage in self.over)
        shown.add_section()
        shown.add_row("in all", "", f"{total:,.1f}", spelt(peak_memory()))
        return shown


def told(step: "Advance", seconds: float) -> str:
    """Share, rate and remaining time of a stage."""
    share = step.done / step.total if step.total else 0.0
    if not step.done or seconds <= 0:
        return f"{share:.0%}"
    left = clock(seconds * (step.total - step.done) / step.done)
    return f"{share:.0%}, {_short(step.done / seconds)} {step.unit}/s, {left} left"


def _short(amount: float) -> str:
    """1.2 million rather than 1234567.8."""
    for unit in ("", " thousand", " million"):
        if amount < 1000:
            return f"{amount:.3g}{unit}"
        amount /= 1000
    return f"{amount:.3g} billion"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
        console=Console(stderr=True),
        transient=True,
    )
