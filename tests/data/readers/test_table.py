from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from graphseq.data import read_log, time_window
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


def order(path: Path, **options: object) -> tuple[list[object], list[int]]:
    log = read_log(path, **options)  # type: ignore[arg-type]
    return log.frame()["item"].to_list(), log.time.tolist()


@pytest.mark.parametrize(
    ("times", "stored"),
    [
        (["2014-04-07T10:51:09.900Z", "2014-04-07T10:51:09.100Z"],
         [1396867869100, 1396867869900]),
        (["1396867869.9", "1396867869.1"], [1396867869100, 1396867869900]),
        (["1396867869.0000009", "1396867869"],
         [1396867869 * 10**9, 1396867869 * 10**9 + 900]),
        (["1396867869123.5", "1396867869123.25"],
         [1396867869123250, 1396867869123500]),
        (["3.5", "3"], [3000, 3500]),
        (["-0.25", "-0.5"], [-500, -250]),
        (["881250949.0", "881250948.0"], [881250948, 881250949]),
    ],
)  # fmt: skip
def test_events_are_sorted_by_the_whole_time(
    times: list[str], stored: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"user,item,time\nu,B,{times[0]}\nu,A,{times[1]}\n")
    assert order(path) == (["A", "B"], stored)
    path = tmp_path / "log.jsonl"
    path.write_text(
        "".join(
            f'{{"user": "u", "item": "{item}", "time": "{time}"}}\n'
            for item, time in zip("BA", times, strict=True)
        )
    )
    assert order(path) == (["A", "B"], stored)


def test_parquet_floats_and_datetimes_are_sorted_by_the_whole_time(
    tmp_path: Path,
) -> None:
    moment = datetime(2014, 4, 7, 10, 51, 9)
    early, late = (moment + timedelta(milliseconds=n) for n in (100, 900))
    for times in ([late, early], [1396867869.9, 1396867869.1]):
        frame = pl.DataFrame({"user": ["u", "u"], "item": ["B", "A"], "time": times})
        frame.write_parquet(tmp_path / "log.parquet")
        found = order(tmp_path / "log.parquet")
        assert found == (["A", "B"], [1396867869100, 1396867869900])


def test_a_fraction_in_a_later_block_or_a_skipped_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\nu,a,5\nu,b,7\nu,c,6.5\n")
    assert order(path) == (["a", "c", "b"], [5000, 6500, 7000])
    monkeypatch.setattr("graphseq.data.readers.source.BLOCK", 8)
    assert order(path) == (["a", "c", "b"], [5000, 6500, 7000])
    path.write_text("user,item,time\nu,a,5\nu,,6.5\n")
    with pytest.warns(UserWarning, match="skipped 1"):
        assert order(path, on_error="skip") == (["a"], [5])


def test_a_window_of_a_log_in_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item,time\n"
        + "".join(f"u,{n},2014-04-07T10:51:09.{n}00Z\n" for n in range(10))
    )
    log = time_window(read_log(path), "2014-04-07 10:51:09.35", "2014-04-07 10:51:09.6")
    assert log.frame()["item"].to_list() == [4, 5]
