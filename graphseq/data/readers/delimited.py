"""Delimited text (CSV, TSV, ``.dat``, ``.inter``), parsed by polars."""

import csv
import re
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.frames import NAMES, normalized
from graphseq.data.readers.advice import LIKELY, split_rows
from graphseq.data.readers.blocks import NOT_UTF8, Block, decode, is_utf8
from graphseq.data.readers.errors import Check
from graphseq.data.readers.formats import Columns, Layout, find_roles, find_weight
from graphseq.data.readers.quotes import find_rows, lines_as_rows
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.data.timestamps import to_whole_numbers
from graphseq.errors import DataError


@dataclass(frozen=True)
class Fields:
    """Rows of ``width`` text fields, without blank lines.

    Attributes:
        block: The text that was split.
        frame: One column per field, and one more if a row has too many, (E rows).
        lines: Number of the line on which each row begins, (E,).
        rows: Index of each row in the block, blank lines included, (E,).
        misplaced: Rows with a misplaced quotation mark, (E,).
        width: Expected number of fields per row.
    """

    block: Block
    frame: pl.DataFrame
    lines: Int64s
    rows: Int64s
    misplaced: Mask
    width: int

    def keep(self, kept: Mask) -> "Fields":
        """The selected rows."""
        return replace(
            self,
            frame=self.frame.filter(kept),
            lines=self.lines[kept],
            rows=self.rows[kept],
            misplaced=self.misplaced[kept],
        )

    def below_first(self) -> "Fields":
        """All rows but the first, without a copy."""
        return replace(
            self,
            frame=self.frame.slice(1),
            lines=self.lines[1:],
            rows=self.rows[1:],
            misplaced=self.misplaced[1:],
        )


def read_delimited(
    source: Source, layout: Layout, columns: Columns | None
) -> Iterator[Table]:
    """Read delimited text block by block; spaces around fields and names are removed.

    In tab-separated text a row is a line, and a quotation mark is a character like any
    other, unless a pair of them encloses a field. Elsewhere, quoted fields may contain
    separators and line breaks, and a line with a misplaced mark is malformed.

    Raises:
        DataError: A requested column does not exist.
    """
    separator = layout.separator if len(layout.separator) == 1 else "\t"
    first = source.head(1)[0].replace(layout.separator, separator)
    header = [name.strip() for name in _names(first, separator)]
    wanted = columns or layout.columns or None
    by_index = wanted is not None and isinstance(wanted["user"], int)
    width = len(header)
    if wanted is not None and by_index:
        width = layout.width or width
        roles = _check_indices(source, wanted, width)
        _refuse_header(source.name, header, roles)
        _warn_of_numbers(source.name, header)
    else:
        rows = split_rows(source.head()[1:], separator)
        roles = find_roles(source.name, header, wanted, rows)
    if "eventdate" in map(normalized, header) and not by_index:
        roles |= _time_of_day(header, roles, rows)
    if layout.weight is not None:
        if by_index and isinstance(layout.weight, str):
            raise DataError(
                f"{source.name} is read without a header, so that its columns have no "
                f"names; found weight={layout.weight!r}. Give its index, from 0"
            )
        roles["weight"] = find_weight(source.name, header, layout.weight)
    skip_header, empty = not by_index, True
    for block in source.blocks(quotes=layout.quotes):
        if len(layout.separator) > 1:  # polars supports separators of one byte only
            data = block.data.replace(layout.separator.encode(), separator.encode())
            block = Block(data, block.first)
        fields = split_fields(block, separator, width)
        if skip_header and len(fields.lines):
            fields = fields.below_first()
            skip_header = False
        if len(fields.lines):
            empty = False
            yield _table(block, fields, roles, separator, [] if by_index else header)
    if empty:
        raise DataError(f"{source.name} has a header and no line below it")


def _time_of_day(
    header: list[str], roles: dict[str, int], rows: list[list[str]]
) -> dict[str, int]:
    """The column of the milliseconds since midnight, in logs of Diginetica.

    Their column ``eventdate`` holds the day alone, and ``timeframe`` the rest.
    """
    names = [normalized(name) for name in header]
    if names.count("timeframe") != 1 or roles.get("time") != names.index("eventdate"):
        return {}
    index = names.index("timeframe")
    values = [row[index] for row in rows if len(row) == len(header)]
    return {"offset": index} if all(value.isdecimal() for value in values) else {}


