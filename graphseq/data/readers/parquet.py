"""Parquet files, whose columns have types."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.readers.formats import Columns, find_roles
from graphseq.data.readers.source import Source, is_gzip
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError

ROWS = 1 << 20  # rows that are read at a time: a row group of most writers


def read_parquet(source: Source, columns: Columns | None) -> Iterator[Table]:
    """Read the user, item and time columns of a Parquet file, block by block.

    Ids keep their type. A file inside a gzip is decompressed in memory.

    Raises:
        DataError: The file is damaged, a column does not exist, or ids are neither
            strings nor integers.
    """
    file = io.BytesIO(source.read()) if is_gzip(source.path) else source.path
    begin = 0
    try:
        names = _column_names(source, pl.read_parquet_schema(file), columns)
        wanted = pl.scan_parquet(file).select(list(dict.fromkeys(names.values())))
        while (frame := wanted.slice(begin, ROWS).collect()).height:
            rows = np.arange(begin + 1, begin + 1 + frame.height)
            yield make_table({role: frame[n] for role, n in names.items()}, rows, [])
            begin += frame.height
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{source.name} is not a complete Parquet file ({str(error)[:120]}). Write "
            "or download it again"
        ) from error
    if not begin:
        raise DataError(f"{source.name} is empty: it has columns but no rows")


def _column_names(
    source: Source, schema: Mapping[str, Any], columns: Columns | None
) -> dict[str, str]:
    """Name of the column of each role."""
    header = list(schema)
    roles = find_roles(source.name, header, columns)
    names = {role: header[index] for role, index in roles.items()}
    for role in ("user", "item"):
        kind = schema[names[role]]
        if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum)):
            raise DataError(
                f"{source.name}: ids must be strings or integers; the {role} column "
                f"{names[role]!r} holds {kind}. Cast it before writing"
            )
    return names
