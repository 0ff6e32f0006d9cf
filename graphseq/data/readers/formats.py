"""The file formats that are read, and their columns.

A new format of a known kind is one entry of ``LAYOUTS``.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from graphseq.data.frames import NAMES, normalized
from graphseq.data.readers.advice import (
    Rows,
    columns_option,
    likely_columns,
    unusual_separator,
)
from graphseq.errors import DataError

Columns = Mapping[str, str | int]
"""Role (user, item, time) -> the column's name, or its index from 0."""

SHOWN, LONGEST = 30, 40  # columns that an error lists, and characters of each


@dataclass(frozen=True)
class Layout:
    """How a format is written.

    Attributes:
        kind: The reader that parses it.
        separator: Field separator.
        columns: Column of each role; an index means that the file has no header. Empty
            if each file names its own columns.
        width: Number of columns, where the format fixes it.
        text_ids: Keep ids as strings, even if all of them are decimal integers.
        weight: Column of a weight of each event, if one is requested.
        description: One line for users.
    """

    kind: Literal["sequences", "delimited", "jsonl", "parquet"]
    separator: str = ","
    columns: Columns = field(default_factory=dict)
    width: int | None = None
    text_ids: bool = False
    weight: str | int | None = None
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


def find_weight(source: str, header: Sequence[str], weight: str | int) -> int:
    """Index of the column of the weights.

    Raises:
        DataError: The column is missing.
    """
    if isinstance(weight, int) and 0 <= weight < len(header):
        return weight
    if isinstance(weight, int):
        raise DataError(
            f"{source} has {len(header)} columns, 0 … {len(header) - 1}; requested is "
            f"{weight} for the weight. Choose one of them"
        )
    return find_roles(source, header, {"weight": weight})["weight"]


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
        DataError: A role is unknown or missing, two have one column, or names and
            indices are mixed.
    """
    if set(columns) - set(NAMES) or {"user", "item"} - set(columns):
        raise DataError(
            "columns= must name the user, the item and optionally the time; found "
            f"{dict(columns)}. Write columns={{'user': …, 'item': …, 'time': …}}"
        )
    if len({*columns.values()}) < len(columns):
        raise DataError(
            f"columns= must name another column for each role; found {dict(columns)}"
        )
    if len({isinstance(name, int) for name in columns.values()}) > 1:
        raise DataError(
            "columns= takes names (for a file with a header) or indices from 0 (for a "
            f"file without one), not both; found {dict(columns)}"
        )
