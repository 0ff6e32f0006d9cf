"""Hostile files: an error of ours, or a log; no event is lost without being counted.

Small valid files of each format are mutated at random, from a seed. The valid files
are also compared with a naive reader.
"""

import csv
import gzip
import io
import json
import random
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from graphseq.data import Interactions, SkippedLines, read_log
from graphseq.data.attributes import read_attributes
from graphseq.errors import GraphSeqError

LIMIT = 10.0  # seconds that a file may take
MUTATIONS = 48  # of each case in `make test`
PIECES = [
    *(b'"', b'""', b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"\xe9", b"\xef\xbf\xbd"),
    *(b",", b"\t", b";", b" ", b"::", b"|", b"{", b"[", b"}", b"]", b"'", b"\\", b":"),
    *(b"\\ud800", b"\\u0000", b"true", b"null", b"NaN", b"1e999", b"-", b"1.0", b"[]"),
    *(b"9" * 30, b"[" * 3000, b'{"a":' * 2000, b"{[]: 1}", b"x" * 140_000, b"-0.0"),
    *(b"2020-01-01T00:00:00.5Z", b"1600000000.25", b"PAR1", b"\x1f\x8b", b"\xff\xfe"),
    *(b"\xef\xbb\xbf", "\u2028\u3000\x1c\x85".encode(), b"9999999999999999999999"),
]

Event = tuple[str, str, int]  # user, item, time in milliseconds


def events(rng: random.Random, fractions: bool = False) -> list[Event]:
    """Events whose times differ, in no order."""
    users = [rng.choice(["u1", "7", "é", "A b"]) for _ in range(12)]
    times = rng.sample(range(10**6), 12)
    step = 1 if fractions else 1000
    base = 1_500_000_000_000
    return [
        (user, f"i{rng.randrange(6)}", base + step * at)
        for user, at in zip(users, times, strict=True)
    ]


def iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def delimited(separator: str) -> Callable[[list[Event]], bytes]:
    def write(rows: list[Event]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=separator, lineterminator="\n")
        writer.writerow(["user", "item", "time", "note"])
        writer.writerows(
            (u, i, t // 1000, 'x, "y"' if t % 3 else "") for u, i, t in rows
        )
        return text.getvalue().encode()

    return write


def json_lines(rows: list[Event]) -> bytes:
    return "".join(
        json.dumps({"user": u, "item": i, "time": iso(t), "z": [1]}) + "\n"
        for u, i, t in rows
    ).encode()


def python_lines(rows: list[Event]) -> bytes:
    return "".join(
        f"{ {'user': u, 'item': i, 'time': t / 1000, 'note': None} }\n"
        for u, i, t in rows
    ).encode()


def parquet(rows: list[Event]) -> bytes:
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    buffer = io.BytesIO()
    frame.with_columns(pl.from_epoch("time", "ms")).write_parquet(buffer)
    return buffer.getvalue()


def sequences(rows: list[Event]) -> bytes:
    users: dict[str, list[str]] = {}
    for user, item, _ in sorted(rows, key=lambda row: row[2]):
        users.setdefault(user.replace(" ", "_"), []).append(item)
    return "".join(f"{u} {' '.join(items)}\n" for u, items in users.items()).encode()


def iso_csv(rows: list[Event]) -> bytes:
    return "".join(
        ["user,item,time\r\n", *(f"{u},{i},{iso(t)}\r\n" for u, i, t in rows)]
    ).encode()


def movies(rows: list[Event]) -> bytes:
    lines = (f"{u.replace(' ', '')}::{i}::5::{t // 1000}\n" for u, i, t in rows)
    return "".join(lines).encode()


def gzipped(rows: list[Event]) -> bytes:
    return gzip.compress(iso_csv(rows), mtime=0)


def spreadsheet(rows: list[Event]) -> bytes:
    return iso_csv(rows).decode().encode("utf-16")


CASES: dict[str, tuple[Callable[[list[Event]], bytes], dict[str, object], bool]] = {
    "csv": (delimited(","), {}, False),
    "tsv": (delimited("\t"), {}, False),
    "semicolons": (
        delimited(";"),
        {"separator": ";", "columns": {"user": "user", "item": "item", "time": "time"}},
        False,
    ),
    "positions": (
        lambda rows: delimited(",")(rows).split(b"\n", 1)[1],
        {"columns": {"user": 0, "item": 1, "time": 2}},
        False,
    ),
    "iso": (iso_csv, {}, True),
    "jsonl": (json_lines, {}, True),
    "python": (python_lines, {}, True),
    "parquet": (parquet, {}, True),
    "sequences": (sequences, {"format": "sequences"}, False),
    "detected": (sequences, {}, False),
    "movielens-1m": (movies, {}, False),
    "gzip": (gzipped, {}, True),
    "utf-16": (spreadsheet, {}, True),
}
"""How a format is written, the options that read it, and whether it has fractions."""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_valid_files_are_read_as_by_a_naive_reader(
    name: str, seed: int, tmp_path: Path
) -> None:
    write, options, fractions = CASES[name]
    rows = events(random.Random(seed), fractions)
    path = tmp_path / "log"
    path.write_bytes(write(rows))
    if name == "detected":
        options = {"format": "sequences"}
    frame = read_log(path, **options).frame()  # type: ignore[arg-type]
    found: dict[str, list[str]] = {}
    for user, item in frame.select(pl.col("user", "item").cast(pl.String)).rows():
        found.setdefault(user, []).append(item)
    blank = {"sequences": "_", "detected": "_", "movielens-1m": ""}.get(name, " ")
    expected: dict[str, list[str]] = {}
    for user, item, _ in sorted(rows, key=lambda row: row[2]):
        expected.setdefault(user.replace(" ", blank), []).append(item)
    assert found == expected


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes after one to three random edits."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(found) + 1)
        end = min(len(found), place + rng.randint(0, 8))
        kind = rng.randrange(6)
        if kind == 0:
            found[place:end] = b""
        elif kind == 1:
            found[place:place] = rng.choice(PIECES)
        elif kind == 2:
            found[place:end] = rng.choice(PIECES)
        elif kind == 3:
            found[place:place] = found[rng.randrange(len(found) + 1) :]
        elif kind == 4 and place < len(found):
            found[place] = rng.randrange(256)
        elif kind == 5:
            del found[place:]
    return bytes(found)


def read(path: Path, options: dict[str, object]) -> Interactions | None:
    """The log, without the malformed lines; None if it is refused."""
    begin = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            log = read_log(path, on_error="skip", **options)  # type: ignore[arg-type]
        except GraphSeqError as error:
            assert len(str(error)) < 5000, "the message repeats the file"
            return None
        finally:
            assert time.monotonic() - begin < LIMIT, "the file takes too long"
    return log


def check_counts(data: bytes, log: Interactions, name: str) -> None:
    """No line is lost: each that is not blank is an event or counted as skipped."""
    lines_of_events = name not in ("parquet", "gzip", "utf-16", "sequences", "detected")
    if not (lines_of_events and log.has_time):  # or the format is another one now
        return
    quoted = name in ("csv", "semicolons", "positions", "iso")
    if (quoted and b'"' in data) or b"\r" in data.replace(b"\r\n", b"\n"):
        return  # lines are not rows
    lines = [line for line in data.split(b"\n") if line.strip(b" \t\r\v\f\xef\xbb\xbf")]
    header = name in ("csv", "tsv", "semicolons", "iso")
    assert len(log) + sum(log.skipped.values()) == len(lines) - header


def fuzz(name: str, count: int, folder: Path) -> None:
    write, options, fractions = CASES[name]
    for seed in range(count):
        rng = random.Random(f"{name} {seed}")
        data = mutated(write(events(rng, fractions)), rng)
        path = folder / "log"
        path.write_bytes(data)
        try:
            log = read(path, options)
            if log is not None:
                check_counts(data, log, name)
        except BaseException as error:
            error.add_note(f"seed {seed} of {name}: {data[:300]!r}")
            raise


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_log_is_read_or_refused(name: str, tmp_path: Path) -> None:
    fuzz(name, MUTATIONS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_many_damaged_logs_are_read_or_refused(name: str, tmp_path: Path) -> None:
    fuzz(name, 20 * MUTATIONS, tmp_path)


TABLES = {
    "items.json": b'{"a": ["red", "round"], "b": []}',
    "items.jsonl": b'{"item": "a", "attribute": [["x"], ["y"]]}\n' * 3,
    "items.csv": b'item,attribute\na,"x|y"\nb,z\n',
    "items.item": b"item:token\tattribute:token_seq\na\tx y\n",
    "movies.dat": b"1::caf\xe9::A|B\n2::y::A\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_table_of_attributes_is_read_or_refused(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    for seed in range(MUTATIONS // 3):
        rng = random.Random(f"{name} {seed}")
        path.write_bytes(mutated(TABLES[name], rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read_attributes(path)
            except GraphSeqError:
                continue


def test_skipped_lines_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("user,item,time\na,x,1\na,,2\n")
    with pytest.warns(SkippedLines):
        log = read_log(path, on_error="skip")
    check_counts(path.read_bytes(), log, "csv")
