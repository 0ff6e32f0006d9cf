"""A log continued: later events after earlier ones, as if one file held both."""

import numpy as np
import polars as pl

from graphseq.data.columns import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.raw_ids import to_integers
from graphseq.data.readers.timestamps import FIRST, LAST, UNITS
from graphseq.data.vocabulary import Vocabulary
from graphseq.errors import DataError


def append(earlier: Interactions, later: Interactions) -> Interactions:
    """The events of one log, then those of another.

    Users and items that are new are numbered after those that are known, by first
    appearance; where times tie, the first log's events come first. So the result is
    what one file of both would give. Nothing asks that ``later`` be later: its events
    take the place that their time gives them.

    Ids that are integers in one log and text in the other are one: 42 is "42". All
    become text as soon as one of them is no integer.

    Args:
        earlier: Events, numbered as they are.
        later: More events; of the same users and items or others.

    Raises:
        DataError: Only one of the logs has times, or their times are of other units.
    """
    if not len(later):
        return earlier
    if earlier.has_time != later.has_time:
        having, lacking = ("old", "new") if earlier.has_time else ("new", "old")
        raise DataError(
            f"the {having} log has times and the {lacking} one only an order, so that "
            f"nothing says what came first. Name the column of the times, or give both "
            f"logs without"
        )
    if earlier.has_time:
        _check_units(earlier.time, later.time)
    users, user = _joined(earlier.users, later.users, later.user)
    items, item = _joined(earlier.items, later.items, later.item)
    times = [earlier.time, later.time]
    return Interactions.from_arrays(
        np.concatenate([earlier.user, user]),
        np.concatenate([earlier.item, item]),
        np.concatenate(times) if earlier.has_time else None,
        users=users,
        items=items,
    )


def _joined(
    known: Vocabulary, more: Vocabulary, dense: Int64s
) -> tuple[Vocabulary, Int64s]:
    """The vocabulary of both, and the ids in it of what ``dense`` are in the second."""
    old, new = _alike(known.ids, more.ids)
    vocabulary = Vocabulary(pl.concat([old, new]).unique(maintain_order=True))
    return vocabulary, vocabulary.encode(new)[dense]


def _alike(old: pl.Series, new: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Ids of one type: that of the old ones, if the new ones can be spelt in it."""
    old, new = old.alias("id"), new.alias("id")
    if old.dtype == new.dtype:
        return old, new
    if old.dtype == pl.String:
        return old, new.cast(pl.String)
    numbers = to_integers(new)
    if not numbers.null_count():
        return old, numbers.alias("id")
    return old.cast(pl.String), new


def _check_units(old: Int64s, new: Int64s) -> None:
    """Refuse times that count seconds in one log and milliseconds in the other."""
    before, after = _unit(old), _unit(new)
    if before is not None and after is not None and before != after:
        raise DataError(
            f"the old log's times are {before} and the new one's {after}. Bring them "
            f"to one unit"
        )


def _unit(times: Int64s) -> str | None:
    """The unit in which most times are moments since 1973; None if most are not."""
    for place, unit in enumerate(UNITS):
        first, last = FIRST * 1000**place, min(LAST * 1000**place, 2**63) - 1
        if 2 * np.count_nonzero((times >= first) & (times <= last)) > len(times):
            return unit
    return None
