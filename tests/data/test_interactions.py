import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data import Interactions, Vocabulary
from graphseq.errors import DataError

events = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.integers(2**24, 2**24 + 5), st.integers(-3, 3)
    ),
    min_size=1,
    max_size=40,
)


def frame_of(rows: list[tuple[str, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


def small() -> Interactions:
    rows = [("b", 7, 5), ("a", 8, 2), ("b", 9, 1), ("a", 7, 2)]
    return Interactions.from_frame(frame_of(rows))


def test_events_are_sorted_by_user_then_time_then_row() -> None:
    log = small()
    assert log.users.ids.to_list() == ["b", "a"]
    assert log.items.ids.to_list() == [7, 8, 9]
    assert log.user.tolist() == [0, 0, 1, 1]
    assert log.item.tolist() == [2, 0, 1, 0]
    assert log.time.tolist() == [1, 5, 2, 2]
    assert (log.num_users, log.num_items, len(log)) == (2, 3, 4)
    assert log.lengths.tolist() == [2, 2]
    assert log.pointers.tolist() == [0, 2, 4]


@given(rows=events)
def test_a_frame_survives_the_round_trip_up_to_order(
    rows: list[tuple[str, int, int]],
) -> None:
    frame = frame_of(rows)
    log = Interactions.from_frame(frame)
    first = {user: index for index, (user, _, _) in reversed([*enumerate(rows)])}
    expected = sorted(rows, key=lambda row: (first[row[0]], row[2]))
    assert log.frame().rows() == expected


@given(rows=events)
def test_a_log_without_time_keeps_the_order_of_the_rows(
    rows: list[tuple[str, int, int]],
) -> None:
    log = Interactions.from_frame(frame_of(rows).drop("time"))
    assert not log.has_time
    for user in {row[0] for row in rows}:
        items = log.frame().filter(pl.col("user") == user)
        assert items["item"].to_list() == [i for u, i, _ in rows if u == user]
        assert items["time"].to_list() == list(range(len(items)))


def test_the_columns_cannot_be_written() -> None:
    log = small()
    with pytest.raises(ValueError, match="read-only"):
        log.user[0] = 1
    with pytest.raises(AttributeError):
        log.has_time = False  # type: ignore[misc]


def test_the_callers_arrays_stay_writeable_and_are_not_those_of_the_log() -> None:
    user = np.zeros(2, dtype=np.int64)
    log = Interactions.from_arrays(user, user, user)
    user[0] = 1
    assert log.user.tolist() == log.item.tolist() == log.time.tolist() == [0, 0]


def test_select_renumbers_and_subset_does_not() -> None:
    log = small()
    mask = log.item == 0
    subset, selection = log.subset(mask), log.select(mask & (log.user == 1))
    assert (subset.num_users, subset.num_items, len(subset)) == (2, 3, 2)
    assert subset.item.tolist() == [0, 0]
    assert (selection.num_users, selection.num_items) == (1, 1)
    assert selection.frame().rows() == [("a", 7, 2)]


def test_select_recounts_positions_where_there_is_no_time() -> None:
    log = Interactions.from_arrays([0, 0, 0], [0, 1, 2])
    assert log.select(np.array([True, False, True])).time.tolist() == [0, 1]


def test_equality_is_of_events_and_vocabularies() -> None:
    assert small() == small()
    assert small() != small().select(np.array([True, True, True, False]))
    assert small() != "a log"


def test_repr_has_counts_density_length_and_time_range() -> None:
    assert repr(small()) == (
        "Interactions(4 events of 2 users and 3 items; density 66.67%, mean length "
        "2.00; time 1 … 5 (1970-01-01 … 1970-01-01))"
    )
    milliseconds = [1396867869100, 1396867869900]
    log = Interactions.from_arrays([0, 0], [0, 0], milliseconds)
    assert "time 1396867869100 … 1396867869900 (2014-04-07 … 2014-04-07)" in repr(log)
    assert "order only" in repr(Interactions.from_arrays([0], [0]))
    assert "time 0 … 4611686018427387904)" in repr(
        Interactions.from_arrays([0, 0], [0, 0], [0, 2**62])
    )


def test_invalid_columns_are_refused() -> None:
    one = Vocabulary(["x"])
    with pytest.raises(DataError, match=r"item ids must be 0 … 0.*found 0 … 1"):
        Interactions.from_arrays([0, 0], [0, 1], [0, 1], items=one)
    with pytest.raises(DataError, match="found -1 … 0"):
        Interactions.from_arrays([0, -1], [0, 0], [0, 1], users=one)
    with pytest.raises(DataError, match="found 2, 1 and 2 rows"):
        Interactions.from_arrays([0, 0], [0], [0, 1])
    with pytest.raises(
        DataError, match=r"column time must hold 64-bit integers.*float64"
    ):
        Interactions.from_arrays([0], [0], np.array([0.5]))
    with pytest.raises(DataError, match="not sorted by user, then time"):
        zero = np.zeros(2, dtype=np.int64)
        Interactions(zero, zero, np.array([1, 0]), one, one)
    with pytest.raises(DataError, match="found 2, 1 and 2 rows"):
        zero = np.zeros(2, dtype=np.int64)
        Interactions(zero, zero[:1], zero, one, one)
    with pytest.raises(DataError, match=r"found \['who'\]"):
        Interactions.from_frame(pl.DataFrame({"who": [1]}))


def test_numbers_by_raw_ids_depend_on_the_set_of_ids_only() -> None:
    rows = {"user": [*"vuvu"], "item": [30, 4, 100, 30], "time": [3, 1, 2, 2]}
    log = Interactions.from_frame(pl.DataFrame(rows))
    found = log.sorted_by_id()
    assert found.users.ids.to_list() == ["u", "v"]
    assert found.items.ids.to_list() == [4, 30, 100]
    assert found.user.tolist() == [0, 0, 1, 1]
    assert found.item.tolist() == [0, 1, 2, 1]
    assert found.time.tolist() == [1, 2, 2, 3]
    assert sorted(found.frame().rows()) == sorted(log.frame().rows())
    assert found.sorted_by_id() is found
