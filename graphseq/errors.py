"""User-facing errors: each says what was requested, what was found, and what to do.

The command line prints them without a traceback and exits with code 2. Any other
exception is a fault of graphseq and keeps its traceback.
"""

import difflib
import errno
from collections.abc import Collection

REFUSED = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EIO,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
)
"""Numbers of an :class:`OSError` that a user can fix: the disk is full, for example."""


class GraphSeqError(Exception):
    """Base of every error that a user can fix."""


class DataError(GraphSeqError):
    """A log, or what a filter or a split left of it, cannot be used."""


class GraphError(GraphSeqError):
    """A graph lacks a relation, does not fit a model, or a saved one is damaged."""


class ConfigError(GraphSeqError):
    """Options contradict each other, are misspelt, or have the wrong type."""


class RunError(GraphSeqError):
    """A run folder cannot be used: foreign, unfinished, or of another graph."""


def quantity(number: int, noun: str) -> str:
    """A number with its noun: ``1 user``, ``2,000 users``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


FORMER = {
    "lr_decay": "write lr_schedule: StepDecay with gamma and every",
    "lr_decay_every": "write lr_schedule: StepDecay with gamma and every",
}
"""Options of earlier releases, and what replaces them."""


def suggest(name: object, known: Collection[str]) -> str:
    """The nearest known name as a question, or else all of them."""
    if name in FORMER:
        return FORMER[str(name)]
    ranks = {other.lower(): other for other in known}
    near = difflib.get_close_matches(str(name).lower(), ranks, n=1)
    if near:
        return f"did you mean {ranks[near[0]]!r}?"
    shown = [*known][:10] + ["…"] * (len(known) > 10)
    return f"there are {', '.join(shown)}" if known else "there are none"
