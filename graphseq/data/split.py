"""Splits of a log into training events and held-out histories and targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.interactions import Interactions
from graphseq.errors import DataError


class HeldOut(NamedTuple):
    """N users with what is known of each and what is to be found, as ragged rows.

    Row n's history is ``history[history_ptr[n]:history_ptr[n + 1]]``, oldest first, and
    never cropped; its targets likewise. Every row has at least one of each. A named
    tuple of int64 tensors, so ``HeteroData.to`` moves it along.

    Attributes:
        user: Dense user id of each row, ascending, (N,).
        history: Items before the targets, (H,).
        history_ptr: Where each row's history starts, (N+1,).
        target: Items to be found, oldest first, (T,).
        target_ptr: Where each row's targets start, (N+1,).
    """

    user: Tensor
    history: Tensor
    history_ptr: Tensor
    target: Tensor
    target_ptr: Tensor


def held_out(
    user: Int64s, item: Int64s, start: Int64s, cut: Int64s, stop: Int64s
) -> HeldOut:
    """Rows cut out of a log's item column.

    Args:
        user: Dense user id of each row, (N,).
        item: Items of the whole log in canonical order, (E,).
        start: Event at which each row's history starts, (N,).
        cut: Event at which the history ends and the targets start, (N,).
        stop: Event before which the targets end, (N,).
    """
    history, history_ptr = _runs(item, start, cut)
    target, target_ptr = _runs(item, cut, stop)
    columns = (user.copy(), history, history_ptr, target, target_ptr)
    return HeldOut(*(torch.from_numpy(column) for column in columns))


def _runs(values: Int64s, start: Int64s, stop: Int64s) -> tuple[Int64s, Int64s]:
    """The runs values[start:stop] of all rows, joined, and where each begins."""
    lengths = stop - start
    pointers = np.concatenate(([0], np.cumsum(lengths)))
    places = np.repeat(start - pointers[:-1], lengths)
    places += np.arange(pointers[-1])
    return values[places], pointers


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """A log cut into what trains a model and what it is measured on.

    Attributes:
        train: Training events only; the vocabularies, and so U and V, of the whole log.
        validation: Users by which models and epochs are chosen.
        test: Users by which the chosen model is judged.
        protocol: Name of the function that made the split.
        parameters: What that function was given; JSON data.
        dropped: How many users have no row in ``validation`` or ``test``, by reason.
    """

    train: Interactions
    validation: HeldOut
    test: HeldOut
    protocol: str
    parameters: dict[str, Any]
    dropped: dict[str, int]

    def __repr__(self) -> str:
        lost = "".join(f", {count:,} {why}" for why, count in self.dropped.items())
        return (
            f"Split({self.protocol}: {len(self.train):,} training events, "
            f"{len(self.validation.user):,} validation and {len(self.test.user):,} "
            f"test users{lost})"
        )


def leave_one_out(log: Interactions) -> Split:
    """Hold out each user's last event for test and the one before for validation.

    The history of a target is all that came before it, so that of the test target
    ends with the validation target. Users with fewer than 3 events train only.

    Source:
        Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, 4.1.

    Raises:
        DataError: No user has 3 events.
    """
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
        protocol="leave_one_out",
        parameters={},
        dropped={"users with fewer than 3 events": short},
    )


def by_user(
    log: Interactions,
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    history: float = 0.8,
    seed: int = 0,
) -> Split:
    """Train on some users, validate and test on others, who have no training event.

    Users are shuffled, then cut. Of a held-out user with n events the first
    floor(history · n) are the history, the rest the targets; a longer history than a
    model reads is for the model to crop.

    Source:
        Cen et al., "Controllable Multi-Interest Framework for Recommendation"
        (ComiRec), KDD 2020, 4.1; the protocol of MCLSR, CIKM 2022.

    Args:
        log: Events to split.
        fractions: Shares of the users that train, validate and test; they sum to 1.
        history: Share of a held-out user's events that is known, above 0, below 1.
        seed: Of the shuffle.

    Raises:
        DataError: The shares or the seed make no sense, or a part has no users.
    """
    if seed < 0:
        raise DataError(f"by_user takes a seed of 0 or more; found {seed}")
    shares, known = parse_shares(fractions, "by_user"), _exact(history)
    if not 0 < known < 1:
        raise DataError(
            f"by_user takes a history between 0 and 1, ends excluded; found {history}"
        )
    lengths = log.lengths
    active = np.flatnonzero(lengths)
    shuffled = np.random.default_rng(seed).permutation(active)
    first = len(active) * shares[0].numerator // shares[0].denominator
    second = first + len(active) * shares[1].numerator // shares[1].denominator
    parts = {"validation": shuffled[first:second], "test": shuffled[second:]}
    rows, dropped = {}, {}
    for part, chosen in parts.items():
        users = np.sort(chosen)
        cut = lengths[users] * known.numerator // known.denominator
        rows[part] = _cut_at(log, users[cut > 0], cut[cut > 0])
        dropped[f"{part} users without a history"] = int(np.count_nonzero(cut == 0))
    trains = np.zeros(log.num_users, dtype=np.bool_)
    trains[shuffled[:first]] = True
    return make_split(
        log,
        trains[log.user],
        **rows,
        protocol="by_user",
        parameters={"fractions": list(fractions), "history": history, "seed": seed},
        dropped=dropped,
    )


def _cut_at(log: Interactions, users: Int64s, known: Int64s) -> HeldOut:
    start = log.pointers[users]
    return held_out(users, log.item, start, start + known, log.pointers[users + 1])


def parse_shares(asked: tuple[float, float, float], what: str) -> list[Fraction]:
    """Three shares as written in decimal, so that .8 + .1 + .1 is 1.

    Raises:
        DataError: They do not sum to 1, or one is not above 0.
    """
    shares = [_exact(share) for share in asked]
    if sum(shares) != 1 or min(shares) <= 0:
        raise DataError(
            f"{what} takes three shares above 0 that sum to 1; found {asked}"
        )
    return shares


def _exact(share: float) -> Fraction:
    """A share as written in decimal; 0, which none may be, for what is no number."""
    return Fraction(str(share)) if isfinite(share) else Fraction(0)


def make_split(
    log: Interactions,
    training: Mask,
    *,
    validation: HeldOut,
    test: HeldOut,
    protocol: str,
    parameters: Mapping[str, Any],
    dropped: Mapping[str, int],
) -> Split:
    """Check that no part is empty, and put them together.

    Raises:
        DataError: A part is empty; the error tells how many users were dropped.
    """
    train = log.subset(training)
    sizes = {
        "training": len(train),
        "validation": len(validation.user),
        "test": len(test.user),
    }
    empty = [name for name, size in sizes.items() if not size]
    lost = {why: count for why, count in dropped.items() if count}
    if empty:
        raise DataError(
            f"{protocol} left nothing for {' and '.join(empty)} of {log!r}; users "
            f"dropped: {lost or 'none'}. Take a larger log or another split"
        )
    return Split(train, validation, test, protocol, dict(parameters), lost)
