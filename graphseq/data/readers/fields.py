"""The fields of a delimited text and the faults in its shape, all rows at once."""

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.columns import Int64s, Mask
from graphseq.data.readers.faults import Check
from graphseq.data.readers.source import Source
from graphseq.errors import DataError

NOT_TEXT = "\ufffd"  # what stands for bytes that are not UTF-8


@dataclass(frozen=True)
class Fields:
    """Rows of ``width`` text fields; blank lines are gone.

    Attributes:
        frame: One column a field, and where some row has too many, one more, (E rows).
        lines: Line on which each row begins, (E,).
        width: Fields that a row should have.
    """

    frame: pl.DataFrame
    lines: Int64s
    width: int

    def keep(self, rows: Mask) -> "Fields":
        """Some of the rows."""
        return Fields(self.frame.filter(rows), self.lines[rows], self.width)


def split_fields(name: str, data: bytes, separator: str, width: int) -> Fields:
    """Split a text at a separator of one byte, minding quotation marks.

    Raises:
        DataError: A quotation is never closed.
    """
    options: dict[str, Any] = {
        "separator": separator,
        "has_header": False,
        "infer_schema": False,
    }
    try:
        frame = pl.read_csv(data, **options)
    except pl.exceptions.ComputeError:
        # Some row has too many fields, or bytes that are no text. A first line of our
        # own makes room for one field more, in which the excess then shows.
        own = separator.join(["x"] * (width + 1)).encode() + b"\n"
        options |= {"truncate_ragged_lines": True, "encoding": "utf8-lossy"}
        try:
            frame = pl.read_csv(own + data, **options).slice(1)
        except pl.exceptions.ComputeError as error:
            raise DataError(_unclosed(name, data)) from error
    lines = np.arange(1, frame.height + 1)
    if b'"' in data:
        lines += _breaks_before(frame)
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    return Fields(frame, lines, width).keep(~blank)


def shape_checks(source: Source, fields: Fields, separator: str) -> list[Check]:
    """Rows with too many or too few fields, and those that are not UTF-8."""
    frame, width = fields.frame, fields.width
    wrong = _short(source, fields, separator)
    if frame.width != width:
        over = frame.to_series(min(width, frame.width - 1)).is_not_null().to_numpy()
        wrong = wrong | over if frame.width > width else np.ones_like(wrong)

    def count(row: int) -> str:
        line = source.line(int(fields.lines[row]))
        found = len(line.split(separator) if '"' not in line else _row(line, separator))
        return f"expected {width}, found {found}"

    checks = [Check("wrong number of columns", wrong, count)]
    if frame.width > width:  # read leniently
        marked = pl.all().str.contains(NOT_TEXT, literal=True).fill_null(False)
        foreign = frame.select(pl.any_horizontal(marked)).to_series().to_numpy()
        said = "save the file as UTF-8"
        checks.append(Check("bytes that are not UTF-8", foreign, lambda row: said))
    return checks


def _short(source: Source, fields: Fields, separator: str) -> Mask:
    """Rows that end early; one whose last field is merely empty does not."""
    last = fields.frame.to_series(min(fields.width, fields.frame.width) - 1)
    ends = last.is_null().to_numpy()
    if not ends.any():
        return ends
    lines = pl.Series([source.data.decode("utf-8", errors="replace")])
    doubtful = lines.str.split("\n").explode().gather(fields.lines[ends] - 1)
    found = doubtful.str.count_matches(separator, literal=True).to_numpy()
    short = np.zeros_like(ends)
    short[ends] = found < fields.width - 1
    return short


def _row(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator[0]))


def _breaks_before(frame: pl.DataFrame) -> Int64s:
    """Line breaks inside quotations in all rows before each, (E,)."""
    inside = pl.all().str.count_matches("\n", literal=True).fill_null(0)
    breaks = frame.select(pl.sum_horizontal(inside)).to_series().to_numpy()
    before: Int64s = np.cumsum(breaks, dtype=np.int64) - breaks
    return before


def _unclosed(name: str, data: bytes) -> str:
    odd = (n for n, line in enumerate(data.split(b"\n"), 1) if line.count(b'"') % 2)
    where = next((f"line {number}" for number in odd), "no line")
    return (
        f'{name}: a quotation opened by " is never closed; {where} is the first with '
        'an odd number of ". Mend it there'
    )
