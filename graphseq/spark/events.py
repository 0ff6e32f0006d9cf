"""The events of a log, spread over a cluster; its users and items, at the driver."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from graphseq import data
from graphseq.data import Interactions, Split, Vocabulary
from graphseq.data.arrays import Int64s, canonical_order, positions, span
from graphseq.errors import DataError, GraphError
from graphseq.spark.batches import held, mapped
from graphseq.spark.kernel import before, counts, rename

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SCHEMA = "user int, item int, time bigint, row bigint"


@dataclass(frozen=True, repr=False)
class Events:
    """What :class:`graphseq.data.Interactions` holds, before it is in one place.

    What grows with the events is in ``frame``; what grows with the users and items is
    here, as it will be in the graph.

    Attributes:
        frame: Columns user and item (dense ids), time, and row, by which the log
            orders its events; without times, ``time`` is the row.
        users: Raw ids of the U users.
        items: Raw ids of the V items.
        size: Number of events.
        has_time: False if the source only told the order.
        skipped: Lines that reading left out, by reason.
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
        """The words of ``Interactions``, without fetching the events."""
        users, items = len(self.users), len(self.items)
        times = "no time, only an order"
        if self.has_time and self.size:
            from pyspark.sql import functions as F

            ends = self.frame.agg(F.min("time"), F.max("time")).first() or (0, 0)
            times = span(np.array(list(ends)))
        return (
            f"Interactions({self.size:,} events of {users:,} users and {items:,} "
            f"items; density {self.size / max(users * items, 1):.2%}, mean length "
            f"{self.size / max(users, 1):.2f}; {times})"
        )

    def collect(self) -> tuple[Interactions, Int64s]:
        """All events in one place, in canonical order, and the row of each, (E,)."""
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
        when = time if self.has_time else positions(user)
        log = Interactions(
            user, item, when, self.users, self.items, self.has_time, self.skipped
        )
        return log, row

    def keep(
        self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]
    ) -> "Events":
        """The events of users and items that have events left, renumbered.

        Args:
            users: Events that each user will have, (U,); none, and the user is gone.
            items: Events that each item will have, (V,).
        """
        kept = users > 0, items > 0
        names = [
            np.where(mask, np.cumsum(mask) - 1, -1).astype(np.int32) for mask in kept
        ]
        return replace(
            self,
            frame=mapped(self.frame, partial(rename, names[0], names[1]), SCHEMA),
            users=self.users.take(np.flatnonzero(kept[0])),
            items=self.items.take(np.flatnonzero(kept[1])),
            size=int(users.sum()),
        )


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


NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Training:
    """Training events in both places.

    Attributes:
        split: At the driver, where they become the graph's edges.
        frame: On the cluster: columns user, item, time and row.
    """

    split: Split
    frame: "DataFrame"


def cut(events: Events, protocol: str, seed: int = 0) -> Training:
    """Split events as the function of ``graphseq.data`` of this name does.

    That function does it, at the driver: what it makes, the histories and targets, is
    what the graph holds. The cluster keeps of each user what comes before the first
    event that does not train.

    Raises:
        DataError: As that function.
    """
    log, row = events.collect()
    options: dict[str, Any] = {"seed": seed} if protocol == "by_user" else {}
    split: Split = getattr(data, protocol)(log, **options)
    time, first = _ends(log, row, split, events.has_time)
    frame = held(mapped(events.frame, partial(before, time, first), SCHEMA))
    return Training(split, frame)


def _ends(
    log: Interactions, row: Int64s, split: Split, has_time: bool
) -> tuple[Int64s, Int64s]:
    """Time and row of each user's first event that does not train, (U,) each."""
    end = log.pointers[:-1] + split.train.lengths
    trains = np.arange(len(log)) < end[log.user]
    if not np.array_equal(log.item[trains], split.train.item):
        raise GraphError(
            f"{split.protocol} trains on events that come after others that it holds "
            "out; the Spark engine cannot tell them apart"
        )
    held = split.train.lengths < log.lengths
    time, first = np.full((2, log.num_users), NEVER)
    first[held] = row[end[held]]
    time[held] = log.time[end[held]] if has_time else first[held]
    return time, first
