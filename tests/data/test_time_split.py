from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graphseq.data import (
    HeldOut,
    Interactions,
    Split,
    by_time,
)
from graphseq.errors import DataError

lengths = st.lists(st.integers(1, 8), min_size=1, max_size=25)


def log_of(sizes: list[int], seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    user = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    item = rng.integers(9, size=len(user))
    return Interactions.from_arrays(user, item, rng.integers(50, size=len(user)))


def rows_of(part: HeldOut) -> dict[int, tuple[list[int], list[int]]]:
    history, target = part.history.tolist(), part.target.tolist()
    starts, cuts = part.history_ptr.tolist(), part.target_ptr.tolist()
    return {
        user: (history[starts[n] : starts[n + 1]], target[cuts[n] : cuts[n + 1]])
        for n, user in enumerate(part.user.tolist())
    }


def pairs(log: Interactions) -> Counter[tuple[int, int]]:
    return Counter(zip(log.user.tolist(), log.item.tolist(), strict=True))


def target_pairs(part: HeldOut) -> Counter[tuple[int, int]]:
    return Counter((u, i) for u, (_, found) in rows_of(part).items() for i in found)


def is_well_formed(split: Split, log: Interactions) -> None:
    assert split.train.users == log.users
    assert split.train.items == log.items
    for part in (split.validation, split.test):
        assert all(column.dtype.is_signed for column in part)
        assert (part.user.diff() > 0).all()
        assert (part.history_ptr.diff() > 0).all()
        assert (part.target_ptr.diff() > 0).all()


@given(sizes=st.lists(st.integers(1, 8), min_size=10, max_size=30))
def test_by_time_trains_on_the_past_only(sizes: list[int]) -> None:
    log = log_of(sizes)
    try:
        split = by_time(log)
    except DataError:
        assume(False)
    is_well_formed(split, log)
    early, late = split.parameters["validation_from"], split.parameters["test_from"]
    assert split.train.time.max() < early <= late
    for part, begin, end in (
        (split.validation, early, late),
        (split.test, late, np.inf),
    ):
        for user, (history, target) in rows_of(part).items():
            mine = log.subset(log.user == user)
            assert history == mine.item[mine.time < begin].tolist()
            inside = (mine.time >= begin) & (mine.time < end)
            assert target == mine.item[inside].tolist()
    held = target_pairs(split.validation) + target_pairs(split.test)
    lost = pairs(log) - pairs(split.train) - held
    assert pairs(split.train) + held + lost == pairs(log)
    newcomers = sum(split.dropped.values())
    assert len({user for user, _ in lost}) <= newcomers
    assert bool(lost) == bool(newcomers)


def test_by_time_refuses_a_log_without_time() -> None:
    with pytest.raises(DataError, match="has only the order"):
        by_time(Interactions.from_arrays([0, 0, 0], [0, 1, 2]))


def test_by_time_refuses_one_moment_for_all() -> None:
    with pytest.raises(DataError, match="leaves no data for training"):
        by_time(Interactions.from_arrays([0, 0, 1], [0, 1, 2], [7, 7, 7]))
