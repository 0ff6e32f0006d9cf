"""Malformed lines of a file: detected, counted, and reported at once."""

import csv
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.errors import DataError

OnError = Literal["raise", "skip"]
PARSER_ERRORS = (
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
    *(csv.Error, ValueError, OverflowError, RecursionError, OSError),
)
NO_TIME = "time is neither a number nor a date (ISO 8601)"
SHOWN = 10  # malformed lines that a report lists


class SkippedLines(UserWarning):
    """Malformed lines were skipped, as requested by ``on_error="skip"``."""


@dataclass(frozen=True)
class Check:
    """One way in which rows can be malformed.

    Attributes:
        reason: What is wrong; the key under which it is counted.
        faulty: True for malformed rows, (E,).
        found: Describes the content of a malformed row, given its index.
    """

    reason: str
    faulty: Mask
    found: Callable[[int], str]


class MalformedLines:
    """The malformed lines of a file, collected block by block.

    A line counts once, under its first reason, however many rows it has.

    Args:
        name: File name, for messages.
        unit: "line" or "row", for messages.
    """

    def __init__(self, name: str, unit: str = "line") -> None:
        self._name, self.unit = name, unit
        self._shown: list[str] = []
        self._counts: dict[str, int] = {}  # all reasons, in the order of the checks
        self._lines = 0
        self._any_valid = False

    def collect(self, checks: Sequence[Check], lines: Int64s) -> Mask:
        """Record the malformed rows of a block; returns a mask of valid ones, (E,).

        Args:
            checks: The same checks for each block, (E,) each.
            lines: Line number of each row, ascending, (E,).
        """
        self._lines += int(np.count_nonzero(np.diff(lines, prepend=-1)))
        self._counts = self._counts or {check.reason: 0 for check in checks}
        valid: Mask = ~np.logical_or.reduce([check.faulty for check in checks])
        self._any_valid |= bool(valid.any())
        if not valid.all():
            self._record(checks, lines)
        return valid

    def _record(self, checks: Sequence[Check], lines: Int64s) -> None:
        reason = first_reasons(checks, len(lines))
        rows = np.flatnonzero(reason >= 0)
        rows = rows[np.unique(lines[rows], return_index=True)[1]]  # one per line
        amounts = np.bincount(reason[rows], minlength=len(checks)).tolist()
        for check, amount in zip(checks, amounts, strict=True):
            self._counts[check.reason] += amount
        for row in rows[: SHOWN - len(self._shown)].tolist():
            check = checks[reason[row]]
            problem = f"{check.reason}; {check.found(row)}"
            self._shown.append(f"  {self.unit} {lines[row]}: {problem}")

    def finish(self, on_error: OnError) -> dict[str, int]:
        """Raise or warn once all blocks are read; returns the lines by reason.

        Raises:
            DataError: Lines are malformed and ``on_error`` is "raise", or all are.
        """
        counts = {reason: count for reason, count in self._counts.items() if count}
        faulty = sum(counts.values())
        if not faulty:
            return {}
        if on_error == "raise" or not self._any_valid:
            raise DataError(self._report(faulty))
        reasons = ", ".join(f"{count:,} {why}" for why, count in counts.items())
        warnings.warn(
            f"{self._name}: skipped {faulty:,} of {self._lines:,} {self.unit}s "
            f"({reasons})",
            SkippedLines,
            stacklevel=3,
        )
        return counts

    def _report(self, faulty: int) -> str:
        shown, unit = self._shown, self.unit
        title = f"{self._name}: {faulty:,} malformed {unit}{'s' * (faulty > 1)} of "
        title += f"{self._lines:,}"
        if faulty > len(shown):
            title += f"; the first {len(shown)} are"
        untimed = faulty == self._counts.get(NO_TIME, 0)
        cure = (
            f"No {unit} has a time that is read. Convert the column first, such as "
            'pl.col("time").str.to_datetime("%d/%m/%Y %H:%M"), or name another one'
            if faulty == self._lines and untimed
            else f"No {unit} is valid: check the format and the columns"
            if faulty == self._lines
            else f"Correct the file, or skip these {unit}s: --on-error skip (in "
            'Python, on_error="skip")'
        )
        return "\n".join([title, *shown, cure])


def first_reasons(checks: Sequence[Check], rows: int) -> Int64s:
    """Index of the first check that each row fails, (E,); -1 for a valid row."""
    reason = np.full(rows, -1)
    for number in reversed(range(len(checks))):
        reason[checks[number].faulty] = number
    return reason


@contextmanager
def parser_errors(
    name: str, cure: str, problem: str = "cannot be read"
) -> Iterator[None]:
    """Report whatever a parser raises as an error of the file.

    Parsers raise more than they document: a panic of polars is not even an
    ``Exception``, deep JSON exhausts the stack, and text may not be encodable.

    Args:
        name: File name, for messages.
        cure: What to do.
        problem: What is wrong with the file.

    Raises:
        DataError: The block raised an error of a parser.
    """
    try:
        yield
    except PARSER_ERRORS as error:
        why = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{name} {problem} ({why}). {cure}") from error
