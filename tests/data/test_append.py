"""Two logs become the log of one file with the lines of both."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data import Interactions, append, read_log
from graphseq.errors import DataError
from graphseq.graphs.storage import read_log as read_stored
from graphseq.graphs.storage import write_log

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


def test_a_log_that_shares_no_id_is_told_with_a_warning() -> None:
    known = pairs_log([*range(10)], [*range(10)])
    with pytest.warns(UserWarning, match=r"no user and no item .* known are 0 and 0"):
        append(known, pairs_log([f"u{n}" for n in range(10)], ["i"] * 10))
    append(known, pairs_log([*range(90, 100)], [5] * 10))


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


FRACTIONS = {
    "old": (["0", "1.5", "4"], ["2", "3"]),
    "new": (["0", "1", "4"], ["2.25", "3"]),
    "finer": (["0", "1.5", "4"], ["2.000001", "3"]),
    "dates": (
        ["2020-01-01T00:00:00.5Z", "2020-01-01T00:00:01Z"],
        ["2020-01-01T00:00:00Z", "2020-01-03T00:00:00Z"],
    ),
    "before 1973": (["1965-01-01T00:00:00.5Z"], ["1964-01-02T00:00:00Z"]),
}


@pytest.mark.parametrize("old, new", FRACTIONS.values(), ids=FRACTIONS)
def test_times_are_as_fine_as_the_finest_of_both(
    old: list[str], new: list[str], tmp_path: Path
) -> None:
    """As if one file held the lines of both, also after the first was saved."""

    def read(name: str, times: list[str]) -> Interactions:
        rows = [f"ann,{item},{time}" for item, time in enumerate(times)]
        path = tmp_path / name
        path.write_text("\n".join(["user,item,time", *rows]) + "\n")
        return read_log(path)

    whole = read("whole.csv", old + new)
    earlier, later = read("old.csv", old), read("new.csv", new)
    of_frame = Interactions.from_frame(
        {"user": ["ann"] * len(new), "item": [*range(len(new))], "time": new}
    )
    assert of_frame.time_steps == later.time_steps
    frames = (append(earlier, later).frame(), append(later, earlier).frame())
    for frame in frames:
        assert frame["time"].to_list() == sorted(whole.time.tolist())
    folder = tmp_path / "saved"
    folder.mkdir()
    stored = write_log(earlier, folder)
    assert read_stored(stored, folder).time_steps == earlier.time_steps
    again = append(read_stored(stored, folder), later)
    assert again == append(earlier, later)


def test_times_that_become_too_large_are_refused(tmp_path: Path) -> None:
    early = tmp_path / "early.csv"
    early.write_text("user,item,time\nann,a,1.5\n")
    late = tmp_path / "late.csv"
    late.write_text(f"user,item,time\nann,b,{2**60}\n")
    with pytest.raises(DataError, match="do not fit in 64 bits"):
        append(read_log(early), read_log(late))
