"""Interactions: the events of a log, as sorted columns of dense ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import polars as pl

from graphseq.data.arrays import (
    Arrayed,
    Float32s,
    Int64s,
    Integers,
    Mask,
    canonical_order,
    integers,
    is_canonical,
    positions,
    renumber,
    weights,
    write_in_order,
)
from graphseq.data.frames import Frame, frame_columns, parse_time_column
from graphseq.data.missing_ids import warn_of_missing
from graphseq.data.timestamps import count_units, usual_unit
from graphseq.data.vocabulary import Vocabulary
from graphseq.errors import DataError, quantity


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """An immutable table of E events, sorted by user, then time, then row of the log.

    Each user's events are contiguous, oldest first; events of equal time keep the order
    of the log. The arrays are read-only: copy them before writing, for instance with
    ``torch.tensor(log.user)``.

    Use :func:`graphseq.data.read_log`, :meth:`from_frame` or :meth:`from_arrays`; the
    constructor takes columns that are sorted already.

    Args:
        user: Dense user ids, (E,).
        item: Dense item ids, (E,).
        time: Timestamps in the unit of the source, mostly unix seconds, (E,).
        users: Raw ids of the U users; users without an event are allowed.
        items: Raw ids of the V items; items without an event are allowed.
        has_time: False if the source gives only the order: ``time`` is a position.
        skipped: Lines that the reader skipped, by reason (``on_error="skip"``).
        weight: A weight of each event, such as a rating, (E,); ``None``: there is none.
        time_steps: How many times a thousand parts of the source's unit make the unit
            of ``time``: 1 for seconds with fractions, which are read as milliseconds.

    Raises:
        DataError: The columns differ in length, are not sorted, or hold an id outside
            the vocabularies; or a weight is not a finite number of 0 or more.
    """

    user: Int64s
    item: Int64s
    time: Int64s
    users: Vocabulary
    items: Vocabulary
    has_time: bool = True
    skipped: Mapping[str, int] = field(default_factory=dict)
    weight: Float32s | None = None
    time_steps: int = 0

    def __post_init__(self) -> None:
        for name in ("user", "item", "time"):
            column = np.ascontiguousarray(getattr(self, name), dtype=np.int64).view()
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        _check_lengths(len(self.user), len(self.item), len(self.time))
        if self.weight is not None:
            object.__setattr__(self, "weight", weights(self.weight, len(self.user)))
        if not is_canonical(self.user, self.time):
            raise DataError(
                "the events are not sorted by user, then time. Use "
                "Interactions.from_arrays, which sorts"
            )
        for name, dense, size in (
            ("user", self.user, self.num_users),
            ("item", self.item, self.num_items),
        ):
            if len(dense) and not 0 <= dense.min() <= dense.max() < size:
                raise DataError(
                    f"{name} ids must be 0 … {size - 1}, the size of the vocabulary; "
                    f"found {dense.min()} … {dense.max()}"
                )

    @classmethod
    def from_arrays(
        cls,
        user: Integers,
        item: Integers,
        time: Integers | None = None,
        *,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
        skipped: Mapping[str, int] | None = None,
        weight: Arrayed | Sequence[float] | None = None,
        time_steps: int = 0,
    ) -> "Interactions":
        """Interactions from dense ids in the order of the log.

        The columns are copied, into the rows of one array: a graph shares its memory
        (:func:`graphseq.graphs.build_graph`).

        Args:
            user: Dense user ids, (E,).
            item: Dense item ids, (E,).
            time: Integer timestamps, (E,); ``None`` if only the order is known.
            users: Raw ids; ``None`` uses 0 … max(user) as raw ids too.
            items: Raw ids; ``None`` uses 0 … max(item) as raw ids too.
            skipped: Lines that the reader skipped, by reason.
            weight: A weight of each event, (E,).
            time_steps: As of the class.

        Raises:
            DataError: As the constructor.
        """
        has_time = time is not None
        user_, item_ = integers("user", user), integers("item", item)
        time_ = np.arange(len(user_)) if time is None else integers("time", time)
        _check_lengths(len(user_), len(item_), len(time_))
        weight_ = None if weight is None else weights(weight, len(user_))
        order = canonical_order(user_, time_)
        columns, events = [time_, item_, user_], np.empty((3, len(user_)), np.int64)
        del user, item, time, user_, item_, time_  # each is freed once it is written
        for row in events:
            write_in_order(row, columns.pop(), order)
        if weight_ is not None and order is not None:
            weight_ = weight_[order]
        del order
        if not has_time:
            events[2] = positions(events[0])
        if users is None:
            users = Vocabulary.numbered(int(events[0].max(initial=-1)) + 1)
        if items is None:
            items = Vocabulary.numbered(int(events[1].max(initial=-1)) + 1)
        (dense_user, dense_item, times), given = events, skipped or {}
        return cls(
            dense_user,
            dense_item,
            times,
            users,
            items,
            has_time,
            given,
            weight_,
            time_steps,
        )

    @classmethod
    def from_frame(cls, frame: Frame, *, weight: str | None = None) -> "Interactions":
        """Interactions from raw ids: columns ``user``, ``item``, optionally ``time``.

        Users and items are numbered by first appearance. Without a time column the
        order of the rows is the order of the events. Times are read as by
        :func:`graphseq.data.read_log`: numbers, dates, datetimes and ISO 8601 text.

        Args:
            frame: A frame of polars, eager or lazy, or of pandas, an Arrow table, or a
                mapping from column names to sequences. Usual names of the columns are
                found too, such as user_id, movieId and timestamp.
            weight: Column of a weight of each event, such as a rating.

        Raises:
            DataError: A column is missing, holds nulls or empty ids, or has the wrong
                type; or times are in different units.
        """
        columns = frame_columns(frame, weight)
        users, user = Vocabulary.number(columns["user"])
        items, item = Vocabulary.number(columns["item"])
        warn_of_missing("user", users.ids, user, stacklevel=3)
        warn_of_missing("item", items.ids, item, stacklevel=3)
        time, steps = None, 0
        if "time" in columns:
            time, steps = parse_time_column(columns["time"])
        return cls.from_arrays(
            user,
            item,
            time,
            users=users,
            items=items,
            weight=columns["weight"].to_numpy() if weight is not None else None,
            time_steps=steps,
        )

    @property
    def num_users(self) -> int:
        """U, the size of the user vocabulary."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """V, the size of the item vocabulary."""
        return len(self.items)

    @property
    def lengths(self) -> Int64s:
        """Number of events of each user, (U,)."""
        return np.bincount(self.user, minlength=self.num_users)

    @property
    def pointers(self) -> Int64s:
        """Offsets of the users' events; user u has [p[u], p[u+1]), (U+1,)."""
        return np.concatenate(([0], np.cumsum(self.lengths)))

    def subset(self, mask: Mask) -> "Interactions":
        """The selected events, with the same vocabularies and numbering."""
        events = np.empty((3, np.count_nonzero(mask)), np.int64)
        for row, column in zip(events, (self.user, self.item, self.time), strict=True):
            np.compress(mask, column, out=row)
        kept = None if self.weight is None else self.weight[mask]
        user, item, time = events
        return replace(self, user=user, item=item, time=time, weight=kept)

    def select(self, mask: Mask) -> "Interactions":
        """The selected events, renumbered without users and items that have no event.

        Ids keep their order, so the numbering remains by first appearance unless a
        first event was removed.
        """
        user, kept_users = renumber(self.user[mask], self.num_users)
        item, kept_items = renumber(self.item[mask], self.num_items)
        return replace(
            self,
            user=user,
            item=item,
            time=self.time[mask] if self.has_time else positions(user),
            weight=None if self.weight is None else self.weight[mask],
            users=self.users.take(kept_users),
            items=self.items.take(kept_items),
        )

    def sorted_by_id(self) -> "Interactions":
        """The same events, users and items numbered in ascending order of raw ids.

        This numbering depends on the set of ids only, not on the events.
        """
        users, items = self.users.ranks(), self.items.ranks()
        if not (np.diff(users) < 0).any() and not (np.diff(items) < 0).any():
            return self
        user = users[self.user]
        order = np.argsort(user, kind="stable")
        return replace(
            self,
            user=user[order],
            item=items[self.item[order]],
            time=self.time[order],
            weight=None if self.weight is None else self.weight[order],
            users=self.users.take(np.argsort(users)),
            items=self.items.take(np.argsort(items)),
        )

    def frame(self) -> pl.DataFrame:
        """The events with their raw ids: columns user, item and time, (E rows).

        A log with weights also has a column weight.
        """
        weight = {} if self.weight is None else {"weight": self.weight}
        return pl.DataFrame(
            {
                "user": self.users.ids.gather(self.user),
                "item": self.items.ids.gather(self.item),
                "time": self.time,
                **weight,
            }
        )

    def __len__(self) -> int:
        return len(self.user)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Interactions):
            return NotImplemented
        if (self.weight is None) != (other.weight is None):
            return False
        names, columns = ("has_time", "users", "items"), ["user", "item", "time"]
        columns += [] if self.weight is None else ["weight"]
        return all(getattr(self, n) == getattr(other, n) for n in names) and all(
            np.array_equal(getattr(self, c), getattr(other, c)) for c in columns
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        times = time_range(self.time) if self.has_time else "order only, no timestamps"
        return summary(len(self), self.num_users, self.num_items, times)


def summary(events: int, users: int, items: int, times: str) -> str:
    """One line on a log: its size, density, mean length and range of times."""
    return (
        f"Interactions({quantity(events, 'event')} of {quantity(users, 'user')} and "
        f"{quantity(items, 'item')}; "
        f"density {events / max(users * items, 1):.2%}, mean length "
        f"{events / max(users, 1):.2f}; {times})"
    )


def time_range(time: Int64s) -> str:
    """First and last time, with their dates if they can be unix times."""
    if not len(time):
        return "no events"
    first, last = int(time.min()), int(time.max())
    try:
        unit = usual_unit(count_units(pl.Series([first, last])))
        ends = (t // 1000 ** (unit or 0) for t in (first, last))
        dates = [datetime.fromtimestamp(t, UTC).date() for t in ends]
    except (ValueError, OverflowError, OSError):
        return f"time {first} … {last}"
    return f"time {first} … {last} ({dates[0]} … {dates[1]})"


def _check_lengths(user: int, item: int, time: int) -> None:
    if not user == item == time:
        raise DataError(
            f"user, item and time must have the same length; found {user:,}, {item:,} "
            f"and {time:,} rows"
        )
