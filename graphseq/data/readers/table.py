"""Tables of parsed rows, checked and combined into interactions."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from graphseq.data.arrays import Float32s, GrowingColumn, Int64s, Integral
from graphseq.data.ids import BlockNumbering
from graphseq.data.interactions import Interactions
from graphseq.data.missing_ids import warn_of_missing
from graphseq.data.readers.errors import NO_TIME, Check, MalformedLines
from graphseq.data.timestamps import (
    count_units,
    fitting,
    found_unit,
    in_other_unit,
    no_unix_times,
    rescale,
    small_times,
    split_times,
    thousands,
    units_of,
    usual_unit,
)
from graphseq.data.vocabulary import Vocabulary

UNKNOWN = -1


@dataclass(frozen=True)
class Table:
    """The rows of one block, malformed ones included.

    Attributes:
        frame: Columns user and item (string or integer), and optionally time (Int64),
            raw_time, as the source writes it, and fraction, the billionths of the
            unit that follow the whole time, and weight (Float32).
        lines: Line number of each row, counted from 1, (E,).
        checks: Checks of the rows: the same ones for each block of a file.
    """

    frame: pl.DataFrame
    lines: Int64s
    checks: list[Check]


def make_table(
    columns: dict[str, pl.Series], lines: Int64s, checks: list[Check]
) -> Table:
    """Parse times, and add checks for missing ids and for times that do not parse."""
    frame = pl.DataFrame({role: columns[role] for role in ("user", "item")})
    checks = [*checks, *(_missing(role, columns[role]) for role in ("user", "item"))]
    if "time" in columns:
        raw = columns["time"]
        time, fraction = split_times(raw)
        frame = frame.with_columns(raw.alias("raw_time"), time.alias("time"))
        if fraction is not None:
            frame = frame.with_columns(pl.Series("fraction", fraction))
        checks.append(
            Check(
                NO_TIME,
                time.is_null().to_numpy(),
                lambda row: f"found {raw[row]!r}" if raw[row] else "found nothing",
            )
        )
    if "weight" in columns:
        written = columns["weight"]
        weight = written.cast(pl.Float32, strict=False)
        valid = weight.is_finite() & (weight >= 0)
        frame = frame.with_columns(weight.alias("weight"))
        checks.append(
            Check(
                "weight is not a finite number of 0 or more",
                ~valid.fill_null(False).to_numpy(),
                lambda row: f"found {written[row]!r}",
            )
        )
    return Table(frame, lines, checks)


def _missing(role: str, column: pl.Series) -> Check:
    empty = column.is_null()
    if column.dtype == pl.String:
        empty = empty | (column == "").fill_null(True)
    return Check(f"no {role}", empty.to_numpy(), lambda row: "found an empty column")


def other_units(raw: pl.Series, times: pl.Series, usual: int | None) -> Check:
    """A check for numbers that are in another unit than most times, or negative.

    Dates always pass.

    Args:
        raw: Times as the source writes them, (E,).
        times: The same as whole numbers; null where they cannot be parsed.
        usual: Index in ``UNITS`` of the usual unit of the log; ``None``: all pass.
    """
    units = units_of(times)

    def found(row: int) -> str:
        return found_unit(raw[row], int(units[row]), usual or 0)

    faulty = in_other_unit(raw, times, units, usual)
    return Check("time is in another unit than most", faulty, found)


def _warn_of_years(first: int, last: int) -> None:
    if 1900 <= first <= last <= 2100:
        warnings.warn(
            f"the times of this log are {first} … {last}, which look like years; "
            "events of one year keep the order of the file. Name a finer column of "
            "times if there is one",
            UserWarning,
            stacklevel=5,
        )


def combine(
    tables: Callable[[], Iterable[Table]], name: str, unit: str, text_ids: bool
) -> "Combined":
    """Combine the tables of a file.

    Times in another unit than most are malformed. The usual unit is that of the first
    block; if that of the whole file differs, the file is read again.

    Args:
        tables: Starts to read the file.
        name: File name, for messages.
        unit: "line" or "row", for messages.
        text_ids: Keep ids as strings, even if all of them are decimal integers.
    """
    usual: int | None = UNKNOWN
    while True:
        combined = Combined(MalformedLines(name, unit), usual, text_ids)
        for table in tables():
            combined.add(table)
        if combined.is_final:
            return combined
        usual = usual_unit(combined.units)


class Combined:
    """Valid rows, numbered as they are added, and the malformed lines.

    Args:
        malformed: Collects the malformed lines.
        usual: Index in ``UNITS`` of the usual unit, if it is known.
        text_ids: Keep ids as strings, even if all of them are decimal integers.
    """

    def __init__(
        self, malformed: MalformedLines, usual: int | None, text_ids: bool
    ) -> None:
        self.malformed, self._usual = malformed, usual
        self._small, self._example = 0, ""
        self.units: Int64s = np.zeros(5, dtype=np.int64)
        self._users, self._items = BlockNumbering(text_ids), BlockNumbering(text_ids)
        self._times: GrowingColumn | None = None
        self._fractions: GrowingColumn | None = None
        self._weights: list[Float32s] = []
        self._events = self._steps = 0

    @property
    def is_final(self) -> bool:
        """Whether all times were checked against the usual unit of the whole file."""
        return self._times is None or self._usual == usual_unit(self.units)

    def add(self, table: Table) -> None:
        """Add the rows of the next block."""
        if not len(table.lines):
            return
        frame, checks = table.frame, list(table.checks)
        if "time" in frame.columns:
            self._times = self._times or GrowingColumn()
            self.units = self.units + count_units(frame["time"])
            if self._usual == UNKNOWN:
                self._usual = usual_unit(self.units)
            checks.append(other_units(frame["raw_time"], frame["time"], self._usual))
            self._count_small(table)
        valid = self.malformed.collect(checks, table.lines)
        if not valid.all():
            frame = frame.filter(valid)
        self._users.add(frame["user"])
        self._items.add(frame["item"])
        if self._times is not None:
            self._times.append(frame["time"].to_numpy())
        self._add_fractions(frame)
        if "weight" in frame.columns:
            self._weights.append(frame["weight"].to_numpy())

    def _count_small(self, table: Table) -> None:
        """Count numbers that are no unix times, where most are."""
        if self._usual is None or not self.units[-1]:
            return
        raw, times = table.frame["raw_time"], table.frame["time"]
        rows = no_unix_times(raw, times, units_of(times))
        if len(rows) and not self._small:
            place = f"{self.malformed.unit} {table.lines[rows[0]]:,}"
            self._example = f"{raw[int(rows[0])]} in {place}"
        self._small += len(rows)

    def _add_fractions(self, frame: pl.DataFrame) -> None:
        """Keep the fractions of times, from the first block that has any."""
        if "fraction" in frame.columns:
            fraction = frame["fraction"].to_numpy()
            self._steps = max(self._steps, int(thousands(fraction).max(initial=0)))
        else:
            fraction = np.zeros(frame.height, dtype=np.int64)
        if self._steps and self._fractions is None:
            self._fractions = GrowingColumn()
            self._fractions.append(np.zeros(self._events, dtype=np.int64))
        if self._fractions is not None:
            self._fractions.append(fraction)
        self._events += frame.height

    def _take_times(self) -> tuple[Integral | None, int]:
        """All times, in a unit that holds their fractions; and the steps to it."""
        if self._times is None:
            return None, 0
        time = self._times.take()
        if self._fractions is None:
            return time, 0
        time = time.astype(np.int64)
        steps = fitting(self._steps, int(np.abs(time).max(initial=0)))
        return rescale(time, self._fractions.take().astype(np.int64), steps), steps

    def take(self, skipped: Mapping[str, int]) -> Interactions:
        """Return the valid rows as interactions, and forget them."""
        times, steps = self._take_times()
        if times is not None and len(times):
            _warn_of_years(int(times.min()), int(times.max()))
        if self._small and self._usual is not None:
            warnings.warn(
                small_times(self._small, self._events, self._usual, self._example),
                UserWarning,
                stacklevel=4,
            )
        user, item = self._users.take_column(), self._items.take_column()
        users, items = self._users.ids(), self._items.ids()
        warn_of_missing("user", users, user, stacklevel=5)
        warn_of_missing("item", items, item, stacklevel=5)
        return Interactions.from_arrays(
            user,
            item,
            times,
            weight=np.concatenate(self._weights) if self._weights else None,
            users=Vocabulary(users),
            items=Vocabulary(items),
            skipped=skipped,
            time_steps=steps,
        )
