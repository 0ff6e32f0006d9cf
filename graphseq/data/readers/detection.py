"""Detect the format of a file by its first lines, or advise which options to give."""

import json
import re
import shlex
from itertools import pairwise

from graphseq.data.frames import NAMES, normalized
from graphseq.data.readers.advice import (
    NUMBER,
    columns_option,
    counts_rows,
    is_table,
    likely_columns,
    likely_indices,
    split_rows,
    unusual_separator,
)
from graphseq.data.readers.formats import LAYOUTS
from graphseq.data.readers.jsonl import parse_object
from graphseq.data.readers.source import Source
from graphseq.errors import DataError

ARRAY = re.compile(rb"(\xef\xbb\xbf)?\s*\[\s*(?P<first>\{|\[|$)")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def detect_format(source: Source) -> str:
    """The name of a file's format, judged by its first lines.

    Raises:
        DataError: No format matches; the error describes the first line.
    """
    if source.is_parquet:
        return "parquet"
    lines = source.head()
    found = (
        _jsonl_format(lines[0])
        or _format_by_header(lines[0])
        or _format_by_fields(lines)
        or _pairs_format(lines)
    )
    if found is not None:
        return found
    if _has_sequences(lines) and not is_table(lines):
        return "sequences"
    raise DataError(_unknown_format(source, lines))


def refuse_json_array(source: Source) -> None:
    """Refuse one JSON array instead of JSON lines, or of the rows of a table.

    Raises:
        DataError: The file begins like an array of objects or of arrays, or like the
            objects of one without its brackets.
    """
    first = source.start.split(b"\n", 1)[0].decode("utf-8", errors="replace").rstrip()
    if first.endswith("},") and parse_object(first[:-1]) is not None:
        name = shlex.quote(source.name)
        raise DataError(
            f"the lines of {source.name} are JSON objects that end with commas; "
            "read_log reads one object a line, without them. Remove them: "
            f"sed 's/,[[:space:]]*$//' {name} > log.jsonl"
        )
    if found := ARRAY.match(source.start):
        name = shlex.quote(source.name)
        command = f"jq -c '.[]' {name} > log.jsonl (in Python, "
        command += f"polars.read_json({source.name!r}).write_ndjson('log.jsonl'))"
        if found["first"] == b"[":
            command = f"jq -r '.[] | @csv' {name} > log.csv"
        raise DataError(
            f"{source.name} is one JSON array; read_log reads JSON lines, one object a "
            f"line, and rows of a table. Convert it: {command}"
        )


def _jsonl_format(first: str) -> str | None:
    record = parse_object(first) if first.lstrip().startswith("{") else None
    if record is None:
        return None
    for name in ("amazon", "amazon-2023", "yelp"):
        if set(LAYOUTS[name].columns.values()) <= set(record):
            return name
    return "jsonl"


def _format_by_header(first: str) -> str | None:
    if ":token" in first:
        return "recbole"
    if {"sessionId", "itemId", "timeframe", "eventdate"} <= {*first.split(";")}:
        return "diginetica"
    for name, separator in (("csv", ","), ("tsv", "\t")):
        header = [column.strip('" ') for column in first.split(separator)]
        if name == "csv" and header == ["userId", "movieId", "rating", "timestamp"]:
            return "movielens"
        known = {normalized(column) for column in header}
        if len(header) > 1 and all(known & set(NAMES[r]) for r in ("user", "item")):
            return name
    return None


def _format_by_fields(lines: list[str]) -> str | None:
    """Formats without a header, by the number and type of their fields."""
    if all(line.count("::") == 3 for line in lines):
        return "movielens-1m"
    rows = [line.split("\t") for line in lines]
    if all(len(row) == 5 and MOMENT.fullmatch(row[1]) for row in rows):
        return "gowalla"
    if all(len(r) == 4 and all(map(NUMBER.fullmatch, r)) for r in rows):
        ratings = {row[2] for row in rows}
        return "movielens-100k" if ratings <= set("12345") else None
    return None


def _pairs_format(lines: list[str]) -> str | None:
    """Pairs of numbers, all events of a user on consecutive lines."""
    rows = [line.split(" ") for line in lines]
    if not all(len(row) == 2 and all(w.isdecimal() for w in row) for row in rows):
        return None
    users = [row[0] for row in rows]
    changes = sum(one != other for one, other in pairwise(users))
    several = len({*users}) < len(users)
    return "pairs" if several and changes == len({*users}) - 1 else None


def _has_sequences(lines: list[str]) -> bool:
    """Whether each line is a user, with one line each, and at least one item."""
    rows = [line.split() for line in lines]
    if any(len(row) < 2 for row in rows) or any(set(n) & {*',;"'} for n in lines):
        return False
    return len({row[0] for row in rows}) == len(rows)


def _unknown_format(source: Source, lines: list[str]) -> str:
    first = lines[0]
    signs = {"commas": ",", "tabs": "\t", "semicolons": ";", "spaces": " "}
    counts = ", ".join(f"{first.count(s)} {n}" for n, s in signs.items())
    formats = "\n".join(f"  {n}: {layout.description}" for n, layout in LAYOUTS.items())
    return (
        f"{source.name} does not look like any known format. Its first line, with "
        f"{counts}, is\n  {json.dumps(first[:120], ensure_ascii=False)}\n"
        f"{_header_hint(lines) or _table_hint(lines)}The formats are\n{formats}"
    )


def _header_hint(lines: list[str]) -> str:
    """Options to try if the first line seems to name the columns; else empty."""
    sign = unusual_separator(lines[0])
    separator = sign or max(",\t", key=lines[0].count)
    header, *rows = split_rows(lines, separator)
    texts = [name for name in header if name and not NUMBER.fullmatch(name)]
    if len(header) < 2 or len(texts) < len(header) or likely_indices([header]):
        return ""
    option = columns_option(likely_columns(header, rows))
    sign_hint = f"The separator seems to be {sign!r}: --separator {sign!r}\n"
    return (
        f"Line 1 may be a header: assign the columns, {option}\n"
        f"{sign_hint if sign else ''}"
    )


def _table_hint(lines: list[str]) -> str:
    """Options to try for a table without a header."""
    sign = unusual_separator(lines[0]) or max(",\t ", key=lines[0].count)
    option = {",": "--format csv", "\t": "--format tsv"}.get(
        sign, f"--separator {sign!r}"
    )
    rows = split_rows(lines, sign)
    found = likely_indices(rows)
    hint = ""
    if _has_sequences(lines):
        hint = (
            "Its lines look like the rows of a table. If each is a user and all of "
            "their items, name the format: --format sequences\n"
        )
    if found:
        counted = (
            "Column 0 counts the rows; c" if counts_rows([r[0] for r in rows]) else "C"
        )
        return (
            f"{hint}{counted}olumn {found['time']} holds times. Without a header, "
            f"assign the columns by index from 0: {option} {columns_option(found)}\n"
        )
    sign_hint = f"The separator seems to be {sign!r}: --separator {sign!r}\n"
    return (
        f"{hint}{sign_hint if sign in ';|' else ''}"
        f"A table without a header needs its columns by index from 0: {option} "
        f"{columns_option({})}\n"
    )
