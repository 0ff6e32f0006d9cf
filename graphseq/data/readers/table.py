"""What every reader hands over for a block: columns, where each row stood, faults."""

from dataclasses import dataclass

import polars as pl

from graphseq.data.columns import Int64s
from graphseq.data.readers.faults import Check
from graphseq.data.readers.timestamps import to_whole_numbers


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
