"""Filters: each returns a new, smaller log, renumbered without gaps."""

from collections.abc import Iterator
from datetime import date, datetime
from math import ceil
from numbers import Real
from typing import Literal

import numpy as np
import polars as pl

from graphseq.data.arrays import Mask
from graphseq.data.interactions import Interactions
from graphseq.data.timestamps import (
    UNITS,
    count_units,
    rescale,
    split_times,
    usual_unit,
)
from graphseq.errors import DataError
from graphseq.schema import Size, Weight, checked

BLOCK = 1 << 20  # events that are deduplicated at a time

Moment = int | float | str | date | datetime | np.datetime64


@checked
def k_core(log: Interactions, user: Size = 5, item: Size = 5) -> Interactions:
    """Remove users and items with too few events, repeatedly, until all have enough.

    The result is the largest subset of the log in which each user has at least ``user``
    events and each item at least ``item``; repeated pairs count each time.

    Raises:
        DataError: No event remains.
        OptionError: A minimum is below 1.
    """
    mask, left = np.ones(len(log), dtype=np.bool_), -1
    while left != (left := int(np.count_nonzero(mask))):
        users = np.bincount(log.user[mask], minlength=log.num_users) >= user
        items = np.bincount(log.item[mask], minlength=log.num_items) >= item
        mask &= users[log.user]
        mask &= items[log.item]
    return _select(log, mask, f"k_core(user={user}, item={item})")


def min_length(log: Interactions, n: int) -> Interactions:
    """Remove users with fewer than ``n`` events, once.

    Raises:
        DataError: No event remains.
    """
    return _select(log, (log.lengths >= n)[log.user], f"min_length({n})")


@checked
def length_range(
    log: Interactions, least: Size = 1, most: Size | None = None
) -> Interactions:
    """Keep the users with ``least`` to ``most`` events, counted once.

    Args:
        log: Events.
        least: Fewest events of a user that is kept.
        most: Most events of a user that is kept; ``None``: no upper bound.

    Raises:
        DataError: No event remains.
        OptionError: A bound is below 1.
    """
    kept = log.lengths >= least
    if most is not None:
        kept &= log.lengths <= most
    return _select(log, kept[log.user], f"length_range({least}, {most})")


@checked
def min_rating(log: Interactions, least: Weight) -> Interactions:
    """Keep the events with a weight of at least ``least``, such as a rating of 4.

    Raises:
        DataError: The log has no weights, or no event remains.
        OptionError: ``least`` is negative or not a number.
    """
    if log.weight is None:
        raise DataError(
            "min_rating needs the weights of the events, and this log has none. Read "
            "it with the column of the ratings: weight='rating' (--weight rating)"
        )
    return _select(log, log.weight >= np.float32(least), f"min_rating({least:g})")


@checked
def deduplicate(
    log: Interactions, keep: Literal["first", "last"] = "first"
) -> Interactions:
    """Keep one event of each pair of user and item: the first or the last.

    Raises:
        OptionError: ``keep`` is neither "first" nor "last".
    """
    mask = np.zeros(len(log), dtype=np.bool_)
    step = slice(None, None, 1 if keep == "first" else -1)
    for block in _user_blocks(log):
        pair = log.user[block] * max(log.num_items, 1) + log.item[block]
        rows = np.unique(pair[step], return_index=True)[1]
        mask[block][step][rows] = True
    return _select(log, mask, f"deduplicate({keep!r})")


def time_window(
    log: Interactions, start: Moment | None = None, end: Moment | None = None
) -> Interactions:
    """Keep the events in the half-open interval [start, end).

    Args:
        log: Events with timestamps.
        start: A number in the unit of the log; or, if its times are unix times in any
            unit, a date or an ISO 8601 moment. ``None``: no lower bound.
        end: The same. ``None``: no upper bound.

    Raises:
        DataError: The log has no timestamps, a moment cannot be parsed, or no event
            remains.
    """
    if not log.has_time:
        raise DataError(
            "time_window needs timestamps, and this log has only the order of each "
            "user's events. Read a log with a time column"
        )
    mask = np.ones(len(log), dtype=np.bool_)
    if start is not None:
        mask &= log.time >= _moment(start, log)
    if end is not None:
        mask &= log.time < _moment(end, log)
    return _select(log, mask, f"time_window({start}, {end})")


def _user_blocks(log: Interactions) -> Iterator[slice]:
    """Slices of about ``BLOCK`` events; each user's events are in one of them."""
    begin, ends = 0, log.pointers[1:]
    while begin < len(log):
        last = min(int(np.searchsorted(ends, begin + BLOCK)), len(ends) - 1)
        end = int(ends[last])
        yield slice(begin, end)
        begin = end


def _moment(moment: Moment, log: Interactions) -> int:
    """A moment in the unit of the log's times, rounded up: no event lies between."""
    if isinstance(moment, Real):
        try:
            return ceil(moment)
        except (ValueError, OverflowError) as error:  # not a number, or infinite
            raise DataError(
                f"{moment} is not a moment. Write a finite number in the unit of the "
                "log, or None where there is no bound"
            ) from error
    if isinstance(moment, np.datetime64):
        moment = moment.astype("datetime64[us]").item()
    if isinstance(moment, str) and moment.strip().isdigit():
        raise DataError(
            f"{moment!r} is a number in quotes. Write {moment.strip()} for a time in "
            "the unit of the log, or a date such as '2019-01-31'"
        )
    times, parts = split_times(pl.Series([moment]))
    if times[0] is None:
        raise DataError(
            f"{moment!r} is not a date or time. Write a number in the unit of the log, "
            "'2019-01-31' or '2019-01-31 12:00:00'"
        )
    unit = usual_unit(count_units(pl.Series(log.time)))
    if unit is None:
        raise DataError(
            f"the date {moment!r} cannot be compared with the times of this log, "
            f"{log.time.min()} … {log.time.max()}, which are not unix times. Write a "
            "number in their unit"
        )
    fraction = np.zeros(1, dtype=np.int64) if parts is None else parts
    found = rescale(times.to_numpy(), fraction, unit)[0]
    return int(found) + bool(fraction[0] % 1000 ** (len(UNITS) - 1 - unit))


def _select(log: Interactions, mask: Mask, step: str) -> Interactions:
    if not mask.any():
        raise DataError(f"{step} removes every event of {log!r}. Relax the filter")
    return log.select(mask)
