"""Columns between commas, tabs or other signs, on polars."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.readers.errors import Check
from graphseq.data.readers.formats import Columns, Layout, find_roles
from graphseq.data.readers.source import Block, Source
from graphseq.data.readers.table import Table, make_table
from graphseq.data.timestamps import to_whole_numbers
from graphseq.errors import DataError


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


def read_delimited(
    source: Source, layout: Layout, columns: Columns | None
) -> Iterator[Table]:
    """Read a CSV, TSV, ``.dat`` or ``.inter``, block by block.

    Blanks around a field or a name are no part of it.

    Raises:
        DataError: A column that is asked for is not there, or a quotation is never
            closed.
    """
    separator = layout.separator if len(layout.separator) == 1 else "\t"
    first = source.head(1)[0].replace(layout.separator, separator)
    header = [n.strip() for n in next(csv.reader([first], delimiter=separator))]
    wanted = columns or layout.columns or None
    by_position = wanted is not None and isinstance(wanted["user"], int)
    if wanted is not None and by_position:
        width = layout.width or len(header)
        places = _positions(source, wanted, width)
    else:
        width = len(header)
        places = find_roles(source.name, header, wanted)
    if layout.offset in header and columns is None:
        places["offset"] = header.index(layout.offset)
    expects_header, empty = not by_position, True
    for block in source.blocks(quotes=True):
        if len(layout.separator) > 1:  # polars splits at one byte
            data = block.data.replace(layout.separator.encode(), separator.encode())
            block = Block(data, block.first)
        fields = split_fields(source, block, separator, width)
        if expects_header and len(fields.lines):
            fields = fields.keep(np.arange(len(fields.lines)) > 0)
            expects_header = False
        if len(fields.lines):
            empty = False
            yield _table(block, fields, places, separator)
    if empty:
        raise DataError(f"{source.name} has a header and no line below it")


def _table(
    block: Block, fields: Fields, places: dict[str, int], separator: str
) -> Table:
    checks = shape_checks(block, fields, separator)
    found = {role: fields.frame.to_series(place) for role, place in places.items()}
    raw = {role: column.str.strip_chars(" \t") for role, column in found.items()}
    if "offset" in raw:
        milliseconds = to_whole_numbers(raw.pop("offset"))
        raw["time"] = to_whole_numbers(raw["time"]) * 1000 + milliseconds
    return make_table(raw, fields.lines, checks)


def _positions(source: Source, columns: Columns, width: int) -> dict[str, int]:
    places = {role: int(place) for role, place in columns.items()}
    if not all(0 <= place < width for place in places.values()):
        raise DataError(
            f"{source.name} has {width} columns, 0 … {width - 1}; asked for {places}. "
            f"Its first line is {source.head(1)[0]!r:.120}"
        )
    return places


NOT_TEXT = "\ufffd"  # what stands for bytes that are not UTF-8


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
