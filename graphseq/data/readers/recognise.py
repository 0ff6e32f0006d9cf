"""What format a file is in, judged by its first lines."""

import json
import re
import shlex

from graphseq.data.readers.layouts import LAYOUTS, NAMES
from graphseq.data.readers.records import parse
from graphseq.data.readers.roles import plain, separator_of
from graphseq.data.readers.source import Source
from graphseq.errors import DataError

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def recognise(source: Source) -> str:
    """Name the format of a file.

    Raises:
        DataError: The file looks like none of them; the error says what was seen.
    """
    if source.is_parquet:
        return "parquet"
    lines = source.head()
    found = (
        _records(lines) or _headed(lines[0]) or _unheaded(lines) or _sequences(lines)
    )
    if found is None:
        raise DataError(_unknown(source, lines))
    return found


def _records(lines: list[str]) -> str | None:
    record = parse(lines[0]) if lines[0].lstrip().startswith("{") else None
    if record is None:
        return None
    for name in ("amazon", "amazon-2023", "yelp"):
        if set(LAYOUTS[name].columns.values()) <= set(record):
            return name
    return "jsonl"


def _headed(first: str) -> str | None:
    """Formats that name their columns in the first line."""
    if ":token" in first:
        return "recbole"
    if {"sessionId", "itemId", "timeframe", "eventdate"} <= {*first.split(";")}:
        return "diginetica"
    for name, separator in (("csv", ","), ("tsv", "\t")):
        header = [column.strip('" ') for column in first.split(separator)]
        if name == "csv" and header == ["userId", "movieId", "rating", "timestamp"]:
            return "movielens"
        known = {plain(column) for column in header}
        if len(header) > 1 and all(known & set(NAMES[r]) for r in ("user", "item")):
            return name
    return None


def _unheaded(lines: list[str]) -> str | None:
    """Formats whose columns are known by their number and kind."""
    if all(line.count("::") == 3 for line in lines):
        return "movielens-1m"
    rows = [line.split("\t") for line in lines]
    if all(len(row) == 5 and MOMENT.fullmatch(row[1]) for row in rows):
        return "gowalla"
    if all(len(r) == 4 and all(map(NUMBER.fullmatch, r)) for r in rows):
        ratings = {row[2] for row in rows}
        return "movielens-100k" if ratings <= set("12345") else None
    return None


def _sequences(lines: list[str]) -> str | None:
    rows = [line.split() for line in lines]
    if any(len(row) < 2 for row in rows) or any(set(line) & {*",;"} for line in lines):
        return None
    users = {row[0] for row in rows}
    return "sequences" if len(users) == len(rows) else None


def _unknown(source: Source, lines: list[str]) -> str:
    first = lines[0]
    signs = {"commas": ",", "tabs": "\t", "semicolons": ";", "blanks": " "}
    counts = ", ".join(f"{first.count(s)} {n}" for n, s in signs.items())
    formats = "\n".join(f"  {name}: {layout.says}" for name, layout in LAYOUTS.items())
    return (
        f"{source.name} looks like no format that read_log knows. Its first line, with "
        f"{counts}, is\n  {json.dumps(first[:120], ensure_ascii=False)}\n"
        f"{_named(first)}"
        "A table without a header needs its columns by position: --format csv "
        "--columns user=0 item=1 time=3\n(in Python, format='csv', columns={'user': 0, "
        f"'item': 1, 'time': 3}}). The formats are\n{formats}"
    )


def _named(first: str) -> str:
    """What would do if the first line names the columns; nothing if it does not."""
    sign = separator_of(first)
    separator = sign or max(",\t", key=first.count)
    names = [name.strip('" ') for name in first.split(separator)][:3]
    named = len(names) > 1 and not any(map(NUMBER.fullmatch, names)) and all(names)
    pairs = zip(("user", "item", "time"), names, strict=False)
    spelt = " ".join(shlex.quote(f"{role}={name}") for role, name in pairs)
    cure = f"Line 1 may name the columns: say which is which, --columns {spelt}\n"
    seems = f"The separator seems to be {sign!r}: --separator {sign!r}\n"
    return (cure if named else "") + (seems if sign else "")
