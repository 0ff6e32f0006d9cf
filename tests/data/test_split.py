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
    by_user,
    leave_one_out,
    load_dataset,
)
from graphseq.errors import DataError
from graphseq.schema import OptionError

LARGE = 2**24  # from here on float32 cannot represent every integer

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


def sequences_of(log: Interactions) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for user, item in zip(log.user.tolist(), log.item.tolist(), strict=True):
        found.setdefault(user, []).append(item)
    return found


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


@given(sizes=lengths)
def test_leave_one_out_takes_the_last_two_events(sizes: list[int]) -> None:
    assume(max(sizes) >= 3)
    log = log_of(sizes)
    split = leave_one_out(log)
    is_well_formed(split, log)
    sequences = sequences_of(log)
    long = {user: items for user, items in sequences.items() if len(items) >= 3}
    assert rows_of(split.validation) == {
        user: (items[:-2], [items[-2]]) for user, items in long.items()
    }
    assert rows_of(split.test) == {
        user: (items[:-1], [items[-1]]) for user, items in long.items()
    }
    assert sequences_of(split.train) == {
        user: items[:-2] if user in long else items for user, items in sequences.items()
    }
    held = target_pairs(split.validation) + target_pairs(split.test)
    assert pairs(split.train) + held == pairs(log)
    short = len(sizes) - len(long)
    assert split.dropped == ({"users with fewer than 3 events": short} if short else {})


def test_leave_one_out_reports_the_number_of_short_users() -> None:
    with pytest.raises(DataError, match="'users with fewer than 3 events': 2"):
        leave_one_out(log_of([2, 2]))


@given(
    sizes=st.lists(st.integers(1, 8), min_size=30, max_size=40), seed=st.integers(0, 9)
)
def test_by_user_gives_every_user_one_part(sizes: list[int], seed: int) -> None:
    log = log_of(sizes)
    try:
        split = by_user(log, seed=seed)
    except DataError:
        assume(False)
    is_well_formed(split, log)
    parts = [set(split.train.user.tolist())]
    parts += [set(rows_of(part)) for part in (split.validation, split.test)]
    assert (
        not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    )
    assert len(parts[0]) == len(sizes) * 8 // 10
    sequences = sequences_of(log)
    for part in (split.validation, split.test):
        for user, (history, target) in rows_of(part).items():
            assert history + target == sequences[user]
            assert len(history) == len(sequences[user]) * 4 // 5
    assert sum(map(len, parts)) + sum(split.dropped.values()) == len(sizes)


def test_by_user_cuts_histories_as_the_oracle_does() -> None:
    sizes = [5, 6, 7, 8, 9, 10, 15, 20, 21, 25, 35]
    expected = dict(zip(sizes, [4, 4, 5, 6, 7, 8, 12, 16, 16, 20, 28], strict=True))
    split = by_user(log_of(sizes * 4), fractions=(0.1, 0.1, 0.8))
    found = {
        len(history) + len(target): len(history)
        for history, target in rows_of(split.test).values()
    }
    assert found == expected


def test_by_user_refuses_a_negative_seed() -> None:
    with pytest.raises(OptionError, match=r"seed: .*0 or more, found -4"):
        by_user(log_of([4] * 30), seed=-4)


def test_by_user_is_decided_by_its_seed() -> None:
    log = log_of([5] * 40)
    same = [by_user(log, seed=seed).test.user.tolist() for seed in (0, 0, 1)]
    assert same[0] == same[1] != same[2]


def test_users_with_one_event_have_no_history_and_are_counted() -> None:
    split = by_user(log_of([1] * 10 + [5] * 90))
    held = len(split.validation.user) + len(split.test.user)
    assert sum(split.dropped.values()) == 20 - held > 0


@pytest.mark.parametrize(
    ("fractions", "history"),
    [
        ((0.8, 0.1, 0.2), 0.8),
        ((1.0, 0.0, 0.0), 0.8),
        ((0.8, 0.1, 0.1), 1.0),
        ((0.8, 0.2, float("nan")), 0.8),
        ((0.8, 0.1, 0.1), float("inf")),
    ],
)
def test_by_user_refuses_fractions_out_of_range(
    fractions: tuple[float, float, float], history: float
) -> None:
    with pytest.raises(
        DataError, match=r"positive fractions that sum to 1|a history above 0"
    ):
        by_user(log_of([5] * 20), fractions=fractions, history=history)


def test_by_user_refuses_a_log_too_small_for_three_parts() -> None:
    with pytest.raises(DataError, match="leaves no data for validation"):
        by_user(log_of([5] * 5))


def test_times_and_ids_beyond_2_to_the_24_stay_exact() -> None:
    user = np.repeat([0, 1], 4)
    item = np.array([LARGE, LARGE + 1, LARGE + 2, LARGE + 3] * 2)
    split = leave_one_out(Interactions.from_arrays(user, item, np.arange(8) + 2**53))
    assert split.test.target.tolist() == [LARGE + 3] * 2
    assert split.validation.target.tolist() == [LARGE + 2] * 2


def test_repr_reports_dropped_users() -> None:
    assert repr(leave_one_out(log_of([2, 3, 4]))) == (
        "Split(leave_one_out: 5 training events, 2 validation and 2 test users, "
        "1 user with fewer than 3 events)"
    )


def test_the_user_split_of_clothing_has_the_published_sizes(shared) -> None:
    split = by_user(load_dataset("amazon-clothing", shared / "data"))
    train = len(np.unique(split.train.user))
    sizes = (train, len(split.validation.user), len(split.test.user))
    assert sizes == (31_509, 3_938, 3_940)


def test_yelp_repeats_items_in_the_published_fraction(shared) -> None:
    split = leave_one_out(load_dataset("yelp-2019", shared / "data"))
    history, test = split.test.history.numpy(), split.test
    row = np.repeat(np.arange(len(test.user)), np.diff(test.history_ptr.numpy()))
    repeated = np.unique(row[history == test.target.numpy()[row]])
    assert len(repeated) / len(test.user) == pytest.approx(0.0666, abs=5e-5)


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
