"""The filters of ``graphseq.data``, on events that are spread over a cluster."""

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graphseq.errors import DataError
from graphseq.spark.batches import held, mapped
from graphseq.spark.events import Events
from graphseq.spark.steps import counts

Amounts = NDArray[np.int64]
COUNTS = "kind int, id int, n bigint"


def filtered(
    events: Events,
    *,
    deduplicate: Literal["first", "last"] | None = None,
    k_core: int | None = None,
    min_length: int | None = None,
) -> Events:
    """What :func:`graphseq.data.deduplicate`, ``k_core`` and ``min_length`` leave.

    Raises:
        DataError: Nothing is left, or a number is below 1.
    """
    if deduplicate is not None:
        events = _deduplicated(events, deduplicate)
    if k_core is not None:
        events = _core(events, k_core)
    if min_length is not None:
        users, items = remaining(events)
        long = users >= min_length
        users, items = remaining(events, long) if not long.all() else (users, items)
        events = _kept(events, users, items, f"min_length({min_length})")
    return events


def remaining(
    events: Events,
    users: NDArray[np.bool_] | None = None,
    items: NDArray[np.bool_] | None = None,
) -> tuple[Amounts, Amounts]:
    """Events of every user (U,) and item (V,), of some users and items only."""
    sizes = len(events.users), len(events.items)
    masks = [
        np.ones(size, np.bool_) if mask is None else mask
        for size, mask in zip(sizes, (users, items), strict=True)
    ]
    partly = mapped(events.frame, partial(counts, masks[0], masks[1]), COUNTS)
    found = partly.groupBy("kind", "id").sum("n").toArrow()
    kind, id, n = (found.column(place).to_numpy() for place in range(3))
    amounts = [np.zeros(size, dtype=np.int64) for size in sizes]
    for place, amount in enumerate(amounts):
        amount[id[kind == place]] = n[kind == place]
    return amounts[0], amounts[1]


def _deduplicated(events: Events, keep: Literal["first", "last"]) -> Events:
    from pyspark.sql import functions as F

    best = F.min if keep == "first" else F.max
    frame = events.frame.groupBy("user", "item").agg(
        best(F.struct("time", "row")).alias("event")
    )
    frame = held(frame.select("user", "item", "event.time", "event.row"))
    return replace(events, frame=frame, size=frame.count())


def _core(events: Events, least: int) -> Events:
    """Pass over the events until no user and no item has too few of them."""
    if least < 1:
        raise DataError(
            f"k_core asks for 1 event or more; found user={least}, item={least}"
        )
    users, items = remaining(events)
    while ((users > 0) & (users < least)).any() or (
        (items > 0) & (items < least)
    ).any():
        users, items = remaining(events, users >= least, items >= least)
    return _kept(events, users, items, f"k_core(user={least}, item={least})")


def _kept(events: Events, users: Amounts, items: Amounts, what: str) -> Events:
    if not users.any():
        raise DataError(f"{what} leaves nothing of {events!r}. Ask for less")
    if users.sum() == events.size:
        return events
    return events.keep(users, items)
