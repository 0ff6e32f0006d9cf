"""Two logs become the log of one file with the lines of both."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data import Interactions, append
from graphseq.errors import DataError

appended = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 9)), max_size=25
)
SCHEMA = {"user": pl.Int64, "item": pl.Int64, "time": pl.Int64}


def log_of(rows: list[tuple[int, int, int]], timed: bool = True) -> Interactions:
    pairs_log = pl.DataFrame(rows, SCHEMA, orient="row")
    return Interactions.from_frame(pairs_log if timed else pairs_log.drop("time"))


@given(appended, appended, st.booleans())
def test_the_log_is_that_of_both_files_in_one(
    old: list[tuple[int, int, int]], new: list[tuple[int, int, int]], timed: bool
) -> None:
    found = append(log_of(old, timed), log_of(new, timed))
    assert found == log_of(old + new, timed)


def test_nothing_added_changes_nothing() -> None:
    log = log_of([(3, 1, 5), (2, 1, 4)])
    assert append(log, log_of([])) == log


def ids(log: Interactions) -> tuple[list[object], list[object]]:
    return log.users.ids.to_list(), log.items.ids.to_list()


def pairs_log(users: list[object], items: list[object]) -> Interactions:
    return Interactions.from_frame(pl.DataFrame({"user": users, "item": items}))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([1, 2], ["2", "3"], [1, 2, 3]),
        ([1, 2], ["2", "x"], ["1", "2", "x"]),
        ([1, 2], ["02", "2"], ["1", "2", "02"]),
        (["1", "a"], [1, 7], ["1", "a", "7"]),
    ],
)
def test_numbers_and_text_become_one_kind_of_id(
    old: list[object], new: list[object], expected: list[object]
) -> None:
    found = append(pairs_log(old, old), pairs_log(new, new))
    assert ids(found) == (expected, expected)


def test_times_on_one_side_only_are_refused() -> None:
    timed, plain = log_of([(1, 1, 5)]), log_of([(1, 2, 5)], timed=False)
    with pytest.raises(
        DataError, match=r"the old log has timestamps and the new one has only"
    ):
        append(timed, plain)
    with pytest.raises(
        DataError, match=r"the new log has timestamps and the old one has only"
    ):
        append(plain, timed)


def test_times_of_other_units_are_refused() -> None:
    seconds = log_of([(1, 1, 1_600_000_000)])
    with pytest.raises(DataError, match="times are seconds and the new one's milli"):
        append(seconds, log_of([(1, 2, 1_600_000_000_000)]))
    assert len(append(seconds, log_of([(1, 2, 7)]))) == 2
