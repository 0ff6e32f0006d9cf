"""Columns of 64-bit integers: growing, sorting and renumbering them."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from graphseq.errors import DataError

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Integral = npt.NDArray[np.signedinteger[Any]]
Mask = npt.NDArray[np.bool_]


@runtime_checkable
class Arrayed(Protocol):
    """Anything that numpy converts: an array, a tensor on the CPU, a series."""

    def __array__(self, dtype: Any = None) -> npt.NDArray[Any]:
        """The same values as a numpy array."""


Integers = Arrayed | Sequence[int]

LARGEST = 2**62  # sort keys stay below it, so that an int64 cannot overflow


class GrowingColumn:
    """A column that values are appended to, int32 as long as all of them fit.

    Capacity doubles; unused capacity takes no memory until it is written.
    """

    def __init__(self) -> None:
        self._buffer: Integral = np.empty(0, dtype=np.int32)
        self._size = 0

    def append(self, values: Integral) -> None:
        """Add values at the end, (N,)."""
        largest = max(int(values.max(initial=0)), -1 - int(values.min(initial=0)))
        dtype = np.promote_types(self._buffer.dtype, np.min_scalar_type(-1 - largest))
        begin, self._size = self._size, self._size + len(values)
        if self._size > len(self._buffer) or dtype != self._buffer.dtype:
            larger = np.empty(max(self._size, 2 * len(self._buffer)), dtype=dtype)
            larger[:begin] = self._buffer[:begin]
            self._buffer = larger
        self._buffer[begin : self._size] = values

    def take(self) -> Integral:
        """Return all values, (E,), and leave the column empty."""
        taken = self._buffer[: self._size]
        self._buffer, self._size = self._buffer[:0].copy(), 0
        return taken


def integers(name: str, values: Integers) -> Integral:
    """A column as int64, (E,); an int32 column stays as it is.

    Raises:
        DataError: The values are not integers, or have more than one dimension.
    """
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise DataError(
            f"the column {name} must hold 64-bit integers, (E,); found {array.dtype} "
            f"of shape {array.shape}. Cast it first, and drop rows without a value"
        )
    return array if array.dtype == np.int32 else array.astype(np.int64, copy=False)


def weights(values: Arrayed | Sequence[float], size: int) -> Float32s:
    """The weights of the events, read-only, (E,).

    Args:
        values: Numbers.
        size: E.

    Raises:
        DataError: They are not E finite numbers of 0 or more.
    """
    if hasattr(values, "detach"):  # a tensor
        values = values.detach().cpu().float()
    try:
        found = np.ascontiguousarray(values, dtype=np.float32).view()
    except (TypeError, ValueError) as error:
        raise DataError(f"weights are numbers, one an event: {error}") from error
    wrong = np.ones(1, np.bool_)
    if found.shape == (size,):
        wrong = ~(np.isfinite(found) & (found >= 0))
    if wrong.any():
        example = f", such as {found[wrong][0]}" if found.shape == (size,) else ""
        raise DataError(
            f"the weights of {size:,} events are as many finite numbers of 0 or more; "
            f"found {found.shape}{example}. Drop events without a weight"
        )
    found.flags.writeable = False
    return found


def is_canonical(user: Integral, time: Integral) -> bool:
    """Whether the rows are sorted by user, then time."""
    later = user[1:] > user[:-1]
    later |= (user[1:] == user[:-1]) & (time[1:] >= time[:-1])
    return bool(later.all())


def canonical_order(user: Integral, time: Integral) -> Int64s | None:
    """Indices that sort stably by user, then time, (E,); None if sorted already."""
    if is_canonical(user, time):
        return None
    first, last = int(time.min()), int(time.max())
    width = last - first + 1
    is_narrow = width * (int(user.max()) + 1) < LARGEST
    if is_narrow and user.min() >= 0:  # one key sorts faster than two
        key = user.astype(np.int64)
        key *= width
        key += time
        key -= first
        return stable_order(key)
    return np.lexsort((time, user))


def stable_order(key: Int64s) -> Int64s:
    """Indices that sort keys of 0 or more stably, (E,).

    Keys are packed with their rows into integers, whose sort is about ten times faster
    than a stable argsort. Low bits without room are sorted in a second step, for the
    rows that are equal without them.
    """
    bits = len(key).bit_length()
    low = max(0, int(key.max(initial=0)).bit_length() + bits - 64)
    if low + 2 * bits > 64:
        return np.argsort(key, kind="stable")
    high = key >> low
    rows = _sort_with_rows(high, np.arange(len(key)), bits)
    if low:
        same = np.append(high[1:] == high[:-1], False)
        tied = np.flatnonzero(same | np.roll(same, 1))
        group = np.cumsum(np.diff(high[tied], prepend=0) > 0)
        fine = group << low | key[rows[tied]] & ((1 << low) - 1)
        rows[tied] = _sort_with_rows(fine, rows[tied], bits)
    return rows


def _sort_with_rows(key: Int64s, rows: Int64s, bits: int) -> Int64s:
    """Sort keys in place; returns the row of each, a number of ``bits`` bits."""
    packed = key.view(np.uint64)
    packed <<= np.uint64(bits)
    packed |= rows.view(np.uint64)
    packed.sort()
    found = (packed & np.uint64((1 << bits) - 1)).view(np.int64)
    packed >>= np.uint64(bits)
    return found


def write_in_order(row: Int64s, column: Integral, order: Int64s | None) -> None:
    """Write the values of a column to a row of equal length, in the given order."""
    if order is not None and column.dtype == row.dtype:
        np.take(column, order, out=row, mode="clip")  # "raise" would copy the row
    else:
        row[:] = column if order is None else column[order]


def as_rows(*columns: Int64s) -> Int64s:
    """Columns of E values as the rows of one array, (C, E).

    They are not copied if they are the rows of one array, in this order.
    """
    whole = columns[0].base
    if (
        isinstance(whole, np.ndarray)
        and whole.flags.writeable
        and whole.dtype == np.int64
        and whole.shape == (len(columns), len(columns[0]))
        and all(column.base is whole for column in columns)
        and [row.ctypes.data for row in whole] == [c.ctypes.data for c in columns]
    ):
        return whole
    return np.stack(columns)


def positions(user: Integral) -> Int64s:
    """Index of each event in its user's sequence, (E,); ``user`` is sorted."""
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    lengths = np.diff(starts, append=len(user))
    return np.arange(len(user)) - np.repeat(starts, lengths)


def renumber(dense: Int64s, size: int) -> tuple[Int64s, Int64s]:
    """Ids without gaps, (E,), and the old ids that remain, both in the old order."""
    present = np.bincount(dense, minlength=size) > 0
    return (np.cumsum(present) - 1)[dense], np.flatnonzero(present)
