"""What is seen of a queue: a table that renews itself, or lines in a file."""

import csv
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from graphseq.cli.jobs import Job
from graphseq.cli.workers import Outcome

EVERY = 60.0  # seconds between two lines of a run, where there is no terminal


def standing(job: Job) -> tuple[int, float | None]:
    """The epochs that a run has behind it, and its best monitored value so far."""
    try:
        with (job.folder / "history.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError:  # its first epoch is not over
        return 0, None
    values = [float(row[job.monitor]) for row in rows if row.get(job.monitor or "")]
    return int(rows[-1]["epoch"]) if rows else 0, max(values, default=None)


def told(job: Job, seconds: float) -> str:
    """A running job in a few words."""
    epoch, best = standing(job)
    shown = "" if best is None else f"  best {job.monitor} {best:.4f}"
    return f"epoch {epoch} of {job.epochs}{shown}  {clock(seconds)}"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Lines:
    """A line when a run starts, ends, and now and then when it has come further."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.told: dict[Job, tuple[float, int]] = {}
        self.ended = 0

    def __call__(self, running: Mapping[Job, float], outcomes: list[Outcome]) -> None:
        """Tell what is new."""
        for outcome in outcomes[self.ended :]:
            self.ended += 1
            words = f"{outcome.state}  {told(outcome.job, outcome.seconds)}"
            print(
                f"[{self.ended}/{self.total}] {outcome.job.name}: {words}", flush=True
            )
        for job, seconds in running.items():
            before, epoch = self.told.get(job, (-EVERY, -1))
            if seconds - before < EVERY or standing(job)[0] == epoch:
                continue
            words = told(job, seconds) if job in self.told else f"started, {job.folder}"
            self.told[job] = (seconds, standing(job)[0])
            print(f"{job.name}: {words}", flush=True)


class Screen(Lines):
    """The running jobs as a table below the lines of those that ended."""

    def __init__(self, total: int, live: Any) -> None:
        super().__init__(total)
        self.live = live

    def __call__(self, running: Mapping[Job, float], outcomes: list[Outcome]) -> None:
        """Tell what ended, and show the rest anew."""
        from rich.table import Table

        super().__call__({}, outcomes)
        shown = Table("run", "epoch", "best so far", "elapsed", header_style="bold")
        for job, seconds in running.items():
            epoch, best = standing(job)
            value = "" if best is None else f"{job.monitor} {best:.4f}"
            shown.add_row(job.name, f"{epoch} of {job.epochs}", value, clock(seconds))
        waiting = self.total - len(outcomes) - len(running)
        shown.caption = f"{len(outcomes)} of {self.total} ended, {waiting} waiting"
        self.live.update(shown)


@contextmanager
def watching(total: int) -> Iterator[Lines]:
    """Whatever suits the output."""
    if not sys.stdout.isatty():
        yield Lines(total)
        return
    from rich.live import Live

    with Live(refresh_per_second=2, transient=True) as live:
        yield Screen(total, live)