def _names(first: str, separator: str) -> list[str]:
    """The fields of the first line."""
    if separator == "\t":
        return unquoted(pl.Series(first.split(separator))).to_list()
    try:
        spaced = separator != " "
        rows = csv.reader([first], delimiter=separator, skipinitialspace=spaced)
        return next(rows)
    except csv.Error:
        return first.split(separator)


def unquoted(fields: pl.Series) -> pl.Series:
    """Fields without the quotation marks that enclose them."""
    inner = fields.str.slice(1, fields.str.len_chars() - 2).str.replace_all('""', '"')
    enclosed = fields.str.contains(r'^"(?:[^"]|"")*"$')
    return inner.zip_with(enclosed.fill_null(False), fields)


def _check_indices(source: Source, columns: Columns, width: int) -> dict[str, int]:
    roles = {role: int(index) for role, index in columns.items()}
    if not all(0 <= index < width for index in roles.values()):
        raise DataError(
            f"{source.name} has {width} columns, 0 … {width - 1}; requested {roles}. "
            f"Its first line is {source.head(1)[0]!r:.120}"
        )
    return roles


def _refuse_header(name: str, first: list[str], roles: dict[str, int]) -> None:
    """Refuse a first line that names the columns, where no time would reveal it.

    Raises:
        DataError: Each of its fields that is read is a usual name of its column.
    """
    named = {role: first[index] for role, index in roles.items() if index < len(first)}
    if "time" in roles or len(named) < len(roles):
        return
    if all(
        normalized(column) in (*NAMES[role], *LIKELY[role])
        for role, column in named.items()
    ):
        option = " ".join(f"{r}={shlex.quote(column)}" for r, column in named.items())
        raise DataError(
            f"{name} is read by the indices {roles}, which are for a file without a "
            f"header; its first line names the columns {', '.join(first):.120}. Name "
            f"them instead: --columns {option} (in Python, columns={named}), or remove "
            "that line"
        )


def _warn_of_numbers(name: str, first: list[str]) -> None:
    """Warn of a first line that numbers the columns, as pandas writes one."""
    numbers = [str(index) for index in range(len(first))]
    if len(first) > 2 and first in (numbers, ["", *numbers[:-1]]):
        warnings.warn(
            f"the first line of {name}, {','.join(first):.60}, is read as an event and "
            "looks like the numbers of the columns. If it is a header, remove it",
            UserWarning,
            stacklevel=2,
        )


def _table(
    block: Block,
    fields: Fields,
    roles: dict[str, int],
    separator: str,
    header: list[str],
) -> Table:
    """The columns of a block.

    Args:
        block: The lines, as they are written.
        fields: The same, split.
        roles: Index of the column of each role.
        separator: Separator of one byte.
        header: Names of the columns; empty for a file without them.
    """
    found = {role: fields.frame.to_series(index) for role, index in roles.items()}
    if b"\r" in block.data:  # of a line end \r\r\n the parser removes one
        last = [role for role, index in roles.items() if index == fields.width - 1]
        found |= {role: found[role].str.strip_chars_end("\r") for role in last}
    if b" " in block.data or (separator != "\t" and b"\t" in block.data):
        found = {role: text.str.strip_chars(" \t") for role, text in found.items()}
    if separator == "\t" and b'"' in block.data:
        found = {role: unquoted(column) for role, column in found.items()}
    if "offset" in found:
        milliseconds = to_whole_numbers(found.pop("offset"))
        found["time"] = to_whole_numbers(found["time"]) * 1000 + milliseconds
    checks = shape_checks(block, fields, separator, sorted({*roles.values()}))
    checks.append(_repeats_header(block, found, fields, header, roles))
    return make_table(found, fields.lines, checks)


def _repeats_header(
    block: Block,
    found: dict[str, pl.Series],
    fields: Fields,
    header: list[str],
    roles: dict[str, int],
) -> Check:
    """A check for lines that name the columns again, as in files put together."""
    repeats = np.zeros(fields.frame.height, np.bool_)
    ids = [role for role in ("user", "item") if header]
    if ids and all(header[roles[role]].encode() in block.data for role in ids):
        named = [found[role] == header[roles[role]] for role in ids]
        repeats = (named[0] & named[1]).fill_null(False).to_numpy()
    return Check(
        "the header again", repeats, lambda row: f"found {','.join(header)!r:.60}"
    )


