from datetime import UTC, date, datetime

import polars as pl
import pytest

from graphseq.data.timestamps import split_times, to_whole_numbers


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
        ("1970-01-02 00:00:01+00", 86_401),  # as psql writes times with a zone
        ("1970-01-01 19:00:01.5-05", 86_401),
        ("1970-01-02T02:00:01+02", 86_401),
        ("1970-01-02 00:00:01 UTC", 86_401),
        ("1970-01-02 00:01", 86_460),
        ("1970-01-02T00:01", 86_460),
        ("1970-01-02T00:01Z", 86_460),
        ("1970-01-02 00:01Z", 86_460),
        ("1970-01-02T02:01+02:00", 86_460),
        ("1970-01-01 18:31-0530", 86_460),
        ("1970-01-02 02:01+02", 86_460),
        ("28-12-23", None),  # not the year 28
        ("3-12-23 00:00:01", None),
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


@pytest.mark.parametrize(
    ("text", "whole", "billionths"),
    [
        ("1600000000.277", 1600000000, 277_000_000),
        ("1600000000.123456789", 1600000000, 123_456_789),
        ("-1.1", -2, 900_000_000),
        ("-0.5", -1, 500_000_000),
        ("8.0", 8, 0),
        ("1.5e0", 1, 500_000_000),
        ("1970-01-02T00:00:01.277Z", 86_401, 277_000_000),
        ("1970-01-02 00:00:01.5", 86_401, 500_000_000),
        ("1970-01-02T00:00:01.1234567Z", 86_401, 123_456_700),
        ("1969-12-31T23:59:59.25", -1, 250_000_000),
        ("1970-01-02T02:00:01.5+02:00", 86_401, 500_000_000),
        ("1970-01-02 02:00:01.123457+02", 86_401, 123_457_000),
    ],
)
def test_fractions_of_text_are_exact(text: str, whole: int, billionths: int) -> None:
    times, fraction = split_times(pl.Series([text, "1"]))
    assert times.to_list() == [whole, 1]
    assert (0 if fraction is None else fraction[0]) == billionths
    assert fraction is None or fraction[1] == 0


def test_fractions_of_floats_are_rounded_to_what_they_hold() -> None:
    values = [1600000000.277, 0.1, -0.25, 1600000000123.25, 0.9999999999, None]
    times, fraction = split_times(pl.Series(values))
    assert times.to_list() == [1600000000, 0, -1, 1600000000123, 1, None]
    assert fraction is not None
    expected = [277_000_000, 100_000_000, 750_000_000, 250_000_000, 0, 0]
    assert fraction.tolist() == expected
