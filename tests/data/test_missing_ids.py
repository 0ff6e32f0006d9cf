"""Ids that look like missing values are read, with a warning that names them."""

import subprocess
import sys
import warnings
from pathlib import Path

import polars as pl
import pytest

from graphseq.data import Interactions, read_log
from graphseq.data.missing_ids import MISSING, warn_of_missing


def test_integers_written_as_floats_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\n1.0,a,1\n2,1.0,2\n1.0,b,3\n")
    with pytest.warns(
        UserWarning, match=r"1 of 2 user ids have a point.* than '1'"
    ) as seen:
        read_log(path)
    assert len(seen) == 1, "an item id such as 1.0 among words is a name"


def test_a_log_with_such_ids_warns_of_each_and_counts_its_events(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\n1,a,1\n\\N,b,2\n\\N,NULL,3\nundefined,a,4\n")
    with pytest.warns(UserWarning) as warned:
        log = read_log(path)
    users, items = (str(each.message) for each in warned)
    assert "user ids look like missing values" in users
    assert r"'\\N' (2), 'undefined' (1)" in users
    assert "item ids look like missing values" in items
    assert "'NULL' (1)" in items
    assert (log.num_users, log.num_items) == (3, 3)
    assert warned[0].filename == __file__


def test_a_frame_warns_likewise() -> None:
    frame = {"user": ["u", "nan", "nan"], "item": [1, 2, 3]}
    with pytest.warns(UserWarning, match=r"user ids .*'nan' \(2\)") as warned:
        Interactions.from_frame(frame)
    assert [each.filename for each in warned] == [__file__]


def test_ids_that_contain_such_a_word_are_silent(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\nnanny,NULLA,1\nNA-1,none,2\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_log(path).num_users == 2
        warn_of_missing("user", pl.Series([1, 2]))


def test_without_events_none_are_counted() -> None:
    with pytest.warns(UserWarning, match=r"values: 'NA', 'NaN'\. Each is read as one"):
        warn_of_missing("item", pl.Series(["NA", "b", "NaN"]))
    assert "" not in MISSING


def test_the_program_shows_the_warning_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"{user},{item},1" for user in ("NULL", "b", "c") for item in "wxyz"]
    path.write_text("user,item,time\n" + "\n".join(rows) + "\n")
    command = [sys.executable, "-m", "graphseq", "build", path, "--output"]
    found = subprocess.run(
        [*command, tmp_path / "graph"], capture_output=True, text=True, check=True
    )
    (line,) = [line for line in found.stderr.splitlines() if "missing" in line]
    assert line.startswith("warning: these user ids look like missing values")
