"""Splits of a log into training events and held-out histories and targets.

A split numbers users and items in ascending order of their raw ids. A log numbers them
by first appearance, which held-out events also determine: ties between edges, which go
to the smaller number, would then depend on events that a model must not see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.interactions import Interactions
from graphseq.errors import DataError, quantity
from graphseq.schema import Count, checked

if TYPE_CHECKING:
    from torch import Tensor


class HeldOut(NamedTuple):
    """Histories and targets of N held-out users, as ragged rows.

    Row n's history is ``history[history_ptr[n]:history_ptr[n + 1]]``, oldest first and
    never cropped; its targets likewise. Each row has at least one of both. A named
    tuple of int64 tensors, so that ``HeteroData.to`` moves it.

    Attributes:
        user: Dense user id of each row, ascending, (N,).
        history: Items before the targets, (H,).
        history_ptr: Offsets of the histories, (N+1,).
        target: Items to predict, oldest first, (T,).
        target_ptr: Offsets of the targets, (N+1,).
    """

    user: "Tensor"
    history: "Tensor"
    history_ptr: "Tensor"
    target: "Tensor"
    target_ptr: "Tensor"


def held_out(
    user: Int64s, item: Int64s, start: Int64s, cut: Int64s, stop: Int64s
) -> HeldOut:
    """Held-out rows from a log's item column.

    Args:
        user: Dense user id of each row, (N,).
        item: Items of the whole log in canonical order, (E,).
        start: Index of the event at which each row's history starts, (N,).
        cut: Index of the event at which the targets start, (N,).
        stop: Index of the event before which the targets end, (N,).
    """
    import torch

    history, history_ptr = _slices(item, start, cut)
    target, target_ptr = _slices(item, cut, stop)
    columns = (user.copy(), history, history_ptr, target, target_ptr)
    return HeldOut(*(torch.from_numpy(column) for column in columns))


def check_held_out(rows: HeldOut, part: str, num_users: int, num_items: int) -> None:
    """Refuse held-out rows that break the rules of :class:`HeldOut`.

    Args:
        rows: The rows of a part.
        part: Its name, for the message.
        num_users: U.
        num_items: V.

    Raises:
        DataError: With the first rule that does not hold.
    """
    import torch

    def within(ids: "Tensor", size: int) -> bool:
        return not len(ids) or 0 <= int(ids.min()) <= int(ids.max()) < size

    def are_offsets(pointers: "Tensor", values: "Tensor") -> bool:
        sizes = len(rows.user) + 1, 0, len(values)
        if (len(pointers), int(pointers[0]), int(pointers[-1])) != sizes:
            return False
        return bool((pointers[1:] > pointers[:-1]).all())

    problem = ""
    if not all(
        isinstance(column, torch.Tensor) and column.dtype == torch.int64
        for column in rows
    ):
        problem = "its columns must be int64 tensors"
    elif not within(rows.user, num_users) or (rows.user[1:] <= rows.user[:-1]).any():
        problem = f"its users must be ascending ids below {num_users:,}, each once"
    elif not are_offsets(rows.history_ptr, rows.history) or not are_offsets(
        rows.target_ptr, rows.target
    ):
        problem = "each user must have one item or more in the history and the targets"
    elif not within(torch.cat([rows.history, rows.target]), num_items):
        problem = f"its items must be ids below {num_items:,}"
    if problem:
        raise DataError(f"the {part} part of this split cannot be evaluated: {problem}")


def _slices(values: Int64s, start: Int64s, stop: Int64s) -> tuple[Int64s, Int64s]:
    """The slices values[start:stop] of all rows, concatenated, and their offsets."""
    lengths = stop - start
    pointers = np.concatenate(([0], np.cumsum(lengths)))
    index = np.repeat(start - pointers[:-1], lengths)
    index += np.arange(pointers[-1])
    return values[index], pointers


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Training events, and held-out users for validation and test.

    Attributes:
        train: Training events; the users and items, and so U and V, of the whole log,
            in ascending order of their raw ids.
        validation: Held-out rows for choosing models and epochs.
        test: Held-out rows for the final evaluation.
        method: Name of the function that made the split.
        parameters: Its arguments, as JSON data.
        dropped: Number of users without a row in ``validation`` or ``test``, by reason.
    """

    train: Interactions
    validation: HeldOut
    test: HeldOut
    method: str
    parameters: dict[str, Any]
    dropped: dict[str, int]

    def __repr__(self) -> str:
        dropped = "".join(
            f", {count:,} {why.replace('users', 'user', 1) if count == 1 else why}"
            for why, count in self.dropped.items()
        )
        return (
            f"Split({self.method}: {quantity(len(self.train), 'training event')}, "
            f"{len(self.validation.user):,} validation and "
            f"{quantity(len(self.test.user), 'test user')}{dropped})"
        )


