import gzip
from pathlib import Path

import polars as pl
import pytest

from graphseq.data import read_log
from graphseq.data.readers.log import estimate_events
from graphseq.errors import DataError
from graphseq.schema import OptionError

EVENTS = 30_000


def lines(kind: str) -> str:
    """Far more than is looked at; even, as logs are."""
    if kind == "sequences":
        ends = ("5678", "5678 5789", "")
        users = range(EVENTS // 3)
        return "".join(f"{user} 5123 5345 {ends[user % 3]}\n" for user in users)
    head = "user,item,time\n" if kind == "csv" else ""
    row = "{},{},1600000000\n" if kind == "csv" else '{{"user": {}, "item": {}}}\n'
    return head + "".join(row.format(n % 997, n % 89) for n in range(EVENTS))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "sequences"])
def test_the_number_of_events_is_estimated_from_the_first_lines(
    kind: str, packed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    data = lines(kind).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    found = estimate_events(path)
    assert found is not None
    assert abs(found - EVENTS) < EVENTS * (0.3 if packed else 0.05)
    assert estimate_events(path, kind) == found


def test_parquet_knows_its_rows(tmp_path: Path) -> None:
    pl.DataFrame({"user": range(1234)}).write_parquet(tmp_path / "log")
    assert estimate_events(tmp_path / "log") == 1234


def test_a_table_without_a_header_counts_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1,2,3.5,17\n" * 50)
    assert estimate_events(path) == 50


def test_a_file_that_cannot_be_opened_has_no_estimate(tmp_path: Path) -> None:
    assert estimate_events(tmp_path / "none") is None
    (tmp_path / "log").write_bytes(b"PAR1 no more")
    assert estimate_events(tmp_path / "log") is None


def test_on_error_is_raise_or_skip(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item\n1,5\n1,\n")
    with pytest.raises(
        OptionError, match=r"on_error: expected .*raise.*skip.* found 'error'"
    ):
        read_log(path, on_error="error")


def test_without_a_time_column_the_rows_are_in_time_order(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("1 5\n2 5\n1 4\n")
    log = read_log(path, separator=" ", columns={"user": 0, "item": 1})
    assert not log.has_time
    assert log.frame().rows() == [(1, 5, 0), (1, 4, 1), (2, 5, 0)]


def test_ids_are_integers_only_if_all_are(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    many = "".join(f"{n},{n},{n}\n" for n in range(500))
    path.write_text(f"user,item,time\n{many}7,x,0\n")
    log = read_log(path)
    assert log.users.ids.dtype == pl.Int64
    assert log.items.ids.dtype == pl.String
    assert log.items.decode([7]) == ["7"]


def write(folder: Path, data: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_options_of_another_format_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "1 5 6\n")
    with pytest.raises(
        DataError, match=r"unknown format 'sequence' \(did you mean 'sequences'"
    ):
        read_log(path, format="sequence")
    with pytest.raises(DataError, match="has no columns to name"):
        read_log(path, format="sequences", columns={"user": 0, "item": 1})
    with pytest.raises(DataError, match="must be one character"):
        read_log(path, format="sequences", separator=",")


@pytest.mark.parametrize("separator", ["\\t", "\t"])
def test_a_tab_can_be_typed_as_an_escape(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path, "a\tx\t5\n")
    columns = {"user": 0, "item": 1, "time": 2}
    log = read_log(path, separator=separator, columns=columns)
    assert log.frame().rows() == [("a", "x", 5)]
    for wrong in ("\t\t", "a", "5", '"', "–", "\n"):
        with pytest.raises(DataError, match="must be one character"):
            read_log(path, separator=wrong, columns=columns)


def test_times_that_look_like_years_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,time\na,x,1999\na,y,1998\n")
    with pytest.warns(UserWarning, match="1998 … 1999, which look like years"):
        assert read_log(path).frame()["item"].to_list() == ["y", "x"]
