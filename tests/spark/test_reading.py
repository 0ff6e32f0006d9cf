"""Logs are read, and refused, as by the local reader."""

import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphseq.data import Interactions, read_log
from graphseq.errors import DataError
from graphseq.spark.errors import failures
from graphseq.spark.numbering import read_events

chance = np.random.default_rng(0)
ROWS = list(zip(*chance.integers(1, 40, (2, 400)), strict=True))
PLAIN = "user,item,time\n" + "".join(f"u{a},{b},{a * b}\n" for a, b in ROWS)
FILES: dict[str, bytes] = {
    "marked.csv": b"\xef\xbb\xbf\n" + PLAIN.replace("\n", "\r\n\r\n").encode(),
    "quoted.csv": (
        "user,item,time\n"
        + "".join(f'"u,{a}","x\n{b}",{a + b}\n' for a, b in ROWS[:200])
    ).encode(),
    "packed.csv.gz": gzip.compress(PLAIN.encode()),
    "ratings.dat": "".join(f"{a}::{b}::3::{a + b}\n" for a, b in ROWS).encode(),
    "sequences.txt": "".join(
        f"{n} " + " ".join(str(a) for a, _ in ROWS[n : n + 5]) + "\n"
        for n in range(300)
    ).encode(),
    "faulty.csv": (
        PLAIN
        + "u1,2\nu1,,3\nu1,2,soon\nu3,4,5,6\n"
        + "".join(f"u{n}\n" for n in range(9))
    ).encode()
    + b"\xff\xfe,3,4\n",
    "units.csv": (
        "user,item,time\n"
        + "".join(f"u,{b},{10**9 + a}\n" for a, b in ROWS)
        + "u,1,1000000000000\nv,2,-5\n"
    ).encode(),
    "again.txt": b"1 2 3\n2 3 4\n1 5 6\n7\n3 4 5\n"
    + b"".join(b"%d 4 5 6\n" % n for n in range(100, 400)),
    "broken.jsonl": b'{"user": "a", "item": "b"}\n' * 90 + b"oops\n[1]\n",
    "unclosed.csv": (PLAIN + 'a,"b,3\nc,d,4\n').encode(),
    "headed.csv": b"user,item,time\n",
    "blank.csv": b"\n\n",
    "archive.zip": b"PK\x03\x04aaaa",
}


def tried(make: Any) -> tuple[Any, list[str]]:
    """The result or the message of the error, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = make()
        except DataError as error:
            found = str(error)
    return found, [
        str(each.message) for each in caught if ": skipped" in str(each.message)
    ]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_the_local_reader_reads_it(
    spark: Any, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(FILES[name])

    def on_spark(**options: Any) -> Interactions:
        with failures():
            found = read_events(spark, str(file), **options)
            log = found.collect()[0]
        assert (len(found), dict(found.skipped)) == (len(log), dict(log.skipped))
        return log

    wanted = tried(lambda: read_log(file))
    assert tried(on_spark) == wanted
    if isinstance(wanted[0], str) and "malformed" in wanted[0]:
        wanted = tried(lambda: read_log(file, on_error="skip"))
        found = tried(lambda: on_spark(on_error="skip"))
        assert found == wanted
        assert found[0].skipped == wanted[0].skipped


def test_missing_and_misnamed_files_are_reported(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_events(spark, str(tmp_path / "none.csv"))
    (tmp_path / "log.csv").write_bytes(FILES["packed.csv.gz"])
    with pytest.raises(DataError, match=r"Rename it to end in \.gz"):
        read_events(spark, str(tmp_path / "log.csv"))
    (tmp_path / "cut.csv.gz").write_bytes(FILES["packed.csv.gz"][:200])
    with pytest.raises(DataError, match=r"cut\.csv\.gz: .*Unexpected end"), failures():
        read_events(spark, str(tmp_path / "cut.csv.gz"))
