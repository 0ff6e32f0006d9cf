"""What every reader hands over for a block: columns, where each row stood, faults."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from graphseq.data.arrays import Growing, Int64s
from graphseq.data.ids import Numbering
from graphseq.data.interactions import Interactions
from graphseq.data.readers.errors import Check, Faults
from graphseq.data.timestamps import (
    UNITS,
    count_units,
    to_whole_numbers,
    units_of,
    usual_unit,
)
from graphseq.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Table:
    """Rows as read, faulty ones included.

    Attributes:
        frame: Columns user and item (string or integer) and perhaps time (Int64), and
            raw_time, as the source writes it.
        lines: Line of the file on which each row stands, counted from 1, (E,).
        checks: What can be wrong with the rows: the same for every block of a file.
    """

    frame: pl.DataFrame
    lines: Int64s
    checks: list[Check]


def make_table(
    columns: dict[str, pl.Series], lines: Int64s, checks: list[Check]
) -> Table:
    """Check raw columns: no id is missing, every time is a number or a date."""
    found = [_missing(role, columns[role]) for role in ("user", "item")]
    frame = pl.DataFrame({role: columns[role] for role in ("user", "item")})
    if "time" in columns:
        raw = columns["time"]
        time = to_whole_numbers(raw)
        frame = frame.with_columns(raw.alias("raw_time"), time.alias("time"))
        found.append(
            Check(
                "time is neither a number nor a date (ISO 8601)",
                time.is_null().to_numpy(),
                lambda row: f"found {raw[row]!r}" if raw[row] else "found nothing",
            )
        )
    return Table(frame, lines, [*checks, *found])


def _missing(role: str, column: pl.Series) -> Check:
    empty = column.is_null()
    if column.dtype == pl.String:
        empty = empty | (column == "").fill_null(True)
    return Check(f"no {role}", empty.to_numpy(), lambda row: "found an empty column")


Tables = Callable[[], Iterable[Table]]
UNKNOWN = -1


def gather(tables: Tables, name: str, unit: str, text_ids: bool) -> "Gathered":
    """Everything that a reader finds.

    Times of another unit than most are faults. The first block tells which unit that
    is; should the whole file tell otherwise, it is read again.

    Args:
        tables: Begins to read the file.
        name: Of the file, for messages.
        unit: What its lines are called.
        text_ids: Leave ids strings even if all of them are spelt as integers.
    """
    usual: int | None = UNKNOWN
    while True:
        found = Gathered(Faults(name, unit), usual, text_ids)
        for table in tables():
            found.add(table)
        if found.is_settled:
            return found
        usual = usual_unit(found.units)


class Gathered:
    """Rows without a fault, numbered as they come, and the faults of the others.

    Args:
        faults: Collects the faults.
        usual: Unit of most times, as far as it is known.
        text_ids: Leave ids strings even if all of them are spelt as integers.
    """

    def __init__(self, faults: Faults, usual: int | None, text_ids: bool) -> None:
        self.faults, self._usual = faults, usual
        self.units: Int64s = np.zeros(5, dtype=np.int64)
        self._users, self._items = Numbering(text_ids), Numbering(text_ids)
        self._times: Growing | None = None

    @property
    def is_settled(self) -> bool:
        """Whether all times were judged as the whole file asks for."""
        return self._times is None or self._usual == usual_unit(self.units)

    def add(self, table: Table) -> None:
        """Take the rows of the next block."""
        if not len(table.lines):
            return
        frame, checks = table.frame, list(table.checks)
        if "time" in frame.columns:
            self._times = self._times or Growing()
            self.units = self.units + count_units(frame["time"])
            if self._usual == UNKNOWN:
                self._usual = usual_unit(self.units)
            checks.append(other_units(frame["raw_time"], frame["time"], self._usual))
        sound = self.faults.sift(checks, table.lines)
        if not sound.all():
            frame = frame.filter(sound)
        self._users.add(frame["user"])
        self._items.add(frame["item"])
        if self._times is not None:
            self._times.add(frame["time"].to_numpy())

    def interactions(self, skipped: Mapping[str, int]) -> Interactions:
        """All sound rows; they are handed over, so ask once."""
        return Interactions.from_arrays(
            self._users.column(),
            self._items.column(),
            None if self._times is None else self._times.take(),
            users=Vocabulary(self._users.ids()),
            items=Vocabulary(self._items.ids()),
            skipped=skipped,
        )


def other_units(raw: pl.Series, times: pl.Series, usual: int | None) -> Check:
    """Numbers that cannot be times as most are: of another unit, or negative.

    Dates are never meant, whenever they were.

    Args:
        raw: Times as the source writes them, (E,).
        times: The same as whole numbers; null where they cannot be read.
        usual: Unit of most times of the log, or ``None``: none is faulty.
    """
    units, faulty = units_of(times), np.zeros(len(times), dtype=np.bool_)
    if usual is not None:
        negative = (times < 0).fill_null(False).to_numpy()
        faulty = ((units >= 0) & (units != usual)) | negative
    if faulty.any() and raw.dtype == pl.String:
        rows = np.flatnonzero(faulty)
        faulty[rows] = raw.gather(rows).cast(pl.Float64, strict=False).is_not_null()
    elif not raw.dtype.is_numeric():
        faulty[:] = False

    def found(row: int) -> str:
        other = UNITS[units[row]] if units[row] >= 0 else "a negative number"
        return f"found {raw[row]}, {other}; most are {UNITS[usual or 0]}"

    return Check("time is of another unit than most", faulty, found)
