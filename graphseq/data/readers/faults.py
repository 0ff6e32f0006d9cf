"""What is wrong with the lines of a file, told at once."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from graphseq.data.columns import Int64s, Mask
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


def sound_rows(
    name: str,
    checks: Sequence[Check],
    lines: Int64s,
    on_error: OnError,
    unit: str = "line",
) -> tuple[Mask, dict[str, int]]:
    """The rows without a fault, (E,), and how many have which.

    A line counts once, under its first reason, however many rows it gave.

    Raises:
        DataError: There are faults and ``on_error`` is "raise", or no row is sound.
    """
    reason = np.full(len(lines), -1)
    for number in reversed(range(len(checks))):
        reason[checks[number].faulty] = number
    rows = np.flatnonzero(reason >= 0)
    if not len(rows):
        return reason < 0, {}
    rows = rows[np.unique(lines[rows], return_index=True)[1]]  # one a line
    total = len(np.unique(lines))
    amounts = np.bincount(reason[rows], minlength=len(checks)).tolist()
    counts = {
        check.reason: amount
        for check, amount in zip(checks, amounts, strict=True)
        if amount
    }
    if on_error == "raise" or (reason >= 0).all():
        told = [
            f"  {unit} {lines[row]}: {checks[reason[row]].reason}; "
            f"{checks[reason[row]].found(int(row))}"
            for row in rows[:SHOWN]
        ]
        raise DataError(_report(name, told, len(rows), total, unit))
    spelt = ", ".join(f"{count:,} {why}" for why, count in counts.items())
    warnings.warn(
        f"{name}: left out {len(rows):,} of {total:,} {unit}s ({spelt})",
        SkippedLines,
        stacklevel=3,
    )
    return reason < 0, counts


def _report(name: str, told: list[str], faulty: int, rows: int, unit: str) -> str:
    shown = f", of which {len(told)} are shown" if faulty > len(told) else ""
    cure = (
        "No row is sound: check format= and columns="
        if faulty == rows
        else f'Mend the file, or pass on_error="skip" to leave these {unit}s out'
    )
    title = f"{name}: {faulty:,} faulty {unit}{'s' * (faulty > 1)} of {rows:,}{shown}"
    return "\n".join([title, *told, cure])
