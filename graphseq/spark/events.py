"""Distributed events of a log, filtered and split; vocabularies at the driver."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphseq import data
from graphseq.data import Interactions, Split, Vocabulary
from graphseq.data.arrays import Int64s, canonical_order, positions
from graphseq.data.interactions import summary, time_range
from graphseq.errors import DataError, GraphError
from graphseq.spark.batches import map_batches, persist
from graphseq.spark.kernel import before, count_events, renumber

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SCHEMA = "user int, item int, time bigint, row bigint"


@dataclass(frozen=True, repr=False)
class Events:
    """The distributed form of :class:`graphseq.data.Interactions`.

    The events are in ``frame``, on the cluster; the vocabularies are at the driver, as
    they will be in the graph.

    Attributes:
        frame: Columns user and item (dense ids), time, and row, the position in the
            log; without timestamps, ``time`` is the row.
        users: Raw ids of the U users.
        items: Raw ids of the V items.
        size: Number of events.
        has_time: False if the source gives only the order.
        skipped: Lines that the reader skipped, by reason.
    """

    frame: "DataFrame"
    users: Vocabulary
    items: Vocabulary
    size: int
    has_time: bool = True
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        """As ``Interactions``, without fetching the events."""
        times = "order only, no timestamps"
        if self.has_time and self.size:
            from pyspark.sql import functions as F

            ends = self.frame.agg(F.min("time"), F.max("time")).first() or (0, 0)
            times = time_range(np.array(list(ends)))
        return summary(self.size, len(self.users), len(self.items), times)

    def collect(self) -> tuple[Interactions, Int64s]:
        """All events at the driver, in canonical order, and the row of each, (E,)."""
        table = self.frame.toArrow()
        columns = [table.column(n).to_numpy() for n in ("user", "item", "time", "row")]
        del table
        first = np.argsort(columns[3])
        user, item, time, row = (column[first] for column in columns)
        del columns
        user, item = user.astype(np.int64), item.astype(np.int64)
        order = canonical_order(user, time) if len(user) else None
        if order is not None:
            user, item, time, row = user[order], item[order], time[order], row[order]
        times = time if self.has_time else positions(user)
        log = Interactions(
            user, item, times, self.users, self.items, self.has_time, self.skipped
        )
        return log, row

    def select(self, users: Int64s, items: Int64s) -> "Events":
        """The events of the remaining users and items, renumbered.

        Args:
            users: Number of remaining events of each user, (U,); 0 removes the user.
            items: Number of remaining events of each item, (V,).
        """
        kept = users > 0, items > 0
        ids = [
            np.where(mask, np.cumsum(mask) - 1, -1).astype(np.int32) for mask in kept
        ]
        return replace(
            self,
            frame=map_batches(self.frame, partial(renumber, ids[0], ids[1]), SCHEMA),
            users=self.users.take(np.flatnonzero(kept[0])),
            items=self.items.take(np.flatnonzero(kept[1])),
            size=int(users.sum()),
        )

    def sorted_by_id(self) -> "Events":
        """As :meth:`graphseq.data.Interactions.sorted_by_id`."""
        users, items = self.users.ranks(), self.items.ranks()
        ids = users.astype(np.int32), items.astype(np.int32)
        return replace(
            self,
            frame=map_batches(self.frame, partial(renumber, *ids), SCHEMA),
            users=self.users.take(np.argsort(users)),
            items=self.items.take(np.argsort(items)),
        )


COUNTS = "kind int, id int, n bigint"


def filter_events(
    events: Events,
    *,
    deduplicate: Literal["first", "last"] | None = None,
    k_core: int | None = None,
    min_length: int | None = None,
) -> Events:
    """Apply :func:`graphseq.data.deduplicate`, ``k_core`` and ``min_length``.

    Raises:
        DataError: No event remains, or ``k_core`` is below 1.
    """
    if deduplicate is not None:
        events = _deduplicate(events, deduplicate)
    if k_core is not None:
        events = _k_core(events, k_core)
    if min_length is not None:
        users, items = event_counts(events)
        long = users >= min_length
        if not long.all():
            users, items = event_counts(events, long)
        events = _select(events, users, items, f"min_length({min_length})")
    return events


def event_counts(
    events: Events,
    users: NDArray[np.bool_] | None = None,
    items: NDArray[np.bool_] | None = None,
) -> tuple[Int64s, Int64s]:
    """Events of each user, (U,), and item, (V,), with the selected users and items."""
    sizes = len(events.users), len(events.items)
    masks = [
        np.ones(size, np.bool_) if mask is None else mask
        for size, mask in zip(sizes, (users, items), strict=True)
    ]
    partial_counts = map_batches(
        events.frame, partial(count_events, masks[0], masks[1]), COUNTS
    )
    found = partial_counts.groupBy("kind", "id").sum("n").toArrow()
    kind, id, n = (found.column(index).to_numpy() for index in range(3))
    totals = [np.zeros(size, dtype=np.int64) for size in sizes]
    for index, total in enumerate(totals):
        total[id[kind == index]] = n[kind == index]
    return totals[0], totals[1]


def _deduplicate(events: Events, keep: Literal["first", "last"]) -> Events:
    from pyspark.sql import functions as F

    best = F.min if keep == "first" else F.max
    frame = events.frame.groupBy("user", "item").agg(
        best(F.struct("time", "row")).alias("event")
    )
    frame = persist(frame.select("user", "item", "event.time", "event.row"))
    return replace(events, frame=frame, size=frame.count())


def _k_core(events: Events, least: int) -> Events:
    """Filter until all users and items have at least ``least`` events."""
    if least < 1:
        raise DataError(f"k_core needs a minimum of at least 1; found {least}")
    users, items = event_counts(events)
    while ((users > 0) & (users < least)).any() or (
        (items > 0) & (items < least)
    ).any():
        users, items = event_counts(events, users >= least, items >= least)
    return _select(events, users, items, f"k_core(user={least}, item={least})")


def _select(events: Events, users: Int64s, items: Int64s, step: str) -> Events:
    if not users.any():
        raise DataError(f"{step} removes every event of {events!r}. Relax the filter")
    if users.sum() == events.size:
        return events
    return events.select(users, items)


NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Training:
    """The training events of a split, at the driver and on the cluster.

    Attributes:
        split: The split, at the driver, whose training events become edges.
        frame: The same events on the cluster: columns user, item, time and row.
    """

    split: Split
    frame: "DataFrame"


def split_events(events: Events, method: str, seed: int = 0) -> Training:
    """Split events with the function of ``graphseq.data`` of this name.

    That function runs at the driver, since the graph holds the histories and targets.
    The cluster keeps each user's events before the first held-out one.

    Raises:
        DataError: As that function.
    """
    events = events.sorted_by_id()
    log, row = events.collect()
    options: dict[str, Any] = {"seed": seed} if method == "by_user" else {}
    split: Split = getattr(data, method)(log, **options)
    time, first = _first_held_out(log, row, split, events.has_time)
    frame = persist(map_batches(events.frame, partial(before, time, first), SCHEMA))
    return Training(split, frame)


def _first_held_out(
    log: Interactions, row: Int64s, split: Split, has_time: bool
) -> tuple[Int64s, Int64s]:
    """Time and row of each user's first held-out event, (U,) each."""
    end = log.pointers[:-1] + split.train.lengths
    trains = np.arange(len(log)) < end[log.user]
    if not np.array_equal(log.item[trains], split.train.item):
        raise GraphError(
            f"{split.method} trains on events that follow held-out ones, which the "
            "Spark engine does not support. Use --engine local"
        )
    held = split.train.lengths < log.lengths
    time, first = np.full((2, log.num_users), NEVER)
    first[held] = row[end[held]]
    time[held] = log.time[end[held]] if has_time else first[held]
    return time, first
