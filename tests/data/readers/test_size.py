import gzip
from pathlib import Path

import polars as pl
import pytest

from graphseq.data.readers.size import count_about

EVENTS = 30_000


def lines(kind: str) -> str:
    """Far more than is looked at; even, as logs are."""
    if kind == "sequences":
        return "".join(f"{user} 5123 5345 5678\n" for user in range(EVENTS // 3))
    head = "user,item,time\n" if kind == "csv" else ""
    row = "{},{},1600000000\n" if kind == "csv" else '{{"user": {}, "item": {}}}\n'
    return head + "".join(row.format(n % 997, n % 89) for n in range(EVENTS))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "sequences"])
def test_the_first_lines_tell_how_many_events_there_are_about(
    kind: str, packed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    data = lines(kind).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    found = count_about(path)
    assert found is not None
    assert abs(found - EVENTS) < EVENTS * (0.3 if packed else 0.05)
    assert count_about(path, kind) == found


def test_parquet_knows_its_rows(tmp_path: Path) -> None:
    pl.DataFrame({"user": range(1234)}).write_parquet(tmp_path / "log")
    assert count_about(tmp_path / "log") == 1234


def test_a_table_without_a_header_counts_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1,2,3.5,17\n" * 50)
    assert count_about(path) == 50


def test_what_cannot_be_opened_has_no_size(tmp_path: Path) -> None:
    assert count_about(tmp_path / "none") is None
    (tmp_path / "log").write_bytes(b"PAR1 no more")
    assert count_about(tmp_path / "log") is None
