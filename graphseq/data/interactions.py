"""The one currency of the data layer: who chose what, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from graphseq.data.arrays import (
    Int64s,
    Integers,
    Mask,
    canonical_order,
    check_ids,
    check_lengths,
    check_order,
    in_order,
    integers,
    positions,
    renumber,
    span,
)
from graphseq.data.ids import to_integers
from graphseq.data.timestamps import FIRST, LAST, UNITS
from graphseq.data.vocabulary import Vocabulary
from graphseq.errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """An immutable table of E events in canonical order: user, time, row of the log.

    A user's events are thus neighbours, oldest first; events of one time keep the
    order in which the log had them. The arrays are read-only: copy before writing
    (``torch.tensor(log.user)`` does).

    Make one with :func:`graphseq.data.read_log`, :meth:`from_frame` or
    :meth:`from_arrays`; the constructor takes what is already in canonical order.

    Args:
        user: Dense id of the user, (E,).
        item: Dense id of the item, (E,).
        time: When, (E,); in the unit of the source, mostly unix seconds.
        users: Raw ids of the U users, some of whom may have no event.
        items: Raw ids of the V items, some of which may have no event.
        has_time: False if the source only told the order: ``time`` is a position.
        skipped: Lines that reading left out, by reason (``on_error="skip"``).

    Raises:
        DataError: The columns differ in length, are not in canonical order, or hold
            an id that the vocabularies do not.
    """

    user: Int64s
    item: Int64s
    time: Int64s
    users: Vocabulary
    items: Vocabulary
    has_time: bool = True
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("user", "item", "time"):
            column = np.ascontiguousarray(getattr(self, name), dtype=np.int64).view()
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        check_lengths(self.user, self.item, self.time)
        check_order(self.user, self.time)
        check_ids("user", self.user, self.num_users)
        check_ids("item", self.item, self.num_items)

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
    ) -> "Interactions":
        """Interactions from dense ids in the order of the log.

        Columns of int64 that are sorted already are not copied: leave them as they are.

        Args:
            user: Dense user ids, (E,).
            item: Dense item ids, (E,).
            time: Integers, (E,); ``None`` if only the order is known.
            users: Raw ids; ``None`` takes 0 … max(user) as raw ids too.
            items: Raw ids; ``None`` takes 0 … max(item) as raw ids too.
            skipped: Lines that reading left out, by reason.

        Raises:
            DataError: As the constructor.
        """
        has_time = time is not None
        who, what = integers("user", user), integers("item", item)
        when = np.arange(len(who)) if time is None else integers("time", time)
        check_lengths(who, what, when)
        order = canonical_order(who, when)
        del user, item, time  # each column may go as soon as it is sorted
        who, what = in_order(who, order), in_order(what, order)
        when = in_order(when, order) if has_time else positions(who)
        if users is None:
            users = Vocabulary.numbered(int(who.max(initial=-1)) + 1)
        if items is None:
            items = Vocabulary.numbered(int(what.max(initial=-1)) + 1)
        return cls(who, what, when, users, items, has_time, skipped or {})

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> "Interactions":
        """Interactions from raw ids: columns ``user``, ``item`` and perhaps ``time``.

        Users and items are numbered by first appearance. Without a time column the
        order of the rows is the order of the events.

        Raises:
            DataError: A column is missing, or holds nulls or the wrong type.
        """
        if not {"user", "item"} <= set(frame.columns):
            raise DataError(
                f"a frame of interactions has the columns user, item and perhaps time; "
                f"found {frame.columns}. Rename its columns"
            )
        users, user = Vocabulary.number(frame["user"])
        items, item = Vocabulary.number(frame["item"])
        time = frame.get_column("time", default=None)
        return cls.from_arrays(user, item, time, users=users, items=items)

    @property
    def num_users(self) -> int:
        """U, the users of the vocabulary."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """V, the items of the vocabulary."""
        return len(self.items)

    @property
    def lengths(self) -> Int64s:
        """Number of events of every user, (U,)."""
        return np.bincount(self.user, minlength=self.num_users)

    @property
    def pointers(self) -> Int64s:
        """Where each user's events start; user u has [p[u], p[u+1]), (U+1,)."""
        return np.concatenate(([0], np.cumsum(self.lengths)))

    def subset(self, mask: Mask) -> "Interactions":
        """Some of the events, with the same vocabularies and the same numbering."""
        user, item, time = self.user[mask], self.item[mask], self.time[mask]
        return replace(self, user=user, item=item, time=time)

    def select(self, mask: Mask) -> "Interactions":
        """Some of the events, renumbered: users and items without an event are gone.

        Those that stay keep their order, so numbering stays by first appearance as
        long as nobody's first event was left out.
        """
        user, kept_users = renumber(self.user[mask], self.num_users)
        item, kept_items = renumber(self.item[mask], self.num_items)
        return replace(
            self,
            user=user,
            item=item,
            time=self.time[mask] if self.has_time else positions(user),
            users=self.users.take(kept_users),
            items=self.items.take(kept_items),
        )

    def frame(self) -> pl.DataFrame:
        """The events with their raw ids: columns user, item, time, (E rows)."""
        return pl.DataFrame(
            {
                "user": self.users.ids.gather(self.user),
                "item": self.items.ids.gather(self.item),
                "time": self.time,
            }
        )

    def __len__(self) -> int:
        return len(self.user)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Interactions):
            return NotImplemented
        names, columns = ("has_time", "users", "items"), ("user", "item", "time")
        return all(getattr(self, n) == getattr(other, n) for n in names) and all(
            np.array_equal(getattr(self, c), getattr(other, c)) for c in columns
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        times = span(self.time) if self.has_time else "no time, only an order"
        cells = max(self.num_users * self.num_items, 1)
        return (
            f"Interactions({len(self):,} events of {self.num_users:,} users and "
            f"{self.num_items:,} items; density {len(self) / cells:.2%}, mean length "
            f"{len(self) / max(self.num_users, 1):.2f}; {times})"
        )


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
