"""The fields of a delimited text and the faults in its shape, all rows at once."""

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.columns import Int64s, Mask
from graphseq.data.readers.blocks import Block
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


def split_fields(source: Source, block: Block, separator: str, width: int) -> Fields:
    """Split a block at a separator of one byte, minding quotation marks.

    Raises:
        DataError: A quotation is never closed.
    """
    options: dict[str, Any] = {
        "separator": separator,
        "has_header": False,
        "infer_schema": False,
    }
    try:
        frame = pl.read_csv(_topped(block.data, separator, width), **options)
    except pl.exceptions.ComputeError:
        # Some row has too many fields, or bytes that are no text: room for one field
        # more, in which the excess then shows.
        options |= {"truncate_ragged_lines": True, "encoding": "utf8-lossy"}
        try:
            frame = pl.read_csv(_topped(block.data, separator, width + 1), **options)
        except pl.exceptions.ComputeError as error:
            raise DataError(_unclosed(source)) from error
    frame = frame.slice(1)
    lines = np.arange(block.first, block.first + frame.height)
    if b'"' in block.data:
        lines += _breaks_before(frame)
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    fields = Fields(frame, lines, width)
    return fields.keep(~blank) if blank.any() else fields


def shape_checks(block: Block, fields: Fields, separator: str) -> list[Check]:
    """Rows with too many or too few fields, and those that are not UTF-8."""
    frame, width = fields.frame, fields.width
    wrong, foreign = _short(block, fields, separator), np.zeros(frame.height, np.bool_)
    if frame.width > width:  # read leniently
        wrong |= frame.to_series(width).is_not_null().to_numpy()
        foreign = _foreign(block, fields)

    def count(row: int) -> str:
        line = block.line(int(fields.lines[row]))
        found = len(line.split(separator) if '"' not in line else _row(line, separator))
        return f"expected {width}, found {found}"

    said = "save the file as UTF-8"
    return [
        Check("wrong number of columns", wrong, count),
        Check("bytes that are not UTF-8", foreign, lambda row: said),
    ]


def _topped(data: bytes, separator: str, width: int) -> bytes:
    """The text below a first line of our own, which tells the number of columns."""
    return separator.join(["x"] * width).encode() + b"\n" + data


def _short(block: Block, fields: Fields, separator: str) -> Mask:
    """Rows that end early; one whose last field is merely empty does not."""
    ends = fields.frame.to_series(fields.width - 1).is_null().to_numpy()
    if not ends.any():
        return ends
    lines = pl.Series([block.data.decode("utf-8", errors="replace")])
    places = fields.lines[ends] - block.first
    doubtful = lines.str.split("\n").explode().gather(places)
    found = doubtful.str.count_matches(separator, literal=True).to_numpy()
    short = np.zeros_like(ends)
    short[ends] = found < fields.width - 1
    return short


def _foreign(block: Block, fields: Fields) -> Mask:
    """Rows whose bytes are not UTF-8; one that merely holds the sign for that is."""
    marked = pl.all().str.contains(NOT_TEXT, literal=True).fill_null(False)
    foreign = fields.frame.select(pl.any_horizontal(marked)).to_series().to_numpy()
    if not foreign.any() or NOT_TEXT.encode() not in block.data:
        return foreign
    lines = block.data.split(b"\n")
    starts = np.append(fields.lines - block.first, len(lines))
    foreign = foreign.copy()
    for row in np.flatnonzero(foreign):
        try:
            b"\n".join(lines[starts[row] : starts[row + 1]]).decode()
            foreign[row] = False
        except UnicodeDecodeError:
            continue
    return foreign


def _row(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator[0]))


def _breaks_before(frame: pl.DataFrame) -> Int64s:
    """Line breaks inside quotations in all rows before each, (E,)."""
    inside = pl.all().str.count_matches("\n", literal=True).fill_null(0)
    breaks = frame.select(pl.sum_horizontal(inside)).to_series().to_numpy()
    before: Int64s = np.cumsum(breaks, dtype=np.int64) - breaks
    return before


def _unclosed(source: Source) -> str:
    where = "no line"
    for block in source.blocks():
        lines = enumerate(block.data.split(b"\n"), block.first)
        odd = (number for number, line in lines if line.count(b'"') % 2)
        if found := next(odd, None):
            where = f"line {found}"
            break
    return (
        f'{source.name}: a quotation opened by " is never closed; {where} is the first '
        'with an odd number of ". Mend it there'
    )
