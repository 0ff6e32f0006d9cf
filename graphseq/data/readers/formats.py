"""The file formats that are read: their columns, and how they are recognised."""

import ast
import difflib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from graphseq.data.readers.source import Source
from graphseq.errors import DataError

Kind = Literal["sequences", "delimited", "records", "parquet"]
Columns = Mapping[str, str | int]
"""Role (user, item, time) -> the column's name, or its position from 0."""


@dataclass(frozen=True)
class Layout:
    """How a format is written.

    Attributes:
        kind: Which reader takes it.
        separator: Between two columns.
        columns: Of each role; a position means that the file has no header. Empty if
            every file has its own names.
        width: Number of columns, where the format fixes it.
        offset: Column with milliseconds that are added to a time of whole days.
        text_ids: Ids stay strings even if all of them are spelt as integers.
        says: What the format is, for people.
    """

    kind: Kind
    separator: str = ","
    columns: Columns = field(default_factory=dict)
    width: int | None = None
    offset: str | None = None
    text_ids: bool = False
    says: str = ""


LAYOUTS: dict[str, Layout] = {
    "sequences": Layout("sequences", says="one line a user: user item item …"),
    "csv": Layout("delimited", ",", says="comma-separated, columns named in line 1"),
    "tsv": Layout("delimited", "\t", says="tab-separated, columns named in line 1"),
    "parquet": Layout("parquet", text_ids=True, says="Parquet"),
    "jsonl": Layout("records", says="one JSON object a line"),
    "amazon": Layout(
        "records",
        columns={"user": "reviewerID", "item": "asin", "time": "unixReviewTime"},
        text_ids=True,
        says="Amazon reviews 2014 and 2018, JSON lines",
    ),
    "amazon-2023": Layout(
        "records",
        columns={"user": "user_id", "item": "parent_asin", "time": "timestamp"},
        text_ids=True,
        says="Amazon reviews 2023, JSON lines; times in milliseconds",
    ),
    "yelp": Layout(
        "records",
        columns={"user": "user_id", "item": "business_id", "time": "date"},
        text_ids=True,
        says="Yelp reviews, JSON lines",
    ),
    "movielens": Layout(
        "delimited",
        ",",
        {"user": "userId", "item": "movieId", "time": "timestamp"},
        says="MovieLens ratings.csv",
    ),
    "movielens-1m": Layout(
        "delimited",
        "::",
        {"user": 0, "item": 1, "time": 3},
        width=4,
        says="MovieLens ratings.dat: user::movie::rating::time",
    ),
    "movielens-100k": Layout(
        "delimited",
        "\t",
        {"user": 0, "item": 1, "time": 3},
        width=4,
        says="MovieLens u.data: user, movie, rating, time",
    ),
    "gowalla": Layout(
        "delimited",
        "\t",
        {"user": 0, "item": 4, "time": 1},
        width=5,
        says="Gowalla check-ins: user, time, latitude, longitude, place",
    ),
    "diginetica": Layout(
        "delimited",
        ";",
        {"user": "sessionId", "item": "itemId", "time": "eventdate"},
        offset="timeframe",
        says="Diginetica train-item-views.csv: a session is a user; milliseconds",
    ),
    "recbole": Layout(
        "delimited",
        "\t",
        {"user": "user_id", "item": "item_id", "time": "timestamp"},
        says="RecBole .inter: user_id:token, item_id:token, timestamp:float",
    ),
}

NAMES: dict[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "reviewerid", "sessionid", "session"),
    "item": (
        *("item", "itemid", "iid", "movieid", "asin", "parentasin", "productid"),
        *("businessid", "trackid", "artistid"),
    ),
    "time": ("time", "timestamp", "unixreviewtime", "date", "datetime", "ts"),
}
"""Column names under which the roles go, in lower case and without punctuation."""


def plain(name: str) -> str:
    """A column's name in lower case, without punctuation and RecBole's ``:type``."""
    return "".join(c for c in name.split(":")[0].lower() if c.isalnum())


def separator_of(line: str) -> str | None:
    """The sign that seems to stand between the columns, where it is not the usual."""
    counts = {sign: line.count(sign) for sign in ",\t;|"}
    sign = max(counts, key=lambda each: counts[each])
    return sign if counts[sign] and sign in ";|" else None


def find_roles(
    source: str, header: Sequence[str], columns: Columns | None
) -> dict[str, int]:
    """Positions of user, item and time among the columns of a file.

    Args:
        source: Name of the file, for messages.
        header: Names of the file's columns.
        columns: Role -> name, as asked for; ``None`` goes by the usual names.

    Raises:
        DataError: A name is not there, or the usual names are not, or are there twice.
    """
    if columns is None:
        return _by_usual_names(source, header)
    known = {name: place for place, name in enumerate(header)}
    short = {name.split(":")[0]: place for name, place in known.items()}
    places, problems = {}, []
    for role, name in columns.items():
        place = known.get(str(name), short.get(str(name)))
        if place is None:
            near = difflib.get_close_matches(str(name), [*known, *short], n=1)
            cure = f" (did you mean {near[0]!r}?)" if near else ""
            problems.append(f"no column {name!r} for the {role}{cure}")
        else:
            places[role] = place
    if problems:
        sign = separator_of(header[0]) if len(header) == 1 else None
        cure = f". The separator seems to be {sign!r}: --separator {sign!r}"
        raise DataError(
            f"{source}: {'; '.join(problems)}. The columns are {', '.join(header)}"
            f"{cure if sign else ''}"
        )
    return places


def check_columns(columns: Columns) -> None:
    """Refuse roles that are unknown or lacking, and names mixed with positions.

    Raises:
        DataError: As said.
    """
    unknown = set(columns) - set(NAMES)
    lacking = {"user", "item"} - set(columns)
    if unknown or lacking:
        raise DataError(
            f"columns= names the user, the item and perhaps the time; found "
            f"{dict(columns)}. Write columns={{'user': …, 'item': …, 'time': …}}"
        )
    if len({isinstance(name, int) for name in columns.values()}) > 1:
        raise DataError(
            f"columns= takes names (the file has a header) or positions from 0 (it has "
            f"none), not both; found {dict(columns)}"
        )


def _by_usual_names(source: str, header: Sequence[str]) -> dict[str, int]:
    places = {}
    for role, names in NAMES.items():
        fits = [place for place, name in enumerate(header) if plain(name) in names]
        if len(fits) != 1:
            what = "several columns could be" if fits else "no column looks like"
            order = (
                " Without a 'time' the rows count as being in time order."
                if role == "time"
                else ""
            )
            raise DataError(
                f"{source}: {what} the {role} among {', '.join(header)}. Say which: "
                "--columns user=… item=… time=… (in Python, columns={'user': …, "
                f"'item': …, 'time': …}}).{order}"
            )
        places[role] = fits[0]
    return places


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
    record = parse_record(lines[0]) if lines[0].lstrip().startswith("{") else None
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


def parse_record(line: str) -> dict[str, Any] | None:
    """A line as an object, be it JSON or a Python literal; None if it is neither."""
    try:
        found = json.loads(line)
    except ValueError:
        try:
            found = ast.literal_eval(line.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return found if isinstance(found, dict) else None
