"""Parquet files, whose columns have types."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.readers.blocks import is_gzip
from graphseq.data.readers.errors import parser_errors
from graphseq.data.readers.formats import Columns, find_roles, find_weight
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError

ROWS = 1 << 20  # rows that are read at a time: a row group of most writers


def read_parquet(
    source: Source, columns: Columns | None, weight: str | int | None = None
) -> Iterator[Table]:
    """Read the user, item and time columns of a Parquet file, block by block.

    Ids keep their type. A file inside a gzip is decompressed in memory. Rows are
    counted over all files of a folder.

    Raises:
        DataError: The file is damaged, a column does not exist, or ids are neither
            strings nor integers.
    """
    cure, problem = "Write or download it again", "is not a complete Parquet file"
    begin = 0
    for path in source.parts or (source.file,):
        name = source.name if not source.parts else path.name
        with parser_errors(name, cure, problem):
            file = io.BytesIO(source.read()) if is_gzip(path) else path
            table = pl.scan_parquet(file, glob=False)
            names = _column_names(name, table.collect_schema(), columns, weight)
            wanted = table.select(list(dict.fromkeys(names.values())))
            first = begin
            while (frame := wanted.slice(begin - first, ROWS).collect()).height:
                rows = np.arange(begin + 1, begin + 1 + frame.height)
                raw = {role: frame[column] for role, column in names.items()}
                yield make_table(raw, rows, [])
                begin += frame.height
    if not begin:
        raise DataError(f"{source.name} is empty: it has columns but no rows")


def _column_names(
    source: str,
    schema: Mapping[str, Any],
    columns: Columns | None,
    weight: str | int | None,
) -> dict[str, str]:
    """Name of the column of each role."""
    header = list(schema)
    roles = find_roles(source, header, columns)
    if weight is not None:
        roles["weight"] = find_weight(source, header, weight)
    names = {role: header[index] for role, index in roles.items()}
    for role in ("user", "item"):
        kind = schema[names[role]]
        if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum)):
            raise DataError(
                f"{source}: ids must be strings or integers; the {role} column "
                f"{names[role]!r} holds {kind}. Cast it before writing"
            )
    return names
