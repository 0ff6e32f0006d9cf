"""Columns of 64-bit integers: growing, sorting and renumbering them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from graphseq.errors import DataError

Int64s = npt.NDArray[np.int64]
Integral = npt.NDArray[np.signedinteger[Any]]
Mask = npt.NDArray[np.bool_]


@runtime_checkable
class Arrayed(Protocol):
    """What numpy reads without help: an array, a tensor on the CPU, a series."""

    def __array__(self, dtype: Any = None) -> npt.NDArray[Any]:
        """The same values as a numpy array."""


Integers = Arrayed | Sequence[int]

LARGEST = 2**62  # sort keys stay below, far from the overflow of an int64


class Growing:
    """A column that grows at its end, of int32 as long as all its numbers fit.

    Room that is not yet filled takes no memory: the system gives it once it is written.
    """

    def __init__(self) -> None:
        self._room: Integral = np.empty(0, dtype=np.int32)
        self._size = 0

    def add(self, values: Integral) -> None:
        """Put some numbers at the end."""
        kind = np.promote_types(
            self._room.dtype, np.min_scalar_type(-1 - _largest(values))
        )
        begin, self._size = self._size, self._size + len(values)
        if self._size > len(self._room) or kind != self._room.dtype:
            larger = np.empty(max(self._size, 2 * len(self._room)), dtype=kind)
            larger[:begin] = self._room[:begin]
            self._room = larger
        self._room[begin : self._size] = values

    def take(self) -> Integral:
        """All numbers so far, (E,); they are handed over, and none is left."""
        taken = self._room[: self._size]
        self._room, self._size = self._room[:0].copy(), 0
        return taken


def _largest(values: Integral) -> int:
    """The largest magnitude, -x - 1 for a negative x."""
    return max(int(values.max(initial=0)), -1 - int(values.min(initial=0)))


def canonical_order(user: Integral, time: Integral) -> Int64s | None:
    """The stable order by user, then time; None if the rows stand in it already."""
    if is_canonical(user, time):
        return None
    first, last = int(time.min()), int(time.max())
    width = last - first + 1
    if width * (int(user.max()) + 1) < LARGEST:  # one key sorts thrice as fast as two
        key = user.astype(np.int64)
        key *= width
        key += time
        key -= first
        return np.argsort(key, kind="stable")
    return np.lexsort((time, user))


def in_order(column: Integral, order: Int64s | None) -> Int64s:
    """The rows of a column in an order, as int64."""
    column = column if order is None else column[order]
    return column.astype(np.int64, copy=False)


def is_canonical(user: Integral, time: Integral) -> bool:
    """Whether the rows stand in the order user, time."""
    later = user[1:] > user[:-1]
    later |= (user[1:] == user[:-1]) & (time[1:] >= time[:-1])
    return bool(later.all())


def positions(user: Integral) -> Int64s:
    """Each event's place in its user's run of events, (E,); users stand together."""
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    lengths = np.diff(starts, append=len(user))
    return np.arange(len(user)) - np.repeat(starts, lengths)


def integers(name: str, values: Integers) -> Integral:
    """A column as int64, (E,); one of int32 stays as it is.

    Raises:
        DataError: It holds something else, or has more than one dimension.
    """
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise DataError(
            f"the column {name} holds 64-bit integers, (E,); found {array.dtype} of "
            f"shape {array.shape}. Cast it first; rows without a value have no place"
        )
    return array if array.dtype == np.int32 else array.astype(np.int64, copy=False)


def renumber(dense: Int64s, size: int) -> tuple[Int64s, Int64s]:
    """Numbers without gaps and the old numbers that are left, both in old order."""
    present = np.bincount(dense, minlength=size) > 0
    return (np.cumsum(present) - 1)[dense], np.flatnonzero(present)


def check_lengths(user: Integral, item: Integral, time: Integral) -> None:
    """Refuse columns of unequal length.

    Raises:
        DataError: As said.
    """
    if not len(user) == len(item) == len(time):
        raise DataError(
            f"user, item and time are columns of one table; found {len(user):,}, "
            f"{len(item):,} and {len(time):,} rows"
        )


def check_order(user: Int64s, time: Int64s) -> None:
    """Refuse events that are not in canonical order.

    Raises:
        DataError: As said.
    """
    if not is_canonical(user, time):
        raise DataError(
            "the events are not in the order user, time. Use Interactions.from_arrays, "
            "which sorts"
        )


def check_ids(name: str, dense: Int64s, size: int) -> None:
    """Refuse dense ids that are not 0 … size - 1.

    Raises:
        DataError: As said.
    """
    if len(dense) and not 0 <= dense.min() <= dense.max() < size:
        raise DataError(
            f"{name} ids are 0 … {size - 1}, as the vocabulary has them; found "
            f"{dense.min()} … {dense.max()}"
        )


def span(time: Int64s) -> str:
    """First and last time, and their dates if they can be unix seconds."""
    if not len(time):
        return "no events"
    first, last = int(time.min()), int(time.max())
    try:
        dates = [datetime.fromtimestamp(t, UTC).date() for t in (first, last)]
    except (ValueError, OverflowError, OSError):
        return f"time {first} … {last}"
    return f"time {first} … {last} ({dates[0]} … {dates[1]})"
