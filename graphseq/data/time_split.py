"""A global split in time: the latest events of all users are held out."""

import numpy as np

from graphseq.data.arrays import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.split import HeldOut, Split, exact_fractions, held_out, make_split
from graphseq.errors import DataError


def by_time(
    log: Interactions, *, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> Split:
    """Train on the past; validate and test on later events, for all users at once.

    The time axis is cut twice, so that the events before, between and after the cuts
    are about the given ``fractions`` of the log; events of equal time stay together. A
    user's targets in a part are the user's events in it, the history all earlier ones.

    Args:
        log: Events to split, with timestamps.
        fractions: Fractions of events for training, validation and test; they sum to 1.

    Raises:
        DataError: The log has no timestamps, or a part is empty.
    """
    parts = exact_fractions(fractions, "by_time")
    if not log.has_time:
        raise DataError(
            "by_time splits all users at the same times, and this log has only the "
            "order of each user's events. Use leave_one_out or by_user, or read a log "
            "with a time column"
        )
    if not len(log):
        raise DataError("by_time needs events; the log is empty. Read another log")
    log = log.sorted_by_id()
    ranked = np.sort(log.time)
    cuts = [int(len(log) * part) for part in (parts[0], parts[0] + parts[1])]
    moments = ranked[cuts]
    start, end = log.pointers[:-1], log.pointers[1:]
    first, second = (start + _events_before(log, moment) for moment in moments)
    validation, without_history = _rows(log, start, first, second)
    test, new_users = _rows(log, start, second, end)
    return make_split(
        log,
        log.time < moments[0],
        validation=validation,
        test=test,
        method="by_time",
        parameters={
            "fractions": list(fractions),
            "validation_from": int(moments[0]),
            "test_from": int(moments[1]),
        },
        dropped={
            "validation users without a history": without_history,
            "test users without a history": new_users,
        },
    )


def _events_before(log: Interactions, moment: np.int64) -> Int64s:
    """Number of events of each user before a moment, (U,)."""
    return np.bincount(log.user[log.time < moment], minlength=log.num_users)


def _rows(
    log: Interactions, start: Int64s, cut: Int64s, stop: Int64s
) -> tuple[HeldOut, int]:
    """Rows of users with a history and targets; number of users with targets only."""
    has_targets = stop > cut
    rows = np.flatnonzero(has_targets & (cut > start))
    part = held_out(rows, log.item, start[rows], cut[rows], stop[rows])
    return part, int(np.count_nonzero(has_targets)) - len(rows)
