"""Where the formats that people download keep user, item and time.

Literal facts, no code: a new format of a kind that is known is one line of ``LAYOUTS``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

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
