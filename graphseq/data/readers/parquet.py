"""Parquet, which brings its own types."""

import io

import numpy as np
import polars as pl

from graphseq.data.readers.layouts import Columns
from graphseq.data.readers.roles import find_roles
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError


def read_parquet(source: Source, columns: Columns | None) -> Table:
    """Read the three columns of a Parquet file; ids keep their type.

    Raises:
        DataError: The file is damaged, a column is not there, or an id is neither
            string nor integer.
    """
    try:
        header = list(pl.read_parquet_schema(io.BytesIO(source.data)))
        places = find_roles(source.name, header, columns)
        names = {role: header[place] for role, place in places.items()}
        wanted = list(dict.fromkeys(names.values()))
        frame = pl.read_parquet(io.BytesIO(source.data), columns=wanted)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{source.name} is not a whole Parquet file ({str(error)[:120]}). Write or "
            "fetch it again"
        ) from error
    for role in ("user", "item"):
        kind = frame.schema[names[role]]
        if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum)):
            raise DataError(
                f"{source.name}: ids are strings or integers; the {role} column "
                f"{names[role]!r} holds {kind}. Cast it before writing"
            )
    if frame.is_empty():
        raise DataError(f"{source.name} is empty: it has columns and no row")
    rows = np.arange(1, frame.height + 1)
    raw = {role: frame[name] for role, name in names.items()}
    return make_table(raw, rows, [], text_ids=True, unit="row")
