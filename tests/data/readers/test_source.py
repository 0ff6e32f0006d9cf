"""Sources that are found, or refused with the reason."""

import gzip
import io
import os
import threading
import zipfile
from pathlib import Path

import polars as pl
import pytest

from graphseq.data import read_log
from graphseq.errors import DataError


def write(folder: Path, data: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("log.csv"), "user,item,time\n")
    return buffer.getvalue()


def test_the_parts_of_a_folder_are_in_natural_order_without_hidden_ones(
    tmp_path: Path,
) -> None:
    columns = {"user": "user", "item": "item"}
    (tmp_path / "_temporary" / "0").mkdir(parents=True)
    for name in ("2", "10", "0", "_temporary/0/99"):
        frame = pl.DataFrame({"user": [1], "item": [name]})
        frame.write_parquet(tmp_path / f"{name}.parquet")
    log = read_log(tmp_path, columns=columns)
    assert log.frame()["item"].to_list() == ["0", "2", "10"]
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(DataError, match="is a Delta table"):
        read_log(tmp_path, columns=columns)


def test_parquet_and_text_are_told_apart_from_the_format(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1], "item": [2]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"is Parquet, .* read as csv.*--format parq"):
        read_log(tmp_path / "a.parquet", format="csv")
    with pytest.raises(DataError, match="is not Parquet, and would be read as parquet"):
        read_log(write(tmp_path, "user,item\n1,2\n"), format="parquet")


def test_a_first_line_longer_than_the_start_is_read(tmp_path: Path) -> None:
    lines = (f'{{"note":"{"x" * n}","user":"a","item":{n}}}\n' for n in (99_999, 2))
    log = read_log(
        write(tmp_path, "".join(lines), "log.jsonl"),
        columns={"user": "user", "item": "item"},
    )
    assert log.frame()["item"].to_list() == [99_999, 2]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"sep=;\nuser;item\n", "the first line of log.csv is 'sep=;', which Excel"),
        (b"", "log.csv is empty"),
        (b"\n \n", "log.csv is empty"),
        (gzip.compress(b"", mtime=0), "log.csv is empty"),
        (b"user,item,time\n", "has a header and no line below it"),
        (
            gzip.compress(b"user,item,time\na,x,1\n" * 99, mtime=0)[:-9],
            "truncated gzip",
        ),
        (
            gzip.compress(b"user,item,time\n", mtime=0)[:-8] + b"12345678",
            "damaged gzip",
        ),
        (b"user,item\0,time\n", "is binary: byte 9 is 0"),
        (zipped(), "is a zip archive"),
    ],
)
def test_files_without_a_log_are_refused_with_the_reason(
    tmp_path: Path, data: bytes, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        read_log(write(tmp_path, data))


def test_a_path_that_is_too_long_is_reported() -> None:
    with pytest.raises(DataError, match=r"cannot be read: File name too long"):
        read_log("n" * 300)


def test_missing_files_are_reported_with_a_suggestion(tmp_path: Path) -> None:
    write(tmp_path, "x", "ratings.csv")
    with pytest.raises(DataError, match=r"Did you mean 'ratings.csv'\?"):
        read_log(tmp_path / "rating.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_log(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        read_log(tmp_path / "a" / "b")


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"1 5 6\n2 5\n",))
    writer.start()
    assert read_log(pipe).frame().rows() == [(1, 5, 0), (1, 6, 1), (2, 5, 0)]
    writer.join()


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_the_standard_input_is_read(name: str) -> None:
    before, (reader, writer) = os.dup(0), os.pipe()
    os.write(writer, b"1 5 6\n2 5\n")
    os.close(writer)
    os.dup2(reader, 0)
    try:
        assert read_log(name).frame().rows() == [(1, 5, 0), (1, 6, 1), (2, 5, 0)]
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reader)


@pytest.mark.parametrize("data", ["\u3000\n", "\x1c\n", "\u2028", "\ufeff\ufeff\n"])
def test_unusual_blanks_are_no_line(tmp_path: Path, data: str) -> None:
    with pytest.raises(DataError):
        read_log(write(tmp_path, data))
