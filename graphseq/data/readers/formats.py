"""The file formats that are read: their columns, and how to detect them.

A new format of a known kind is one entry of ``LAYOUTS``.
"""

import ast
import contextlib
import difflib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from graphseq.data.frames import NAMES, normalized
from graphseq.data.readers.advice import (
    NUMBER,
    Rows,
    columns_option,
    counts_rows,
    is_table,
    likely_columns,
    likely_indices,
    split_rows,
)
from graphseq.data.readers.source import Source
from graphseq.errors import DataError

Columns = Mapping[str, str | int]
"""Role (user, item, time) -> the column's name, or its index from 0."""

SHOWN, LONGEST = 30, 40  # columns that an error lists, and characters of each
LITERAL_ERRORS = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)
ARRAY = re.compile(rb"(\xef\xbb\xbf)?\s*\[\s*(\{|$)")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class Layout:
    """How a format is written.

    Attributes:
        kind: The reader that parses it.
        separator: Field separator.
        columns: Column of each role; an index means that the file has no header. Empty
            if each file names its own columns.
        width: Number of columns, where the format fixes it.
        offset: Column of milliseconds to add to a time of whole days.
        text_ids: Keep ids as strings, even if all of them are decimal integers.
        description: One line for users.
    """

    kind: Literal["sequences", "delimited", "jsonl", "parquet"]
    separator: str = ","
    columns: Columns = field(default_factory=dict)
    width: int | None = None
    offset: str | None = None
    text_ids: bool = False
    description: str = ""

    @property
    def quotes(self) -> bool:
        """Whether quoted fields may contain separators and line breaks."""
        return self.kind == "delimited" and self.separator not in ("\t", "::")


LAYOUTS: dict[str, Layout] = {
    "sequences": Layout("sequences", description="one line a user: user item item …"),
    "pairs": Layout(
        "delimited",
        " ",
        {"user": 0, "item": 1},
        width=2,
        description="one line an event, in time order: user item (SASRec)",
    ),
    "csv": Layout(
        "delimited", ",", description="comma-separated, columns named in line 1"
    ),
    "tsv": Layout(
        "delimited", "\t", description="tab-separated, columns named in line 1"
    ),
    "parquet": Layout("parquet", text_ids=True, description="Parquet"),
    "jsonl": Layout("jsonl", description="one JSON object a line"),
    "amazon": Layout(
        "jsonl",
        columns={"user": "reviewerID", "item": "asin", "time": "unixReviewTime"},
        text_ids=True,
        description="Amazon reviews 2014 and 2018, JSON lines",
    ),
    "amazon-2023": Layout(
        "jsonl",
        columns={"user": "user_id", "item": "parent_asin", "time": "timestamp"},
        text_ids=True,
        description="Amazon reviews 2023, JSON lines; times in milliseconds",
    ),
    "yelp": Layout(
        "jsonl",
        columns={"user": "user_id", "item": "business_id", "time": "date"},
        text_ids=True,
        description="Yelp reviews, JSON lines",
    ),
    "movielens": Layout(
        "delimited",
        ",",
        {"user": "userId", "item": "movieId", "time": "timestamp"},
        description="MovieLens ratings.csv",
    ),
    "movielens-1m": Layout(
        "delimited",
        "::",
        {"user": 0, "item": 1, "time": 3},
        width=4,
        description="MovieLens ratings.dat: user::movie::rating::time",
    ),
    "movielens-100k": Layout(
        "delimited",
        "\t",
        {"user": 0, "item": 1, "time": 3},
        width=4,
        description="MovieLens u.data: user, movie, rating, time",
    ),
    "gowalla": Layout(
        "delimited",
        "\t",
        {"user": 0, "item": 4, "time": 1},
        width=5,
        description="Gowalla check-ins: user, time, latitude, longitude, place",
    ),
    "diginetica": Layout(
        "delimited",
        ";",
        {"user": "sessionId", "item": "itemId", "time": "eventdate"},
        offset="timeframe",
        description="Diginetica train-item-views.csv: sessions as users; milliseconds",
    ),
    "recbole": Layout(
        "delimited",
        "\t",
        {"user": "user_id", "item": "item_id", "time": "timestamp"},
        description="RecBole .inter: user_id:token, item_id:token, timestamp:float",
    ),
}


