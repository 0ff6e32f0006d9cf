"""Which columns of a table are likely to hold the user, the item and the time.

Advice only: a wrong guess costs more than none, so a role without a clear column is
left open.
"""

import csv
import re
import shlex
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from graphseq.data.frames import normalized
from graphseq.data.missing_ids import MISSING
from graphseq.data.timestamps import split_times, units_of

Rows = Sequence[Sequence[str]]

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}/(\d{1,2}|[A-Z][a-z]{2})/\d{2,4}")
DAY = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}")
TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(:\d\d([.]\d+)?)?")
ABSENT = {"", "-", *MISSING}
OPEN = "…"  # for a role without a clear column
RECENT = 631_152_000  # the unix time at which 1990 begins
LONGEST_NAME = 80  # characters of a column's name in an option

LIKELY: dict[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "visitorid", "visitor", "customerid", "customer"),
        *("reviewerid", "reviewer", "memberid", "member", "buyerid", "buyer"),
        *("clientid", "client", "accountid", "account", "playerid", "listenerid"),
        *("profileid", "personid", "username", "who", "sessionid", "session"),
        *("deviceid", "cookieid"),
    ),
    "item": (
        *("item", "itemid", "iid", "movieid", "movie", "parentasin", "asin"),
        *("productid", "product", "businessid", "business", "videoid", "video"),
        *("trackid", "track", "songid", "song", "artistid", "artist", "bookid", "book"),
        *("isbn", "goodsid", "articleid", "article", "newsid", "gameid", "game"),
        *("appid", "poiid", "placeid", "venueid", "locationid", "animeid", "recipeid"),
        *("listingid", "hotelid", "skuid", "sku", "contentid", "photoid", "what"),
    ),
    "time": (
        *("timestamp", "time", "datetime", "unixreviewtime", "ts", "unixtime"),
        *("eventtime", "eventdate", "createdat", "created", "ratedat", "date", "when"),
        *("reviewtime",),
    ),
}
"""Usual names of each role, in lower case and without punctuation, best first."""

PARTS = {
    "user": ("user", "customer", "visitor", "reviewer"),
    "item": ("item", "product", "movie", "video", "song", "track", "book"),
}
"""Parts of less usual names, which count if one column alone has them."""

NOT_IDS = re.compile(
    "name|title|count|rating|score|categor|type|age$|gender|text|review|price|amount|"
    "duration|quantity|length|year|rank|url"
)


