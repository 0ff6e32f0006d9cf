"""Raw ids as polars series, numbered by first appearance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from graphseq.data.arrays import Growing, Int64s, Integral
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


LOOKED_AT = 100  # ids that tell whether a column could be integers
SHARE = 4  # ids that may wait, for one that is numbered


class Numbering:
    """Numbers a column of raw ids that comes in blocks.

    A block is numbered on its own first, and waits. When the ids that wait are some
    times as many as those numbered together so far, they are put together: the work
    grows with the ids that the blocks found, and the memory with the distinct ones.

    Args:
        text: Leave strings as they are, even if all of them spell integers.
    """

    def __init__(self, text: bool = False) -> None:
        self._keeps_text = self._is_text = text
        self._ids: pl.Series | None = None
        self._numbered = Growing()
        self._waiting: list[tuple[pl.Series, Integral]] = []

    def add(self, raw: pl.Series) -> None:
        """Number one more block, (E,); no id of it is missing."""
        series = as_series(raw)
        if series.dtype == pl.String and not self._is_text:
            series = integers_if_all(series)
            self._is_text = series.dtype == pl.String
        ids, dense = number(series)
        self._waiting.append((ids, dense.astype(np.int32)))
        together = 0 if self._ids is None else len(self._ids)
        if sum(len(ids) for ids, _ in self._waiting) > SHARE * together:
            self._join()

    def ids(self) -> pl.Series:
        """The distinct ids so far, by first appearance."""
        self._join()
        ids = pl.Series(dtype=pl.String) if self._ids is None else self._ids
        if ids.dtype == pl.String and not self._keeps_text:
            ids = integers_if_all(ids)
        return ids

    def column(self) -> Integral:
        """The dense ids of all rows, (E,); they are handed over, so ask once."""
        self._join()
        return self._numbered.take()

    def _join(self) -> None:
        """Number what waits."""
        if not self._waiting:
            return
        parts = [ids for ids, _ in self._waiting]
        parts = parts if self._ids is None else [self._ids, *parts]
        if len({part.dtype for part in parts}) > 1:
            parts = [part.cast(pl.String) for part in parts]
        if len(parts) == 1:
            self._ids, places = parts[0], None
        else:
            self._ids, places = number(pl.concat(parts))
        begin = sum(map(len, parts)) - sum(len(ids) for ids, _ in self._waiting)
        for ids, dense in self._waiting:
            end = begin + len(ids)
            self._numbered.add(dense if places is None else places[begin:end][dense])
            begin = end
        self._waiting.clear()


def integers_if_all(text: pl.Series) -> pl.Series:
    """The ids as integers if every one is spelt as one, plainly."""
    if to_integers(text.head(LOOKED_AT)).null_count():
        return text
    numbers = to_integers(text)
    return text if numbers.null_count() else numbers


def number_integers(raw: Int64s) -> tuple[Int64s, Int64s] | None:
    """Distinct integers by first appearance, and the place of each row's among them.

    None if they are spread too widely for a table of all integers between them.
    """
    low, high = int(raw.min(initial=0)), int(raw.max(initial=-1))
    size = high - low + 1
    if not len(raw) or size > 4 * len(raw) + 1024:
        return None
    shifted = raw - low
    first = np.full(size, -1, dtype=np.int64)
    first[shifted[::-1]] = np.arange(len(raw))[::-1]  # the last write is the earliest
    places = np.sort(first[first >= 0])
    number = np.empty(size, dtype=np.int64)
    number[shifted[places]] = np.arange(len(places))
    return raw[places], number[shifted]