def find_roles(
    source: str, header: Sequence[str], columns: Columns | None, rows: Rows = ()
) -> dict[str, int]:
    """Indices of the user, item and time columns of a file.

    Args:
        source: File name, for messages.
        header: Names of the file's columns.
        columns: Role -> name, as requested; ``None`` detects the usual names.
        rows: The first rows, for advice.

    Raises:
        DataError: A requested name is missing or occurs twice, or a usual one is
            missing or ambiguous.
    """
    if columns is None:
        return _detect_roles(source, header, rows)
    known = {name: index for index, name in enumerate(header)}
    short = {name.split(":")[0]: index for name, index in known.items()}
    found, problems = {}, []
    for role, name in columns.items():
        index = known.get(str(name), short.get(str(name)))
        names = header if str(name) in known else [n.split(":")[0] for n in header]
        if index is not None and names.count(str(name)) > 1:
            several = f"{names.count(str(name))} columns are named {name!r}"
            problems.append(f"{several}, for the {role}: rename them")
        elif index is None:
            near = difflib.get_close_matches(str(name), [*known, *short], n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            problems.append(f"no column {name!r} for the {role}{hint}")
        else:
            found[role] = index
    if problems:
        sign = unusual_separator(header[0]) if len(header) == 1 else None
        cure = f". The separator seems to be {sign!r}: --separator {sign!r}"
        raise DataError(
            f"{source}: {'; '.join(problems)}. The columns are {_listed(header)}"
            f"{cure if sign else ''}"
        )
    return found


def _detect_roles(source: str, header: Sequence[str], rows: Rows) -> dict[str, int]:
    found = {}
    for role, names in NAMES.items():
        matches = [i for i, name in enumerate(header) if normalized(name) in names]
        if len(matches) != 1:
            problem = "several columns could be" if matches else "no column looks like"
            untimed = " Without a time, the rows must be in time order."
            raise DataError(
                f"{source}: {problem} the {role} among {_listed(header)}. Name them: "
                f"{columns_option(likely_columns(header, rows))} (in Python, "
                "columns={'user': …, 'item': …, 'time': …})."
                f"{untimed if role == 'time' else ''}"
            )
        found[role] = matches[0]
    return found


def _listed(names: Sequence[str]) -> str:
    """The first names, none of them long."""
    shown = [name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in names]
    return ", ".join([*shown[:SHOWN], *["…"] * (len(names) > SHOWN)])


def check_columns(columns: Columns) -> None:
    """Check the roles, and that all columns are names or all are indices.

    Raises:
        DataError: A role is unknown or missing, or names and indices are mixed.
    """
    if set(columns) - set(NAMES) or {"user", "item"} - set(columns):
        raise DataError(
            "columns= must name the user, the item and optionally the time; found "
            f"{dict(columns)}. Write columns={{'user': …, 'item': …, 'time': …}}"
        )
    if len({isinstance(name, int) for name in columns.values()}) > 1:
        raise DataError(
            "columns= takes names (for a file with a header) or indices from 0 (for a "
            f"file without one), not both; found {dict(columns)}"
        )


def unusual_separator(line: str) -> str | None:
    """The separator that a line seems to use, unless it is a comma or a tab."""
    counts = {sign: line.count(sign) for sign in ",\t;|"}
    sign = max(counts, key=lambda each: counts[each])
    return sign if counts[sign] and sign in ";|" else None


def parse_object(line: str) -> dict[str, Any] | None:
    """A line as an object, JSON or a Python literal; None if it is neither."""
    found: Any = None
    try:
        found = json.loads(line, object_pairs_hook=_first_values)
    except RecursionError:
        return None
    except ValueError:
        if "'" not in line:
            return None
        with contextlib.suppress(*LITERAL_ERRORS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on escapes such as "\\d"
            found = ast.literal_eval(line.strip())
    return found if isinstance(found, dict) else None


def _first_values(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of a field that occurs twice the first value, as polars reads it."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


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
        or _sequence_format(lines)
    )
    if found is None:
        raise DataError(_unknown_format(source, lines))
    return found


def refuse_json_array(source: Source) -> None:
    """Refuse one JSON array in place of JSON lines.

    Raises:
        DataError: The file begins like an array of objects.
    """
    if ARRAY.match(source.start):
        raise DataError(
            f"{source.name} is one JSON array; read_log reads JSON lines, one object a "
            f"line. Convert it, for instance: jq -c '.[]' {source.name} > log.jsonl"
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


def _sequence_format(lines: list[str]) -> str | None:
    return "sequences" if _has_sequences(lines) and not is_table(lines) else None


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
        "A table without a header needs its columns by index, such as --format csv "
        "--columns user=0 item=1 time=3\n(in Python, format='csv', columns={'user': 0, "
        "'item': 1, 'time': 3}). "
    )
