"""Columns between commas, tabs or other signs, on polars."""

import csv

import numpy as np

from graphseq.data.readers.fields import shape_checks, split_fields
from graphseq.data.readers.layouts import Columns, Layout
from graphseq.data.readers.roles import find_roles
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.data.readers.timestamps import to_whole_numbers
from graphseq.errors import DataError


def read_delimited(source: Source, layout: Layout, columns: Columns | None) -> Table:
    """Read a CSV, TSV, ``.dat`` or ``.inter``.

    Raises:
        DataError: A column that is asked for is not there, or a quotation is never
            closed.
    """
    data, separator = source.data, layout.separator
    if len(separator) > 1:  # polars splits at one byte
        data, separator = data.replace(separator.encode(), b"\t"), "\t"
    first = source.head(1)[0].replace(layout.separator, separator)
    header = next(csv.reader([first], delimiter=separator))
    wanted = columns or layout.columns or None
    by_position = wanted is not None and isinstance(wanted["user"], int)
    if wanted is not None and by_position:
        width = layout.width or len(header)
        places = _positions(source, wanted, width)
    else:
        width = len(header)
        places = find_roles(source.name, header, wanted)
    fields = split_fields(source.name, data, separator, width)
    if not by_position:
        fields = fields.keep(np.arange(len(fields.lines)) > 0)
    if fields.frame.is_empty():
        raise DataError(f"{source.name} has a header and no line below it")
    checks = shape_checks(source, fields, layout.separator)
    raw = {role: fields.frame.to_series(place) for role, place in places.items()}
    if layout.offset in header and columns is None:
        milliseconds = fields.frame.to_series(header.index(layout.offset))
        days = to_whole_numbers(raw["time"])
        raw["time"] = days * 1000 + to_whole_numbers(milliseconds)
    return make_table(raw, fields.lines, checks, text_ids=layout.text_ids)


def _positions(source: Source, columns: Columns, width: int) -> dict[str, int]:
    places = {role: int(place) for role, place in columns.items()}
    if not all(0 <= place < width for place in places.values()):
        raise DataError(
            f"{source.name} has {width} columns, 0 … {width - 1}; asked for {places}. "
            f"Its first line is {source.head(1)[0]!r:.120}"
        )
    return places
