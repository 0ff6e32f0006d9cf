"""Columns between commas, tabs or other signs, on polars."""

import csv
from collections.abc import Iterator

import numpy as np

from graphseq.data.readers.blocks import Block
from graphseq.data.readers.fields import Fields, shape_checks, split_fields
from graphseq.data.readers.layouts import Columns, Layout
from graphseq.data.readers.roles import find_roles
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.data.readers.timestamps import to_whole_numbers
from graphseq.errors import DataError


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