def split_rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Lines split at a separator; spaces around fields are removed."""
    try:
        spaced = separator != " "
        found = list(csv.reader(lines, delimiter=separator, skipinitialspace=spaced))
    except csv.Error:
        found = [line.split(separator) for line in lines]
    return [[field.strip() for field in row] for row in found]


def likely_columns(names: Sequence[str], rows: Rows) -> dict[str, str]:
    """Likely name of the column of each role; a role without one is absent.

    Args:
        names: The header.
        rows: The first rows below it; without any, only names count.
    """
    columns = {
        name: [row[index] for row in rows if len(row) == len(names)]
        for index, name in enumerate(names)
        if list(names).count(name) == 1
    }
    found: dict[str, str] = {}
    for role in ("user", "item"):
        ranked = _by_rank(role, columns)
        best = next((n for n in ranked if not ABSENT & {*columns[n]}), None)
        best = best or (ranked[0] if ranked else _by_part(role, columns))
        if best is not None:
            found[role] = best
    times = [n for n in _by_rank("time", columns) if _parses(columns[n])]
    if not times:
        times = [n for n, values in columns.items() if are_times(values)]
        times = times if len(times) == 1 else []
    if times and not _lacks_time_of_day(times[0], columns):
        found["time"] = times[0]
    return found if len({*found.values()}) == len(found) else {}


def _by_rank(role: str, columns: Mapping[str, Sequence[str]]) -> list[str]:
    known = LIKELY[role]
    found = [name for name in columns if normalized(name) in known]
    return sorted(found, key=lambda name: known.index(normalized(name)))


def _by_part(role: str, columns: Mapping[str, Sequence[str]]) -> str | None:
    found = [
        name
        for name in columns
        if any(part in normalized(name) for part in PARTS[role])
        and not NOT_IDS.search(normalized(name))
        and len(name) < 40
    ]
    return found[0] if len(found) == 1 else None


def _parses(values: Sequence[str]) -> bool:
    """Whether all values are numbers or dates, as far as there are any."""
    present = [value for value in values if value not in ABSENT]
    return not split_times(pl.Series(present, dtype=pl.String))[0].null_count()


def are_times(values: Sequence[str]) -> bool:
    """Whether values are dates, or numbers of the size of unix times since 1990.

    Ids of nine digits are as large as earlier times.
    """
    present = pl.Series([v for v in values if v not in ABSENT], dtype=pl.String)
    times = split_times(present)[0]
    if not len(present) or times.null_count():
        return False
    dated = present.str.contains(DATE.pattern).to_numpy()
    unit = units_of(times).astype(np.int64)
    recent = (unit >= 0) & (times.to_numpy() // 1000 ** unit.clip(0) >= RECENT)
    return bool((dated | (recent & ~present.str.starts_with("0").to_numpy())).all())


def _lacks_time_of_day(name: str, columns: Mapping[str, Sequence[str]]) -> bool:
    """Whether a column holds days only, and another one the times of the day."""
    days = all(DAY.fullmatch(value) for value in columns[name] if value not in ABSENT)
    others = (values for other, values in columns.items() if other != name)
    return days and any(v and all(map(TIME_OF_DAY.fullmatch, v)) for v in others)


def columns_option(found: Mapping[str, str | int]) -> str:
    """The option of the command line that assigns the columns."""
    short = {r: name for r, name in found.items() if len(str(name)) <= LONGEST_NAME}
    pairs = (f"{role}={short.get(role, OPEN)}" for role in LIKELY)
    words = (word if word.endswith(OPEN) else shlex.quote(word) for word in pairs)
    return "--columns " + " ".join(words)


def likely_indices(rows: Rows) -> dict[str, int]:
    """Likely index of the column of each role of a table without a header.

    The user and the item are named only if two columns remain besides a count of the
    rows and the time.
    """
    columns = list(zip(*rows, strict=True)) if len({*map(len, rows)}) == 1 else []
    times = [index for index, values in enumerate(columns) if are_times(values)]
    if len(times) != 1:
        return {}
    counts = bool(columns) and counts_rows(columns[0])
    rest = [i for i in range(counts, len(columns)) if i not in times]
    found = {"time": times[0]}
    return {"user": rest[0], "item": rest[1]} | found if len(rest) == 2 else found


def counts_rows(values: Sequence[str]) -> bool:
    """Whether values are consecutive whole numbers."""
    if len(values) < 3 or not all(value.isdecimal() for value in values):
        return False
    first = int(values[0])
    return [int(value) for value in values] == [*range(first, first + len(values))]


def is_table(lines: Sequence[str]) -> bool:
    """Whether lines of words look like a table instead of sequences.

    Signs of a table: as many words on each line, several tabs on each, empty fields, a
    date on each, or a column of numbers of the size of unix times.
    """
    rows = [line.split() for line in lines]
    tabs = {line.count("\t") for line in lines}
    if len(rows) > 1 and len({*map(len, rows)}) == 1:
        return True
    if len(tabs) == 1 and max(tabs) > 1:
        return True
    if any("\t\t" in line or line.strip(" \r") != line.strip() for line in lines):
        return True
    return all(map(DATE.search, lines)) or _has_time_column(rows)


def _has_time_column(rows: Rows) -> bool:
    """Whether a column, counted from either end, holds times, and not all words do."""
    width = min(map(len, rows))
    if (
        are_times([word for row in rows for word in row[1:]])
        and max(map(len, rows)) > 2
    ):
        return False  # large numbers are this file's items
    ends = [*range(1, width), *range(-width + 1, 0)]
    return any(are_times([row[index] for row in rows]) for index in ends)


def unusual_separator(line: str) -> str | None:
    """The separator that a line seems to use, unless it is a comma or a tab."""
    counts = {sign: line.count(sign) for sign in ",\t;|"}
    sign = max(counts, key=lambda each: counts[each])
    return sign if counts[sign] and sign in ";|" else None
