from pathlib import Path

import pytest

from graphseq.data import SkippedLines, read_log
from graphseq.errors import DataError


def test_sequences_may_have_their_times_in_a_second_file(tmp_path: Path) -> None:
    items, times = tmp_path / "items.txt", tmp_path / "times.txt"
    items.write_text("7 3 1\n2 1\n")
    times.write_text("7 20 10\n2 5\n")
    log = read_log(items, times=times)
    assert log.frame().rows() == [(7, 1, 10), (7, 3, 20), (2, 1, 5)]
    times.write_text("7 20 10\n2 5 6\n")
    with pytest.raises(DataError, match=r"2 and 2 lines, and differ .* in 1 of them"):
        read_log(items, times=times)
    times.write_text("7 20 10\n")
    with pytest.raises(DataError, match="they have 1 and 2 lines"):
        read_log(items, times=times)


def write(folder: Path, data: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_sequences_want_a_user_once_and_an_item_at_least(tmp_path: Path) -> None:
    path = write(tmp_path, "1 5 6\n2\n\n1 7 8 9\n3 5\n", "log.txt")
    with pytest.raises(DataError) as caught:
        read_log(path, format="sequences")
    assert str(caught.value) == (
        "log.txt: 2 malformed lines of 4\n"
        "  line 2: wrong number of columns; expected a user and at least one item, "
        "found 1\n"
        "  line 4: the user has an earlier line; found '1'; all items of a user must "
        "be on one line\n"
        "Correct the file, or skip these lines: --on-error skip (in Python, "
        'on_error="skip")'
    )
    with pytest.warns(SkippedLines, match="skipped 2 of 4 lines"):
        log = read_log(path, format="sequences", on_error="skip")
    assert log.skipped["the user has an earlier line"] == 1
    assert log.frame().rows() == [(1, 5, 0), (1, 6, 1), (3, 5, 0)]


def test_carriage_returns_alone_end_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"1 2 3\r2 3 4\r3 4 5\r")
    log = read_log(path, format="sequences")
    rows = [(1, 2, 0), (1, 3, 1), (2, 3, 0), (2, 4, 1), (3, 4, 0), (3, 5, 1)]
    assert log.frame().rows() == rows
    path.write_bytes(b"1 2 3\n2 3 4\r3 4 5\n")
    with pytest.raises(DataError, match="line 2: a carriage return inside the line"):
        read_log(path, format="sequences")


def test_bytes_that_are_not_utf_8_are_a_fault_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"\xef\xbf\xbd 1\ncaf\xe9 1 2\ncaf\xe8 3\n")
    with pytest.raises(DataError, match="2 malformed lines of 3\n  line 2: bytes that"):
        read_log(path, format="sequences")
    with pytest.warns(SkippedLines, match="2 bytes that are not UTF-8"):
        assert len(read_log(path, format="sequences", on_error="skip")) == 1
