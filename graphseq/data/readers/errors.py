"""What is wrong with the lines of a file, told at once."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from graphseq.data.arrays import Int64s, Mask
from graphseq.errors import DataError

OnError = Literal["raise", "skip"]
SHOWN = 10  # faults that a report spells out


class SkippedLines(UserWarning):
    """Lines were left out of a log because ``on_error="skip"`` was asked for."""


@dataclass(frozen=True)
class Check:
    """One way in which rows can be faulty.

    Attributes:
        reason: What is wrong, in general; the key under which it is counted.
        faulty: True where it is, (E,).
        found: What a faulty row holds instead, given its place among the rows.
    """

    reason: str
    faulty: Mask
    found: Callable[[int], str]


class Faults:
    """The faults of a file, gathered block by block.

    A line counts once, under its first reason, however many rows it gave.

    Args:
        name: Of the file, for messages.
        unit: What its lines are called.
    """

    def __init__(self, name: str, unit: str = "line") -> None:
        self._name, self._unit = name, unit
        self._told: list[str] = []
        self._counts: dict[str, int] = {}  # every reason, in the order of the checks
        self._lines = 0
        self._sound = False  # whether any row is

    def sift(self, checks: Sequence[Check], lines: Int64s) -> Mask:
        """The rows of a block without a fault, (E,).

        Args:
            checks: The same for every block, (E,) each.
            lines: Line on which each row stands, ascending, (E,).
        """
        self._lines += int(np.count_nonzero(np.diff(lines, prepend=-1)))
        self._counts = self._counts or {check.reason: 0 for check in checks}
        sound: Mask = ~np.logical_or.reduce([check.faulty for check in checks])
        self._sound |= bool(sound.any())
        if not sound.all():
            self._note(checks, lines)
        return sound

    def _note(self, checks: Sequence[Check], lines: Int64s) -> None:
        reason = np.full(len(lines), -1)
        for number in reversed(range(len(checks))):
            reason[checks[number].faulty] = number
        rows = np.flatnonzero(reason >= 0)
        rows = rows[np.unique(lines[rows], return_index=True)[1]]  # one a line
        amounts = np.bincount(reason[rows], minlength=len(checks)).tolist()
        for check, amount in zip(checks, amounts, strict=True):
            self._counts[check.reason] += amount
        for row in rows[: SHOWN - len(self._told)].tolist():
            check = checks[reason[row]]
            what = f"{check.reason}; {check.found(row)}"
            self._told.append(f"  {self._unit} {lines[row]}: {what}")

    def settle(self, on_error: OnError) -> dict[str, int]:
        """How many lines have which fault, once all are seen.

        Raises:
            DataError: There are faults and ``on_error`` is "raise", or no row is sound.
        """
        counts = {reason: count for reason, count in self._counts.items() if count}
        faulty = sum(counts.values())
        if not faulty:
            return {}
        if on_error == "raise" or not self._sound:
            raise DataError(
                _report(self._name, self._told, faulty, self._lines, self._unit)
            )
        spelt = ", ".join(f"{count:,} {why}" for why, count in counts.items())
        warnings.warn(
            f"{self._name}: left out {faulty:,} of {self._lines:,} {self._unit}s "
            f"({spelt})",
            SkippedLines,
            stacklevel=3,
        )
        return counts


def _report(name: str, told: list[str], faulty: int, rows: int, unit: str) -> str:
    shown = f", of which {len(told)} are shown" if faulty > len(told) else ""
    cure = (
        "No row is sound: check format= and columns="
        if faulty == rows
        else f'Mend the file, or pass on_error="skip" to leave these {unit}s out'
    )
    title = f"{name}: {faulty:,} faulty {unit}{'s' * (faulty > 1)} of {rows:,}{shown}"
    return "\n".join([title, *told, cure])
