"""Malformed lines are reported, or skipped and counted."""

import warnings
from pathlib import Path

import pytest

from graphseq.data import SkippedLines, leave_one_out, read_log
from graphseq.errors import DataError

FAULTY = """\
user,item,time
a,x,1
a,y
a,y,3,4
b,,5

b,y,soon
,y,7
b,z,8
"""


def write(folder: Path, data: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_all_malformed_lines_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, FAULTY))
    assert str(caught.value) == (
        "log.csv: 5 malformed lines of 7\n"
        "  line 3: wrong number of columns; expected 3, found 2\n"
        "  line 4: wrong number of columns; expected 3, found 4\n"
        "  line 5: no item; found an empty column\n"
        "  line 7: time is neither a number nor a date (ISO 8601); found 'soon'\n"
        "  line 8: no user; found an empty column\n"
        "Correct the file, or skip these lines: --on-error skip (in Python, "
        'on_error="skip")'
    )


def test_skipping_counts_warns_once_and_keeps_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, FAULTY)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log = read_log(path, on_error="skip")
    assert [warning.category for warning in caught] == [SkippedLines]
    assert str(caught[0].message) == (
        "log.csv: skipped 5 of 7 lines (2 wrong number of columns, 1 no user, 1 no "
        "item, 1 time is neither a number nor a date (ISO 8601))"
    )
    assert log.frame().rows() == [("a", "x", 1), ("b", "z", 8)]
    assert log.skipped == {
        "wrong number of columns": 2,
        "no user": 1,
        "no item": 1,
        "time is neither a number nor a date (ISO 8601)": 1,
    }
    assert path.read_text() == FAULTY


def test_a_valid_file_skips_no_line_and_does_not_warn(tmp_path: Path) -> None:
    log = read_log(write(tmp_path, "user,item,time\na,x,1\n"), on_error="skip")
    assert log.skipped == {}


def test_ten_malformed_lines_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"a,x,{'t' if n < 25 else n}\n" for n in range(30))
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, f"user,item,time\n{rows}"))
    text = str(caught.value)
    assert text.startswith("log.csv: 25 malformed lines of 30; the first 10 are")
    assert text.count("  line ") == 10


def test_a_file_without_valid_lines_is_refused_even_when_skipping(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        DataError, match="No line is valid: check the format and the columns"
    ):
        read_log(write(tmp_path, "user,item,time\n,x,1\n"), on_error="skip")
    day = "Tue Apr 03 18:00:09 +0000 2012"
    with pytest.raises(DataError, match=r"No line has a time that"):
        read_log(write(tmp_path, f"user,item,time\na,x,{day}\n"))


def test_users_left_without_targets_are_counted(tmp_path: Path) -> None:
    split = leave_one_out(read_log(write(tmp_path, "1 5 6\n2 5 6 7\n", "log.txt")))
    assert split.dropped == {"users with fewer than 3 events": 1}
