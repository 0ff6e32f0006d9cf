"""Concatenate two logs, whose ids and times may be of different kinds."""

import warnings
from dataclasses import replace

import numpy as np
import polars as pl

from graphseq.data.arrays import LARGEST, Int64s
from graphseq.data.ids import to_integers
from graphseq.data.interactions import Interactions
from graphseq.data.timestamps import UNITS, count_units
from graphseq.data.vocabulary import Vocabulary
from graphseq.errors import DataError

MANY = 10  # users of whom one at least is usually known


def append(earlier: Interactions, later: Interactions) -> Interactions:
    """Concatenate two logs, as if one file held the lines of both.

    New users and items are numbered after the known ones, by first appearance; where
    times tie, the first log's events come first. The times of ``later`` need not be
    later: all events are sorted.

    If only one of the logs has fractions of its times, so that its unit is a thousandth
    of the source's, the times of the other are brought to it.

    An integer in one log and its decimal string in the other are one id (42 and "42").
    If one of the ids is not an integer, all of them become strings.

    Args:
        earlier: Events; their numbering is kept.
        later: More events, of the same or of other users and items.

    Raises:
        DataError: Only one of the logs has times or weights, or the units of their
            times differ.
    """
    if not len(later):
        return earlier
    if earlier.has_time != later.has_time:
        timed, untimed = ("old", "new") if earlier.has_time else ("new", "old")
        raise DataError(
            f"the {timed} log has timestamps and the {untimed} one has only an order, "
            "so the events cannot be sorted. Name the time column of both, or of "
            "neither"
        )
    steps = max(earlier.time_steps, later.time_steps)
    earlier, later = (_finer(log, steps) for log in (earlier, later))
    units = [_unit(log.time) if log.has_time else None for log in (earlier, later)]
    if None not in units and units[0] != units[1]:
        raise DataError(
            f"the old log's times are {units[0]} and the new one's {units[1]}. Convert "
            "them to one unit"
        )
    if (earlier.weight is None) != (later.weight is None):
        weighted, other = ("new", "old") if earlier.weight is None else ("old", "new")
        raise DataError(
            f"the {weighted} log has weights of its events and the {other} one has "
            "none. Name the column of the weights of both (--weight), or of neither"
        )
    weight = None
    if earlier.weight is not None and later.weight is not None:
        weight = np.concatenate([earlier.weight, later.weight])
    users, user = _extend(earlier.users, later.users, later.user)
    items, item = _extend(earlier.items, later.items, later.item)
    known = np.count_nonzero(user < earlier.num_users)
    known += np.count_nonzero(item < earlier.num_items)
    if not known and min(earlier.num_users, later.num_users) >= MANY:
        warnings.warn(
            "no user and no item of the new log is known, such as the user "
            f"{later.users.ids[int(later.user[0])]!r} and the item "
            f"{later.items.ids[int(later.item[0])]!r}; known are "
            f"{earlier.users.ids[0]!r} and {earlier.items.ids[0]!r}. Check that both "
            "logs write their ids in the same way",
            UserWarning,
            stacklevel=2,
        )
    times = np.concatenate([earlier.time, later.time]) if earlier.has_time else None
    return Interactions.from_arrays(
        np.concatenate([earlier.user, user]),
        np.concatenate([earlier.item, item]),
        times,
        users=users,
        items=items,
        weight=weight,
        time_steps=steps,
    )


def _finer(log: Interactions, steps: int) -> Interactions:
    """The log with times as fine as if it had fractions of that many steps."""
    missing = steps - log.time_steps
    if not missing or not log.has_time:
        return log
    if int(np.abs(log.time).max(initial=0)) * 1000**missing >= LARGEST:
        raise DataError(
            "the times of one log have fractions, and with as many digits those of the "
            "other do not fit in 64 bits. Round the times of both to one unit"
        )
    return replace(log, time=log.time * 1000**missing, time_steps=steps)


def _extend(
    known: Vocabulary, more: Vocabulary, dense: Int64s
) -> tuple[Vocabulary, Int64s]:
    """The vocabulary of both, and ``dense``, ids of the second, as ids of it."""
    old, new = known.ids, more.ids
    if old.dtype == pl.String:
        new = new.cast(pl.String)
    elif new.dtype == pl.String:
        integral = to_integers(new)
        if integral.null_count():
            old = old.cast(pl.String)
        else:
            new = integral
    ids = pl.concat([old.alias("id"), new.alias("id")]).unique(maintain_order=True)
    vocabulary = Vocabulary(ids)
    return vocabulary, vocabulary.encode(new)[dense]


def _unit(times: Int64s) -> str | None:
    """The unit in which most times are dates since 1973; None if most are not."""
    counts = count_units(pl.Series(times))[:-1]
    unit = int(counts.argmax())
    return UNITS[unit] if 2 * counts[unit] > len(times) else None
