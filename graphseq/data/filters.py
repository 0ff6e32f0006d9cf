"""Logs made smaller: each filter returns a new log, renumbered without gaps."""

from datetime import date, datetime
from typing import Literal

import numpy as np
import polars as pl

from graphseq.data.columns import Mask
from graphseq.data.interactions import Interactions
from graphseq.data.readers.timestamps import to_whole_numbers
from graphseq.errors import DataError

Moment = int | str | date | datetime


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
    who, what = log.user, log.item
    rows = np.arange(len(log))
    while True:
        few_by_user = np.bincount(who, minlength=log.num_users)[who] < user
        few_by_item = np.bincount(what, minlength=log.num_items)[what] < item
        keep = ~(few_by_user | few_by_item)
        if keep.all():
            break
        rows, who, what = rows[keep], who[keep], what[keep]
    mask = np.zeros(len(log), dtype=np.bool_)
    mask[rows] = True
    return _kept(log, mask, f"k_core(user={user}, item={item})")


def min_length(log: Interactions, n: int) -> Interactions:
    """Drop users with fewer than ``n`` events, once.

    Raises:
        DataError: Nothing remains.
    """
    return _kept(log, log.lengths[log.user] >= n, f"min_length({n})")


def deduplicate(
    log: Interactions, keep: Literal["first", "last"] = "first"
) -> Interactions:
    """Keep one event of each user with each item: the first, or the last.

    Raises:
        DataError: ``keep`` is neither.
    """
    if keep not in ("first", "last"):
        raise DataError(f"deduplicate keeps 'first' or 'last'; found {keep!r}")
    pair = log.user * max(log.num_items, 1) + log.item
    mask = np.zeros(len(log), dtype=np.bool_)
    if keep == "first":
        mask[np.unique(pair, return_index=True)[1]] = True
    else:
        mask[len(log) - 1 - np.unique(pair[::-1], return_index=True)[1]] = True
    return _kept(log, mask, f"deduplicate({keep!r})")


def time_window(
    log: Interactions, start: Moment | None = None, end: Moment | None = None
) -> Interactions:
    """Keep the events from ``start`` on and before ``end``.

    Args:
        log: Events with real times.
        start: First moment that is kept: a number in the unit of the log, or, for unix
            seconds, a date or an ISO 8601 moment. ``None``: from the beginning.
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
        mask &= log.time >= _moment(start)
    if end is not None:
        mask &= log.time < _moment(end)
    return _kept(log, mask, f"time_window({start}, {end})")


def _moment(moment: Moment) -> int:
    found = to_whole_numbers(pl.Series([moment]))[0]
    if found is None:
        raise DataError(
            f"{moment!r} is no moment. Write unix seconds, '2019-01-31' or "
            "'2019-01-31 12:00:00'"
        )
    return int(found)


def _kept(log: Interactions, mask: Mask, what: str) -> Interactions:
    if not mask.any():
        raise DataError(f"{what} leaves nothing of {log!r}. Ask for less")
    return log.select(mask)
