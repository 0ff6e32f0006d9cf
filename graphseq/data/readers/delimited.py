"""Delimited text (CSV, TSV, ``.dat``, ``.inter``), parsed by polars."""

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

NOT_UTF8 = "\ufffd"  # replaces bytes that are not UTF-8


@dataclass(frozen=True)
class Fields:
    """Rows of ``width`` text fields, without blank lines.

    Attributes:
        frame: One column per field, and one more if a row has too many, (E rows).
        lines: Number of the line on which each row begins, (E,).
        width: Expected number of fields per row.
    """

    frame: pl.DataFrame
    lines: Int64s
    width: int

    def keep(self, rows: Mask) -> "Fields":
        """The selected rows."""
        return Fields(self.frame.filter(rows), self.lines[rows], self.width)


def read_delimited(
    source: Source, layout: Layout, columns: Columns | None
) -> Iterator[Table]:
    """Read delimited text block by block; spaces around fields and names are removed.

    Raises:
        DataError: A requested column does not exist, or a quotation mark is not closed.
    """
    separator = layout.separator if len(layout.separator) == 1 else "\t"
    first = source.head(1)[0].replace(layout.separator, separator)
    header = [n.strip() for n in next(csv.reader([first], delimiter=separator))]
    wanted = columns or layout.columns or None
    by_index = wanted is not None and isinstance(wanted["user"], int)
    width = len(header)
    if wanted is not None and by_index:
        width = layout.width or width
        roles = _check_indices(source, wanted, width)
    else:
        roles = find_roles(source.name, header, wanted)
    if layout.offset in header and columns is None:
        roles["offset"] = header.index(layout.offset)
    skip_header, empty = not by_index, True
    for block in source.blocks(quotes=True):
        if len(layout.separator) > 1:  # polars supports separators of one byte only
            data = block.data.replace(layout.separator.encode(), separator.encode())
            block = Block(data, block.first)
        fields = split_fields(source, block, separator, width)
        if skip_header and len(fields.lines):
            fields = fields.keep(np.arange(len(fields.lines)) > 0)
            skip_header = False
        if len(fields.lines):
            empty = False
            yield _table(block, fields, roles, separator)
    if empty:
        raise DataError(f"{source.name} has a header and no line below it")


def _check_indices(source: Source, columns: Columns, width: int) -> dict[str, int]:
    roles = {role: int(index) for role, index in columns.items()}
    if not all(0 <= index < width for index in roles.values()):
        raise DataError(
            f"{source.name} has {width} columns, 0 … {width - 1}; requested {roles}. "
            f"Its first line is {source.head(1)[0]!r:.120}"
        )
    return roles


def _table(
    block: Block, fields: Fields, roles: dict[str, int], separator: str
) -> Table:
    found = {role: fields.frame.to_series(index) for role, index in roles.items()}
    raw = {role: column.str.strip_chars(" \t") for role, column in found.items()}
    if "offset" in raw:
        milliseconds = to_whole_numbers(raw.pop("offset"))
        raw["time"] = to_whole_numbers(raw["time"]) * 1000 + milliseconds
    return make_table(raw, fields.lines, shape_checks(block, fields, separator))


def split_fields(source: Source, block: Block, separator: str, width: int) -> Fields:
    """Split a block at a separator of one byte, respecting quotation marks.

    Raises:
        DataError: A quotation mark is not closed.
    """
    options: dict[str, Any] = {
        "separator": separator,
        "has_header": False,
        "infer_schema": False,
    }
    try:
        frame = pl.read_csv(_with_header(block.data, separator, width), **options)
    except pl.exceptions.ComputeError:
        # A row has too many fields, or bytes that are not UTF-8. Read again with room
        # for one more field, which then marks the rows with too many.
        options |= {"truncate_ragged_lines": True, "encoding": "utf8-lossy"}
        data = _with_header(block.data, separator, width + 1)
        try:
            frame = pl.read_csv(data, **options)
        except pl.exceptions.ComputeError as error:
            raise DataError(_unclosed_quote(source)) from error
    frame = frame.slice(1)
    lines = np.arange(block.first, block.first + frame.height)
    if b'"' in block.data:
        lines += _line_breaks_before(frame)
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    fields = Fields(frame, lines, width)
    return fields.keep(~blank) if blank.any() else fields


def _with_header(data: bytes, separator: str, width: int) -> bytes:
    """The text below a header of our own, which fixes the number of columns."""
    return separator.join(["x"] * width).encode() + b"\n" + data


def _line_breaks_before(frame: pl.DataFrame) -> Int64s:
    """Number of line breaks inside quoted fields of all earlier rows, (E,)."""
    inside = pl.all().str.count_matches("\n", literal=True).fill_null(0)
    breaks = frame.select(pl.sum_horizontal(inside)).to_series().to_numpy()
    before: Int64s = np.cumsum(breaks, dtype=np.int64) - breaks
    return before


def _unclosed_quote(source: Source) -> str:
    where = "no line"
    for block in source.blocks():
        lines = enumerate(block.data.split(b"\n"), block.first)
        odd = (number for number, line in lines if line.count(b'"') % 2)
        if found := next(odd, None):
            where = f"line {found}"
            break
    return (
        f'{source.name}: a quotation mark " is never closed; {where} is the first with '
        'an odd number of ". Correct that line'
    )


def shape_checks(block: Block, fields: Fields, separator: str) -> list[Check]:
    """Checks for the number of fields of each row, and for bytes that are not UTF-8."""
    frame, width = fields.frame, fields.width
    wrong = _too_short(block, fields, separator)
    not_utf8 = np.zeros(frame.height, np.bool_)
    if frame.width > width:  # only if the block was read again
        wrong |= frame.to_series(width).is_not_null().to_numpy()
        not_utf8 = _not_utf8(block, fields)

    def count(row: int) -> str:
        line = block.line(int(fields.lines[row]))
        quoted = '"' in line
        parts = next(csv.reader([line], delimiter=separator)) if quoted else None
        found = len(parts if parts is not None else line.split(separator))
        return f"expected {width}, found {found}"

    return [
        Check("wrong number of columns", wrong, count),
        Check("bytes that are not UTF-8", not_utf8, lambda row: "save it as UTF-8"),
    ]


def _too_short(block: Block, fields: Fields, separator: str) -> Mask:
    """Rows with too few fields; an empty last field counts as a field."""
    ends = fields.frame.to_series(fields.width - 1).is_null().to_numpy()
    if not ends.any():
        return ends
    lines = pl.Series([block.data.decode("utf-8", errors="replace")])
    candidates = (
        lines.str.split("\n").explode().gather(fields.lines[ends] - block.first)
    )
    found = candidates.str.count_matches(separator, literal=True).to_numpy()
    short = np.zeros_like(ends)
    short[ends] = found < fields.width - 1
    return short


def _not_utf8(block: Block, fields: Fields) -> Mask:
    """Rows with bytes that are not UTF-8; a genuine replacement character is valid."""
    marked = pl.all().str.contains(NOT_UTF8, literal=True).fill_null(False)
    found = fields.frame.select(pl.any_horizontal(marked)).to_series().to_numpy()
    if not found.any() or NOT_UTF8.encode() not in block.data:
        return found
    lines = block.data.split(b"\n")
    starts = np.append(fields.lines - block.first, len(lines))
    found = found.copy()
    for row in np.flatnonzero(found):
        try:
            b"\n".join(lines[starts[row] : starts[row + 1]]).decode()
            found[row] = False
        except UnicodeDecodeError:
            continue
    return found
