"""Progress reporting: long computations report, a callback decides what to show."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

Part = TypeVar("Part")


@dataclass(frozen=True)
class Advance:
    """The progress of one stage.

    Attributes:
        stage: Its name.
        done: Units done.
        total: Units in all; 0 when a step begins (:func:`report_step`).
        unit: The unit, such as multiply-adds.
    """

    stage: str
    done: int
    total: int
    unit: str


Callback = Callable[[Advance], None]

_callback: ContextVar[Callback | None] = ContextVar("graphseq_progress", default=None)


@contextmanager
def progress_callback(callback: Callback) -> Iterator[None]:
    """Call ``callback`` with the progress of each stage that runs inside the block."""
    token = _callback.set(callback)
    try:
        yield
    finally:
        _callback.reset(token)


def report_step(step: object) -> None:
    """Report that a step of building a graph begins."""
    _report(Advance(type(step).__name__, 0, 0, ""))


def track(
    parts: Iterable[Part], work: Iterable[int], *, stage: str, unit: str
) -> Iterator[Part]:
    """Yield the parts of a stage, and report the work of each when it is done.

    Args:
        parts: The parts to process.
        work: Units of work of each part.
        stage: Name of the stage.
        unit: The unit of work.
    """
    amounts = list(work)
    done, total = 0, sum(amounts)
    _report(Advance(stage, 0, total, unit))
    for part, amount in zip(parts, amounts, strict=True):
        yield part
        done += amount
        _report(Advance(stage, done, total, unit))


def _report(advance: Advance) -> None:
    callback = _callback.get()
    if callback is not None:
        callback(advance)
