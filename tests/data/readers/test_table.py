import numpy as np
import polars as pl
import pytest

from graphseq.data.readers.errors import Check
from graphseq.data.readers.table import other_units
from graphseq.data.timestamps import count_units, to_whole_numbers, usual_unit


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
def test_numbers_in_another_unit_than_most_are_found(
    times: list[str | None], faulty: list[int]
) -> None:
    raw = pl.Series(times, dtype=pl.String)
    check = judged(raw)
    assert np.flatnonzero(check.faulty).tolist() == faulty
    if None not in times and not any("-" in str(time)[1:] for time in times):
        numbers = raw.cast(pl.Int64)
        assert np.flatnonzero(judged(numbers).faulty).tolist() == faulty


def test_a_time_in_another_unit_is_reported_with_its_unit() -> None:
    raw = pl.Series([1600000000, 1600000001, 1600000000000])
    check = judged(raw)
    assert check.found(2) == "found 1600000000000, milliseconds; most are seconds"