def split_fields(block: Block, separator: str, width: int) -> Fields:
    """Split a block at a separator of one byte, respecting quotation marks."""
    quoted = b'"' in block.data and separator != "\t"
    rows = find_rows(block, separator) if quoted else lines_as_rows(block)
    options: dict[str, Any] = {
        "separator": separator,
        "has_header": False,
        "infer_schema": False,
        "quote_char": None if separator == "\t" else '"',
    }
    data = rows.block.data
    try:
        frame = pl.read_csv(_with_header(data, separator, width), **options)
    except pl.exceptions.ComputeError:
        # A row has too many fields, or bytes that are not UTF-8. Read again with room
        # for one more field, which then marks the rows with too many.
        options |= {"truncate_ragged_lines": True, "encoding": "utf8-lossy"}
        frame = pl.read_csv(_with_header(data, separator, width + 1), **options)
    frame = frame.slice(1)
    numbers = np.arange(frame.height)
    lines, misplaced = block.first + rows.starts, rows.misplaced
    fields = Fields(rows.block, frame, lines, numbers, misplaced, width)
    if not min(column.null_count() for column in frame):
        return fields
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    blank = empty & ~misplaced  # what a misplaced mark leaves can be empty
    return fields.keep(~blank) if blank.any() else fields


def _with_header(data: bytes, separator: str, width: int) -> bytes:
    """The text below a header of our own, which fixes the number of columns.

    It does not begin with x, since polars takes ``x^`` for compressed data.
    """
    return separator.join(["c"] * width).encode() + b"\n" + data


def shape_checks(
    block: Block, fields: Fields, separator: str, wanted: list[int]
) -> list[Check]:
    """Checks for misplaced quotation marks, the number of fields, and UTF-8 in the ids.

    Args:
        block: The lines, as they are written.
        fields: The same, split.
        separator: Separator of one byte.
        wanted: Indices of the columns that are read.
    """
    frame, width = fields.frame, fields.width
    wrong = _wrong_width(fields, separator)
    not_utf8 = np.zeros(frame.height, np.bool_)
    if frame.width > width:  # only if the block was read again
        not_utf8 = _not_utf8(fields, wanted)

    def count(row: int) -> str:
        line = block.line(int(fields.lines[row]))
        found = _without_quoted(line, separator).count(separator) + 1
        return f"expected {width}, found {found}"

    def found(row: int) -> str:
        return f"found {block.line(int(fields.lines[row]))!r:.60}"

    return [
        Check("a quotation mark is misplaced or never closed", fields.misplaced, found),
        Check("wrong number of columns", wrong, count),
        Check("bytes that are not UTF-8", not_utf8, lambda row: "save it as UTF-8"),
    ]


def _without_quoted(text: str, separator: str) -> str:
    """Text without its quoted fields, so that each row is one line."""
    if separator == "\t" or '"' not in text:
        return text
    return re.sub(rf'(?m)(^|{re.escape(separator)})(?:"[^"]*")+', r"\1", text)


def _wrong_width(fields: Fields, separator: str) -> Mask:
    """Rows with too few or too many fields; an empty last field counts as a field.

    One surplus field is accepted if it is empty, as where each line ends with a
    separator.
    """
    frame, width = fields.frame, fields.width
    ends = frame.to_series(frame.width - 1).is_null().to_numpy()
    wrong: Mask = ~ends if frame.width > width else np.zeros_like(ends)
    if not ends.any():
        return wrong
    lines = pl.Series([_without_quoted(decode(fields.block.data), separator)])
    candidates = lines.str.split("\n").explode().gather(fields.rows[ends])
    found = candidates.str.count_matches(separator, literal=True).to_numpy()
    wrong[ends] = (found < width - 1) | (found > width)
    return wrong


def _not_utf8(fields: Fields, wanted: list[int]) -> Mask:
    """Rows with bytes that are not UTF-8 in one of the columns that are read.

    A genuine replacement character is valid.
    """
    columns = [fields.frame.to_series(index) for index in wanted]
    marked = [c.str.contains(NOT_UTF8, literal=True).fill_null(False) for c in columns]
    found: Mask = np.logical_or.reduce([column.to_numpy() for column in marked])
    data, first = fields.block.data, fields.block.first
    if not found.any() or NOT_UTF8.encode() not in data:
        return found
    lines = data.split(b"\n")
    starts = np.append(fields.lines - first, len(lines))
    found = found.copy()
    for row in np.flatnonzero(found):
        found[row] = not is_utf8(b"\n".join(lines[starts[row] : starts[row + 1]]))
    return found
