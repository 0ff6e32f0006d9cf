"""The global split in time: what came later is held out, of all users at once."""

import numpy as np

from graphseq.data.arrays import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.split import HeldOut, Split, held_out, make_split, parse_shares
from graphseq.errors import DataError


def by_time(
    log: Interactions, *, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> Split:
    """Train on the past, validate and test on what came after, for all users at once.

    The time axis is cut twice, so that the events before, between and after the cuts
    are about the ``fractions`` of the log; events of one second are never parted. A
    user's targets in a part are the user's events in it, the history all before.

    Args:
        log: Events to split, with real times.
        fractions: Shares of the events that train, validate and test; they sum to 1.

    Raises:
        DataError: The log has no time, or a part stays empty.
    """
    shares = parse_shares(fractions, "by_time")
    if not log.has_time:
        raise DataError(
            "by_time cuts every user at one moment, and this log only tells the order "
            "of each user's events. Use leave_one_out or by_user, or read a log with "
            "a time column"
        )
    if not len(log):
        raise DataError("by_time was given a log without events")
    ranked = np.sort(log.time)
    places = [int(len(log) * share) for share in (shares[0], shares[0] + shares[1])]
    moments = ranked[places]
    before = [_events_before(log, moment) for moment in moments]
    start, end = log.pointers[:-1], log.pointers[1:]
    validation, no_past = _between(log, start, before[0], before[1])
    test, newcomers = _between(log, start, before[1], end)
    return make_split(
        log,
        log.time < moments[0],
        validation=validation,
        test=test,
        protocol="by_time",
        parameters={
            "fractions": list(fractions),
            "validation_from": int(moments[0]),
            "test_from": int(moments[1]),
        },
        dropped={
            "validation users without a history": no_past,
            "test users without a history": newcomers,
        },
    )


def _events_before(log: Interactions, moment: np.int64) -> Int64s:
    """The event of each user at which the moment has come, (U,)."""
    early = np.bincount(log.user[log.time < moment], minlength=log.num_users)
    return log.pointers[:-1] + early


def _between(
    log: Interactions, start: Int64s, cut: Int64s, stop: Int64s
) -> tuple[HeldOut, int]:
    """Rows of the users with targets, and how many have targets but no history."""
    asked = stop > cut
    rows = np.flatnonzero(asked & (cut > start))
    part = held_out(rows, log.item, start[rows], cut[rows], stop[rows])
    return part, int(np.count_nonzero(asked)) - len(rows)
