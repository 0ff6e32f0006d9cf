from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from graphseq.data.readers.faults import Check
from graphseq.data.readers.timestamps import (
    count_units,
    other_units,
    to_whole_numbers,
    usual_unit,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("978300760", 978300760),
        ("-5", -5),
        (" 7 ", 7),
        ("8.5e2", 850),
        ("1.9", 1),
        ("-1.1", -2),
        ("1970-01-02", 86_400),
        ("1970-01-02 00:00:01", 86_401),
        ("1970-01-02T00:00:01Z", 86_401),
        ("1970-01-02T00:00:01.277Z", 86_401),
        ("1970-01-02T00:00:01", 86_401),
        ("1970-01-02 00:00:01+00:00", 86_401),
        ("1970-01-02T02:00:01.5+02:00", 86_401),
        ("1970-01-01 18:30:01-0530", 86_401),
        ("1970-01-02 00:00:01 UTC", 86_401),
        ("1970-01-02 00:01", 86_460),
        ("1970-01-02T00:01", 86_460),
        ("soon", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_a_spelling_of_time_is_read(text: str | None, seconds: int | None) -> None:
    column = pl.Series([text, "1"], dtype=pl.String)
    assert to_whole_numbers(column).to_list() == [seconds, 1]


def test_typed_columns_keep_their_moment() -> None:
    moment = datetime(1970, 1, 2, tzinfo=UTC)
    for value in (
        86_400,
        86_400.7,
        date(1970, 1, 2),
        moment,
        moment.replace(tzinfo=None),
    ):
        assert to_whole_numbers(pl.Series([value])).to_list() == [86_400]
    assert to_whole_numbers(pl.Series([True])).to_list() == [None]


def test_whole_numbers_beyond_2_to_the_53_stay_exact() -> None:
    assert to_whole_numbers(pl.Series([str(2**60 + 1)])).to_list() == [2**60 + 1]


def judged(raw: pl.Series) -> Check:
    times = to_whole_numbers(raw)
    return other_units(raw, times, usual_unit(count_units(times)))


SECONDS = ["1600000000", "1600000001", "1600000002"]


@pytest.mark.parametrize(
    ("times", "faulty"),
    [
        ([*SECONDS, "1600000000000"], [3]),
        ([*SECONDS, "-1"], [3]),
        (["1600000000000"] * 3 + ["1600000000"], [3]),
        ([*SECONDS, "1969-12-31", None], []),
        ([*SECONDS, "0", "5"], []),
        (["-3", "-2", "-1", "7"], []),
        (["1600000000", "1600000000000"], [1]),
        (["1", "2", "1600000000", "1600000000000"], []),
    ],
)
def test_numbers_of_another_unit_than_most_are_found(
    times: list[str | None], faulty: list[int]
) -> None:
    raw = pl.Series(times, dtype=pl.String)
    check = judged(raw)
    assert np.flatnonzero(check.faulty).tolist() == faulty
    if None not in times and not any("-" in str(time)[1:] for time in times):
        numbers = raw.cast(pl.Int64)
        assert np.flatnonzero(judged(numbers).faulty).tolist() == faulty


def test_a_time_of_another_unit_is_told_with_its_unit() -> None:
    raw = pl.Series([1600000000, 1600000001, 1600000000000])
    check = judged(raw)
    assert check.found(2) == "found 1600000000000, milliseconds; most are seconds"
