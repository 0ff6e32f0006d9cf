"""Raw ids as polars series, numbered by first appearance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from graphseq.data.arrays import GrowingColumn, Int64s, Integral, Mask
from graphseq.errors import DataError

RawIds = pl.Series | npt.NDArray[Any] | Sequence[str | int]
"""Ids as the source has them: strings, or integers of up to 64 bits."""

SAMPLE = 100  # ids that are checked before a whole column is parsed as integers
PENDING_RATIO = 4  # ids that may be pending, per id that is numbered already


def as_series(ids: RawIds, mixed: bool = False) -> pl.Series:
    """The ids as a series of strings or 64-bit integers.

    Args:
        ids: Raw ids.
        mixed: Convert a mixture of strings and integers to strings.

    Raises:
        DataError: They are neither, or mixed although ``mixed`` is False.
    """
    if not isinstance(ids, pl.Series | np.ndarray):
        ids = list(ids)
        if mixed and len({type(raw) for raw in ids}) > 1:
            ids = [None if raw is None else str(raw) for raw in ids]
    try:
        series = pl.Series("id", ids)
        if series.dtype == pl.UInt64 and (series >= 2**63).any():
            return series.cast(pl.String)  # as such numbers in text are read
        if series.dtype.is_integer():
            return series.cast(pl.Int64)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            "ids must be all strings or all signed 64-bit integers; found "
            f"{ids!r:.80}. Convert them to one type"
        ) from error
    empty = series.dtype == pl.Null and not len(series)
    if empty or series.dtype in (pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    if series.dtype != pl.String:
        raise DataError(
            f"ids must be strings or integers; found {series.dtype}. Cast the column"
        )
    return series


def to_integers(text: pl.Series) -> pl.Series:
    """Plain decimal integers, null for anything else, such as "007" or "1.0"."""
    numbers = text.cast(pl.Int64, strict=False)
    return pl.select(pl.when(numbers.cast(pl.String) == text).then(numbers)).to_series()


def integers_if_all(text: pl.Series) -> pl.Series:
    """The ids as integers if every one is a plain decimal, else unchanged."""
    if to_integers(text.head(SAMPLE)).null_count():
        return text
    numbers = to_integers(text)
    return text if numbers.null_count() else numbers


def number(ids: pl.Series) -> tuple[pl.Series, Int64s]:
    """Distinct ids by first appearance, (U,), and the index of each row's id, (E,)."""
    if ids.dtype == pl.Int64 and not ids.null_count():
        numbered = number_integers(ids.to_numpy())
        if numbered is not None:
            return pl.Series("id", numbered[0]), numbered[1]
    return number_hashed(ids.alias("id"), ids.hash().to_numpy())


def number_hashed(
    ids: pl.Series, hashes: npt.NDArray[np.uint64]
) -> tuple[pl.Series, Int64s]:
    """As :func:`number`, by sorting hashes; different ids may have equal ones.

    Args:
        ids: Raw ids, (E,).
        hashes: A hash of each id, (E,).
    """
    bits = np.uint64(len(ids).bit_length())
    row = np.arange(len(ids))
    keys = hashes >> bits << bits | row.view(np.uint64)  # upper bits, then the row
    keys.sort()
    rows = (keys & ~(~np.uint64(0) << bits)).view(np.int64)
    keys >>= bits
    begins = np.append(True, keys[1:] != keys[:-1])[: len(ids)]
    first = np.empty_like(row)  # the row in which each row's id appears first
    first[rows] = rows[np.flatnonzero(begins)][_counted(begins)]
    distinct, dense = _numbered(ids, first)
    others = distinct.gather(dense).ne_missing(ids).arg_true().to_numpy()
    if len(others):  # equal hashes of different ids
        frame = pl.DataFrame({"id": ids.gather(others), "row": others})
        first[others] = frame.select(pl.col("row").first().over("id")).to_series()
        distinct, dense = _numbered(ids, first)
    return distinct, dense


def _numbered(ids: pl.Series, first: Int64s) -> tuple[pl.Series, Int64s]:
    """As :func:`number`, from the row in which each row's id appears first, (E,)."""
    is_first = first == np.arange(len(ids))
    return ids.filter(pl.Series(is_first)).rechunk(), _counted(is_first)[first]


def _counted(begins: Mask) -> Int64s:
    """Index of the group of each row, given the rows that begin one, (E,)."""
    index = begins.astype(np.int64)  # a sum of booleans takes ten times as long
    np.cumsum(index, out=index)
    index -= 1
    return index


def number_integers(raw: Int64s) -> tuple[Int64s, Int64s] | None:
    """As :func:`number`, by a table of all integers between the least and the largest.

    None if that table would be too large.
    """
    low, high = int(raw.min(initial=0)), int(raw.max(initial=-1))
    size = high - low + 1
    if not len(raw) or size > 4 * len(raw) + 1024:
        return None
    shifted = raw - low
    first = np.full(size, -1, dtype=np.int64)
    first[shifted[::-1]] = np.arange(len(raw))[::-1]  # the last write is the earliest
    rows = np.sort(first[first >= 0])
    index = np.empty(size, dtype=np.int64)
    index[shifted[rows]] = np.arange(len(rows))
    return raw[rows], index[shifted]


class BlockNumbering:
    """Numbers a column of raw ids that arrives in blocks, by first appearance.

    Each block is numbered on its own and is pending at first. Pending blocks are merged
    once their ids outnumber the merged ones several times: so the work is linear in the
    ids of the blocks, and the memory in the distinct ids.

    Args:
        text: Keep strings as they are, even if all of them are decimal integers.
    """

    def __init__(self, text: bool = False) -> None:
        self._keeps_text = self._is_text = text
        self._ids: pl.Series | None = None
        self._numbered = GrowingColumn()
        self._pending: list[tuple[pl.Series, Integral]] = []

    def add(self, raw: pl.Series) -> None:
        """Number one more block, (E,), without missing ids."""
        series = as_series(raw)
        if series.dtype == pl.String and not self._is_text:
            series = integers_if_all(series)
            self._is_text = series.dtype == pl.String
        ids, dense = number(series)
        self._pending.append((ids, dense.astype(np.int32)))
        merged = 0 if self._ids is None else len(self._ids)
        if sum(len(ids) for ids, _ in self._pending) > PENDING_RATIO * merged:
            self._merge()

    def ids(self) -> pl.Series:
        """The distinct ids so far, by first appearance."""
        self._merge()
        ids = pl.Series(dtype=pl.String) if self._ids is None else self._ids
        if ids.dtype == pl.String and not self._keeps_text:
            ids = integers_if_all(ids)
        return ids

    def take_column(self) -> Integral:
        """Return the dense ids of all rows, (E,), and forget them."""
        self._merge()
        return self._numbered.take()

    def _merge(self) -> None:
        """Number the pending blocks together with the merged ids."""
        if not self._pending:
            return
        parts = [ids for ids, _ in self._pending]
        parts = parts if self._ids is None else [self._ids, *parts]
        if len({part.dtype for part in parts}) > 1:
            parts = [part.cast(pl.String) for part in parts]
        if len(parts) == 1:
            self._ids, index = parts[0], None
        else:
            self._ids, index = number(pl.concat(parts))
        begin = sum(map(len, parts)) - sum(len(ids) for ids, _ in self._pending)
        for ids, dense in self._pending:
            end = begin + len(ids)
            self._numbered.append(dense if index is None else index[begin:end][dense])
            begin = end
        self._pending.clear()
