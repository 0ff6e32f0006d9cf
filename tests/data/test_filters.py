from collections import Counter
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data import (
    Interactions,
    deduplicate,
    filters,
    k_core,
    length_range,
    load_dataset,
    min_length,
    time_window,
)
from graphseq.errors import DataError
from graphseq.schema import OptionError

rows = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 20)),
    min_size=1,
    max_size=60,
)


def log_of(events: list[tuple[int, int, int]]) -> Interactions:
    user, item, time = zip(*events, strict=True)
    return Interactions.from_arrays(user, item, time)


def core_by_loops(
    events: list[tuple[int, int, int]], least_user: int, least_item: int
) -> list[tuple[int, int, int]]:
    while True:
        users = Counter(user for user, _, _ in events)
        items = Counter(item for _, item, _ in events)
        left = [
            event
            for event in events
            if users[event[0]] >= least_user and items[event[1]] >= least_item
        ]
        if left == events:
            return left
        events = left


@given(events=rows, user=st.integers(1, 4), item=st.integers(1, 4))
def test_k_core_is_the_fixpoint_found_by_loops(
    events: list[tuple[int, int, int]], user: int, item: int
) -> None:
    log = log_of(events)
    expected = core_by_loops(log.frame().rows(), user, item)
    if not expected:
        with pytest.raises(DataError, match="removes every event"):
            k_core(log, user, item)
        return
    core = k_core(log, user, item)
    assert core.frame().rows() == expected
    assert core.lengths.min() >= user
    assert np.bincount(core.item).min() >= item
    assert k_core(core, user, item) == core


@given(events=rows, keep=st.sampled_from(["first", "last"]))
def test_deduplicate_keeps_one_event_a_pair(
    events: list[tuple[int, int, int]], keep: str
) -> None:
    log = log_of(events)
    every = log.frame().rows()
    kept: dict[tuple[int, int], int] = {}
    for row, (user, item, _) in enumerate(every):
        if keep == "last" or (user, item) not in kept:
            kept[user, item] = row
    expected = [every[row] for row in sorted(kept.values())]
    for part in (1, 5, filters.BLOCK):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(filters, "BLOCK", part)
            found = deduplicate(log, keep)  # type: ignore[arg-type]
        assert found.frame().rows() == expected


def test_min_length_drops_short_users_and_renumbers() -> None:
    log = log_of([(0, 0, 0), (1, 1, 0), (1, 2, 1)])
    assert min_length(log, 2).frame().rows() == [(1, 1, 0), (1, 2, 1)]
    assert (min_length(log, 2).num_users, min_length(log, 2).num_items) == (1, 2)


@given(
    events=rows,
    least=st.integers(1, 4),
    most=st.none() | st.integers(1, 6),
)
def test_length_range_keeps_the_users_of_a_loop(
    events: list[tuple[int, int, int]], least: int, most: int | None
) -> None:
    log = log_of(events)
    every = log.frame().rows()
    number = Counter(user for user, _, _ in every)
    expected = [
        row
        for row in every
        if least <= number[row[0]] and (most is None or number[row[0]] <= most)
    ]
    if expected:
        assert length_range(log, least, most).frame().rows() == expected
    else:
        with pytest.raises(DataError, match=r"length_range\(.*\) removes every event"):
            length_range(log, least, most)


def test_time_window_holds_its_start_and_not_its_end() -> None:
    log = log_of([(0, day, day * 86_400) for day in (0, 1, 2)])
    assert time_window(log, 86_400, 2 * 86_400).frame().rows() == [(0, 1, 86_400)]


@pytest.mark.parametrize("scale", [1, 1000, 1000**2, 1000**3])
def test_a_date_bounds_unix_times_of_any_unit(scale: int) -> None:
    first = 11_688 * 86_400  # 2002-01-01
    times = [(first + day * 86_400) * scale for day in (0, 1, 2)]
    log = log_of([(0, day, time) for day, time in enumerate(times)])
    moments = (
        "2002-01-02",
        date(2002, 1, 2),
        "2002-01-02T00:00:00Z",
        "2002-01-02 02:00:00+02:00",
        np.datetime64("2002-01-02"),
    )
    for start in moments:
        assert time_window(log, start).frame()["time"].to_list() == times[1:]
    assert len(time_window(log, end="2002-01-01 00:00:01")) == 1


def test_a_date_is_refused_if_times_are_not_unix_times() -> None:
    log = log_of([(0, 0, 0), (0, 1, 1), (0, 2, 2)])
    with pytest.raises(DataError, match="0 … 2, which are not unix times"):
        time_window(log, "2002-01-02")
    with pytest.raises(DataError, match="'2002' is a number in quotes"):
        time_window(log, "2002")


def test_a_filter_leaves_its_input_alone() -> None:
    log = log_of([(0, 0, 0), (0, 0, 1), (1, 1, 0)])
    before = log.frame()
    deduplicate(log), min_length(log, 2), time_window(log, 1)
    assert log.frame().equals(before)


def test_invalid_arguments_are_refused() -> None:
    log = log_of([(0, 0, 0)])
    with pytest.raises(OptionError, match=r"user: .* found 0"):
        k_core(log, 0)
    with pytest.raises(DataError, match="'some' is not a date"):
        time_window(log, "some")
    for moment in (float("nan"), float("inf"), -float("inf"), np.float32("nan")):
        with pytest.raises(DataError, match=r"is not a moment\. Write a finite number"):
            time_window(log, moment)
        with pytest.raises(DataError, match="or None where there is no bound"):
            time_window(log, end=moment)
    with pytest.raises(DataError, match="removes every event"):
        min_length(log, 2)
    with pytest.raises(DataError, match="needs timestamps"):
        time_window(Interactions.from_arrays([0], [0]), 0)


def test_the_5_core_of_ml_1m_has_the_published_size(shared) -> None:
    log = k_core(load_dataset("ml-1m-cbit", shared / "data"))
    assert (log.num_users, log.num_items, len(log)) == (6040, 3416, 999_611)
