"""Ids as they stand in a source, as a polars series."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from graphseq.data.columns import Int64s, number_integers
from graphseq.errors import DataError

RawIds = pl.Series | npt.NDArray[Any] | Sequence[str | int]
"""Ids as they stand in the source: strings, or integers of up to 64 bits."""


def to_integers(text: pl.Series) -> pl.Series:
    """Integers spelt in plain decimal; null for all else, such as "007" or "1.0"."""
    numbers = text.cast(pl.Int64, strict=False)
    return pl.select(pl.when(numbers.cast(pl.String) == text).then(numbers)).to_series()


def as_series(ids: RawIds, mixed: bool = False) -> pl.Series:
    """The ids as a series of strings or 64-bit integers.

    Args:
        ids: Raw ids.
        mixed: Spell strings and integers that stand together as strings.

    Raises:
        DataError: They are neither, or mixed though they should not be.
    """
    if not isinstance(ids, pl.Series | np.ndarray):
        ids = list(ids)
        if mixed and len({type(raw) for raw in ids}) > 1:
            ids = [None if raw is None else str(raw) for raw in ids]
    try:
        series = pl.Series("id", ids)
        if series.dtype.is_integer():
            return series.cast(pl.Int64)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            "ids are all strings or all integers of 64 bits with a sign; found "
            f"{ids!r:.80}. Spell them one way"
        ) from error
    if series.dtype in (pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    if series.dtype == pl.Null and not len(series):
        return series.cast(pl.String)
    if series.dtype != pl.String:
        raise DataError(
            f"ids are strings or integers; found {series.dtype}. Cast the column first"
        )
    return series


def number(ids: pl.Series) -> tuple[pl.Series, Int64s]:
    """Distinct ids by first appearance, and the place of each row's among them."""
    if ids.dtype == pl.Int64 and not ids.null_count():
        numbered = number_integers(ids.to_numpy())
        if numbered is not None:
            return pl.Series("id", numbered[0]), numbered[1]
    distinct = ids.alias("id").unique(maintain_order=True)
    table = distinct.to_frame().with_columns(dense=pl.int_range(pl.len()))
    rows = ids.alias("id").to_frame()
    found = rows.join(
        table, on="id", how="left", maintain_order="left", nulls_equal=True
    )
    return distinct, found["dense"].to_numpy()
