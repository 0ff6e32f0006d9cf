"""Parquet, which brings its own types."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.readers.formats import Columns, find_roles
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError

ROWS = 1 << 20  # rows that are read at a time: a row group, as most programs write them


def read_parquet(source: Source, columns: Columns | None) -> Iterator[Table]:
    """Read the three columns of a Parquet file, some rows at a time.

    Ids keep their type. A file that is packed once more with gzip is unpacked in
    memory.

    Raises:
        DataError: The file is damaged, a column is not there, or an id is neither
            string nor integer.
    """
    file = source.path if source.is_plain else io.BytesIO(source.read())
    begin = 0
    try:
        schema = pl.read_parquet_schema(file)
        names = _names(source, schema, columns)
        wanted = pl.scan_parquet(file).select(list(dict.fromkeys(names.values())))
        while (frame := wanted.slice(begin, ROWS).collect()).height:
            rows = np.arange(begin + 1, begin + 1 + frame.height)
            yield make_table({role: frame[n] for role, n in names.items()}, rows, [])
            begin += frame.height
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{source.name} is not a whole Parquet file ({str(error)[:120]}). Write or "
            "fetch it again"
        ) from error
    if not begin:
        raise DataError(f"{source.name} is empty: it has columns and no row")


def _names(
    source: Source, schema: Mapping[str, Any], columns: Columns | None
) -> dict[str, str]:
    """Name of the column of each role."""
    header = list(schema)
    places = find_roles(source.name, header, columns)
    names = {role: header[place] for role, place in places.items()}
    for role in ("user", "item"):
        kind = schema[names[role]]
        if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum)):
            raise DataError(
                f"{source.name}: ids are strings or integers; the {role} column "
                f"{names[role]!r} holds {kind}. Cast it before writing"
            )
    return names