def leave_one_out(log: Interactions) -> Split:
    """Hold out each user's last event for test and the second-last for validation.

    A target's history is everything before it, so the test history ends with the
    validation target. Users with fewer than 3 events are used for training only.

    Source:
        Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, 4.1.

    Raises:
        DataError: No user has 3 events.
    """
    log = log.sorted_by_id()
    lengths, starts = log.lengths, log.pointers[:-1]
    rows = np.flatnonzero(lengths >= 3)
    start, stop = starts[rows], starts[rows] + lengths[rows]
    training = np.ones(len(log), dtype=np.bool_)
    training[stop - 1] = training[stop - 2] = False
    short = int(np.count_nonzero((lengths > 0) & (lengths < 3)))
    return make_split(
        log,
        training,
        validation=held_out(rows, log.item, start, stop - 2, stop - 1),
        test=held_out(rows, log.item, start, stop - 1, stop),
        method="leave_one_out",
        parameters={},
        dropped={"users with fewer than 3 events": short},
    )


@checked
def by_user(
    log: Interactions,
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    history: float = 0.8,
    seed: Count = 0,
) -> Split:
    """Train on some users; validate and test on others, without training events.

    Users are shuffled, then cut. Of a held-out user with n events, the first
    floor(history · n) are the history and the rest the targets. Histories are not
    cropped: a model crops what it reads.

    Source:
        Cen et al., "Controllable Multi-Interest Framework for Recommendation"
        (ComiRec), KDD 2020, 4.1; also the protocol of MCLSR, CIKM 2022.

    Args:
        log: Events to split.
        fractions: Fractions of users for training, validation and test; they sum to 1.
        history: Fraction of a held-out user's events in the history, in (0, 1).
        seed: Seed of the shuffle.

    Raises:
        DataError: The fractions do not sum to 1, the history is out of range, or a part
            has no users.
        OptionError: The seed is negative.
    """
    if not 0 < history < 1:
        raise DataError(f"by_user needs a history above 0 and below 1; found {history}")
    parts, known = exact_fractions(fractions, "by_user"), Fraction(str(history))
    log = log.sorted_by_id()
    lengths, pointers = log.lengths, log.pointers
    active = np.flatnonzero(lengths)
    shuffled = np.random.default_rng(seed).permutation(active)
    first = len(active) * parts[0].numerator // parts[0].denominator
    second = first + len(active) * parts[1].numerator // parts[1].denominator
    rows, dropped = {}, {}
    for part, chosen in (
        ("validation", shuffled[first:second]),
        ("test", shuffled[second:]),
    ):
        users = np.sort(chosen)
        cut = lengths[users] * known.numerator // known.denominator
        dropped[f"{part} users without a history"] = int(np.count_nonzero(cut == 0))
        users, cut = users[cut > 0], cut[cut > 0]
        start, stop = pointers[users], pointers[users + 1]
        rows[part] = held_out(users, log.item, start, start + cut, stop)
    trains = np.zeros(log.num_users, dtype=np.bool_)
    trains[shuffled[:first]] = True
    return make_split(
        log,
        trains[log.user],
        **rows,
        method="by_user",
        parameters={"fractions": list(fractions), "history": history, "seed": seed},
        dropped=dropped,
    )


def exact_fractions(
    fractions: tuple[float, float, float], method: str
) -> list[Fraction]:
    """Three fractions as written in decimal, so that .8 + .1 + .1 is exactly 1.

    Raises:
        DataError: They do not sum to 1, or one is not positive.
    """
    exact = [Fraction(str(f)) if isfinite(f) else Fraction(0) for f in fractions]
    if sum(exact) != 1 or min(exact) <= 0:
        raise DataError(
            f"{method} needs three positive fractions that sum to 1; found {fractions}"
        )
    return exact


def make_split(
    log: Interactions,
    training: Mask,
    *,
    validation: HeldOut,
    test: HeldOut,
    method: str,
    parameters: Mapping[str, Any],
    dropped: Mapping[str, int],
) -> Split:
    """Combine the parts of a split; an empty one is refused.

    Raises:
        DataError: A part is empty; the error reports the dropped users.
    """
    train = log.subset(training)
    sizes = {
        "training": len(train),
        "validation": len(validation.user),
        "test": len(test.user),
    }
    empty = [name for name, size in sizes.items() if not size]
    counts = {reason: count for reason, count in dropped.items() if count}
    if empty:
        raise DataError(
            f"{method} leaves no data for {' and '.join(empty)} of {log!r}; dropped "
            f"users: {counts or 'none'}. Use a larger log or another split"
        )
    return Split(train, validation, test, method, dict(parameters), counts)
