"""Logs made smaller: each filter returns a new log, renumbered without gaps."""

from collections.abc import Iterator
from datetime import date, datetime
from math import floor
from numbers import Real
from typing import Literal

import numpy as np
import polars as pl

from graphseq.data.arrays import Mask
from graphseq.data.interactions import Interactions
from graphseq.data.timestamps import (
    count_units,
    to_whole_numbers,
    usual_unit,
)
from graphseq.errors import DataError

PART = 1 << 20  # events that are sorted at a time

Moment = int | float | str | date | datetime | np.datetime64


def k_core(log: Interactions, user: int = 5, item: int = 5) -> Interactions:
    """Drop users and items with too few events, again and again until none is left.

    What remains is the largest part of the log in which every user has ``user`` events
    or more and every item ``item``; repeats count each time.

    Raises:
        DataError: A number is below 1, or nothing remains.
    """
    if user < 1 or item < 1:
        raise DataError(
            f"k_core asks for 1 event or more; found user={user}, item={item}"
        )
    mask, left = np.ones(len(log), dtype=np.bool_), -1
    while left != (left := int(np.count_nonzero(mask))):
        users = np.bincount(log.user[mask], minlength=log.num_users) >= user
        items = np.bincount(log.item[mask], minlength=log.num_items) >= item
        mask &= users[log.user]
        mask &= items[log.item]
    return _kept(log, mask, f"k_core(user={user}, item={item})")


def min_length(log: Interactions, n: int) -> Interactions:
    """Drop users with fewer than ``n`` events, once.

    Raises:
        DataError: Nothing remains.
    """
    return _kept(log, (log.lengths >= n)[log.user], f"min_length({n})")


def deduplicate(
    log: Interactions, keep: Literal["first", "last"] = "first"
) -> Interactions:
    """Keep one event of each user with each item: the first, or the last.

    Raises:
        DataError: ``keep`` is neither.
    """
    if keep not in ("first", "last"):
        raise DataError(f"deduplicate keeps 'first' or 'last'; found {keep!r}")
    mask = np.zeros(len(log), dtype=np.bool_)
    for part in _whole_users(log):
        pair = log.user[part] * max(log.num_items, 1) + log.item[part]
        forward = slice(None, None, 1 if keep == "first" else -1)
        rows = np.unique(pair[forward], return_index=True)[1]
        mask[part][forward][rows] = True
    return _kept(log, mask, f"deduplicate({keep!r})")


def time_window(
    log: Interactions, start: Moment | None = None, end: Moment | None = None
) -> Interactions:
    """Keep the events from ``start`` on and before ``end``.

    Args:
        log: Events with real times.
        start: First moment that is kept: a number in the unit of the log, or, of unix
            times in any unit, a date or an ISO 8601 moment. ``None``: from the
            beginning.
        end: First moment that is not kept. ``None``: to the end.

    Raises:
        DataError: The log has no time, a moment cannot be read, or nothing remains.
    """
    if not log.has_time:
        raise DataError(
            "time_window needs real times, and this log only tells the order of each "
            "user's events. Read a log with a time column"
        )
    mask = np.ones(len(log), dtype=np.bool_)
    if start is not None:
        mask &= log.time >= _moment(start, log)
    if end is not None:
        mask &= log.time < _moment(end, log)
    return _kept(log, mask, f"time_window({start}, {end})")


def _whole_users(log: Interactions) -> Iterator[slice]:
    """The log in parts, none of which cuts a user's events in two."""
    begin, ends = 0, log.pointers[1:]
    while begin < len(log):
        place = min(int(np.searchsorted(ends, begin + PART)), len(ends) - 1)
        end = int(ends[place])
        yield slice(begin, end)
        begin = end


def _moment(moment: Moment, log: Interactions) -> int:
    """A moment in the unit of the log's times."""
    if isinstance(moment, Real):
        return floor(moment)
    if isinstance(moment, np.datetime64):
        moment = moment.astype("datetime64[us]").item()
    if isinstance(moment, str) and moment.strip().isdigit():
        raise DataError(
            f"{moment!r} is a number written as text. Write {moment.strip()} for a "
            "time in the unit of the log, or a day such as '2019-01-31'"
        )
    found = to_whole_numbers(pl.Series([moment]))[0]
    if found is None:
        raise DataError(
            f"{moment!r} is no moment. Write a number in the unit of the log, "
            "'2019-01-31' or '2019-01-31 12:00:00'"
        )
    unit = usual_unit(count_units(pl.Series(log.time)))
    if unit is None:
        raise DataError(
            f"{moment!r} says nothing of this log, whose times, {log.time.min()} to "
            f"{log.time.max()}, are no unix times. Write a number in their unit"
        )
    scale: int = 1000**unit
    return int(found) * scale


def _kept(log: Interactions, mask: Mask, what: str) -> Interactions:
    if not mask.any():
        raise DataError(f"{what} leaves nothing of {log!r}. Ask for less")
    return log.select(mask)
