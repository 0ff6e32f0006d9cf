"""Who builds tells how far it is; who watches decides what to show of it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

Done = TypeVar("Done")


@dataclass(frozen=True)
class Advance:
    """How far a stage is.

    Attributes:
        stage: Its name.
        done: Units done.
        total: Units there are; 0 where a step begins (:func:`begin`).
        unit: What is counted, such as multiply-adds.
    """

    stage: str
    done: int
    total: int
    unit: str


Watcher = Callable[[Advance], None]

_watcher: ContextVar[Watcher | None] = ContextVar("graphseq_watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Tell ``watcher`` how far each stage is that runs inside the block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def begin(step: object) -> None:
    """Tell whoever watches that another step begins; nothing of it is done yet."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(Advance(type(step).__name__, 0, 0, ""))


def tracked(
    parts: Iterable[Done], work: Iterable[int], *, stage: str, unit: str
) -> Iterator[Done]:
    """The parts of a stage, one after the other; after each its work counts as done.

    Args:
        parts: What is to be gone through.
        work: Units of work of each part.
        stage: Name of the stage.
        unit: What is counted.
    """
    amounts = list(work)
    done, total, watcher = 0, sum(amounts), _watcher.get()
    if watcher is not None:
        watcher(Advance(stage, 0, total, unit))
    for part, amount in zip(parts, amounts, strict=True):
        yield part
        done += amount
        if watcher is not None:
            watcher(Advance(stage, done, total, unit))
