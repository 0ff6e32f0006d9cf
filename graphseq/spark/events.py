"""The events of a log, spread over a cluster; its users and items, at the driver."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphseq.data import Interactions, Vocabulary
from graphseq.data.columns import Int64s, canonical_order, positions, span
from graphseq.spark.batches import mapped
from graphseq.spark.steps import rename

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
