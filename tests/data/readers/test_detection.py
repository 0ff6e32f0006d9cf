"""Files whose format is detected, or not; then the error says what to do."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from graphseq.data import read_log
from graphseq.errors import DataError


def write(folder: Path, data: str) -> Path:
    path = folder / "log.csv"
    path.write_text(data)
    return path


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("A1,B2,5.0,1369699200\n", '3 commas, 0 tabs.*\n  "A1,B2,5.0,1369699200"'),
        ("1 5\n2 5\n1 4\n", '1 spaces, is\n  "1 5"'),
        ("hello\n", '"hello"'),
        ("1,2\n1,3\n", "--format csv --columns user=… item=… time=…"),
        (
            "who,what,when\nana,tea,1\n",
            "Line 1 may be a header: assign the columns, "
            "--columns user=who item=what time=when\n",
        ),
        (
            "who;what it is\nana;tea\n",
            "--columns user=who item=… time=…\n"
            "The separator seems to be ';': --separator ';'\n",
        ),
    ],
)
def test_an_unknown_format_is_reported_with_the_first_line(
    tmp_path: Path, text: str, seen: str
) -> None:
    with pytest.raises(DataError, match=seen):
        read_log(write(tmp_path, text))


def test_numbers_in_line_1_are_not_column_names(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, "1,2,3\n1,3,4\n"))
    assert "Line 1" not in str(caught.value)
    assert "separator" not in str(caught.value)


def test_an_unusual_separator_is_suggested(tmp_path: Path) -> None:
    path = write(tmp_path, "who;what\nana;tea\n")
    with pytest.raises(DataError, match="to be ';': --separator ';'"):
        read_log(path, columns={"user": "who", "item": "what"})


def test_a_json_array_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"user": "a", "item": 1, "time": 5},\n{"user": "b"}]\n')
    for options in ({}, {"format": "jsonl"}, {"columns": {"user": "a", "item": "b"}}):
        with pytest.raises(DataError, match=r"is one JSON array; .* jq -c"):
            read_log(path, **options)  # type: ignore[arg-type]


def test_pairs_of_one_user_are_on_consecutive_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not look like"):
        read_log(write(tmp_path, "1 5\n2 5\n1 4\n"))
    log = read_log(write(tmp_path, "1 5\n2 5\n1 4\n"), format="pairs")
    assert log.frame().rows() == [(1, 5, 0), (1, 4, 1), (2, 5, 0)]


@pytest.mark.parametrize("rows", [[{"user": 1, "item": 2, "time": 3}] * 4, [[1, 2, 3]]])
def test_the_advice_for_an_array_converts_it(tmp_path: Path, rows: list[Any]) -> None:
    path = tmp_path / "a log.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(DataError, match="Convert it: jq") as error:
        read_log(path)
    message = str(error.value)
    command = message.partition("Convert it: ")[2].partition(" (in Python, ")[0]
    if shutil.which("jq"):
        subprocess.run(command, shell=True, check=True, cwd=tmp_path)
        (made,) = tmp_path.glob("log.*")
        columns = {"user": 0, "item": 1, "time": 2} if made.suffix == ".csv" else None
        assert len(read_log(made, columns=columns)) == len(rows)
    if " (in Python, " in message:
        pl.read_json(path).write_ndjson(tmp_path / "python.jsonl")
        assert len(read_log(tmp_path / "python.jsonl")) == len(rows)


@pytest.mark.parametrize("end", [",", ", ", ",\r"])
def test_objects_that_end_with_commas_are_told_apart(tmp_path: Path, end: str) -> None:
    path = tmp_path / "log.jsonl"
    lines = [f'{{"user": {n}, "item": "a", "time": {n}}}{end}' for n in range(3)]
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"objects that end with commas.*sed 's/,"):
        read_log(path)
    with pytest.raises(DataError, match="end with commas"):
        read_log(path, format="jsonl")
