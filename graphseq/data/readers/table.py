"""What every reader hands over: three columns, where each row stood, its faults."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from graphseq.data.columns import Int64s, Mask
from graphseq.data.raw_ids import to_integers
from graphseq.data.readers.faults import Check
from graphseq.data.readers.timestamps import other_units, to_whole_numbers


@dataclass(frozen=True)
class Table:
    """Rows as read, faulty ones included.

    Attributes:
        frame: Columns user and item (string or integer) and perhaps time (Int64).
        lines: Line of the file on which each row stands, counted from 1, (E,).
        checks: What can be wrong with the rows.
        unit: What ``lines`` counts.
        skipped: Lines already left out, by reason.
    """

    frame: pl.DataFrame
    lines: Int64s
    checks: list[Check]
    unit: str = "line"
    skipped: dict[str, int] = field(default_factory=dict)


def make_table(
    columns: dict[str, pl.Series],
    lines: Int64s,
    checks: list[Check],
    *,
    text_ids: bool,
    unit: str = "line",
) -> Table:
    """Check raw columns: no id is missing, every time is a number or a date."""
    ids = {role: columns[role] for role in ("user", "item")}
    found = [_missing(role, ids[role]) for role in ids]
    frame = pl.DataFrame({role: column.alias(role) for role, column in ids.items()})
    if "time" in columns:
        raw = columns["time"]
        time = to_whole_numbers(raw).alias("time")
        frame = frame.with_columns(time)
        found.append(
            Check(
                "time is neither a number nor a date",
                time.is_null().to_numpy(),
                lambda row: f"found {raw[row]!r}" if raw[row] else "found nothing",
            )
        )
        found.append(other_units(raw, time))
    if not text_ids:
        sound = ~np.any([check.faulty for check in [*checks, *found]], axis=0)
        frame = frame.with_columns(_integers_if_all(frame[r], sound) for r in ids)
    return Table(frame, lines, [*checks, *found], unit)


def _missing(role: str, column: pl.Series) -> Check:
    empty = column.is_null()
    if column.dtype == pl.String:
        empty = empty | (column == "").fill_null(True)
    return Check(f"no {role}", empty.to_numpy(), lambda row: "found an empty column")


def _integers_if_all(column: pl.Series, sound: Mask) -> pl.Series:
    """The column as integers if every sound row is one, spelt plainly."""
    if column.dtype != pl.String or to_integers(column.head(100)).null_count() > 50:
        return column
    numbers = to_integers(column)
    all_are = bool(numbers.is_not_null().to_numpy()[sound].all())
    return numbers if all_are else column
