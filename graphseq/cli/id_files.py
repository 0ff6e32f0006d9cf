"""Files of ids: users or items in lines, and tables of pairs and of titles."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.errors import ConfigError, DataError, quantity

if TYPE_CHECKING:
    import polars as pl

    from graphseq.data.attributes import Blank

TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
TITLES = ("item", "title")  # columns of a table of titles
NONE = "\0"  # a separator that occurs in no field


def read_ids(option: str, path: Path) -> list[str]:
    """The ids in a text file, one a line; empty lines are left out.

    Raises:
        ConfigError: The file does not exist, it is not a text, or has no id.
    """
    _check_exists(option, path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"{option} {path} cannot be read: {error}. Write one id a line, in UTF-8"
        ) from error
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise ConfigError(f"{option} {path} has no id. Write one id a line")
    return ids


def read_pairs(option: str, path: Path, blank: "Blank" = "omit") -> "pl.DataFrame":
    """A table of pairs: columns user and item.

    Args:
        option: The option, for messages.
        path: The file.
        blank: Whether rows without a user or an item are omitted, or an error.

    Raises:
        ConfigError: The file does not exist.
        DataError: It is not a table, or lacks a column; or it has blank fields, and
            ``blank`` is ``error``.
    """
    from graphseq.data.attributes import read_attributes

    _check_exists(option, path)
    pairs = read_attributes(
        path.absolute(),
        item="user",
        attribute="item",
        separator=NONE,
        root=".",
        blank=blank,
    )
    return pairs.rename({"item": "user", "attribute": "item"})


def lists_by_user(
    option: str,
    path: Path | None,
    names: "pl.Series | None",
    known: "pl.Series | None" = None,
) -> "list[str] | pl.Series | None":
    """The items in a text file; of a table, those of each user.

    Args:
        option: The option, for messages.
        path: The file; ``None``: no restriction.
        names: The users, in the order of their lists.
        known: All users that a table may name; ``None``: any.

    Raises:
        ConfigError: The file does not exist, or it has no ids.
        DataError: A table lacks a column, or names no user that is known; of a few who
            are not, it warns.
    """
    import polars as pl

    if path is None or path.suffix.lower() not in TABLES:
        return None if path is None else read_ids(option, path)
    if names is None:
        raise DataError(
            f"{option} {path} has a list for each user, and these lists have no "
            "users. Write the items into a text file, one a line"
        )
    pairs = read_pairs(option, path).cast(pl.String)
    lists = pairs.group_by("user", maintain_order=True).agg("item")
    if known is not None:
        others = pairs["user"].unique(maintain_order=True)
        others = others.filter(~others.is_in(known.cast(pl.String).implode()))
        if len(others):
            shown = ", ".join(map(repr, others.head(3))) + ", …" * (len(others) > 3)
            message = f"{option} {path} names {quantity(len(others), 'user')} not in"
            message += f" the log: {shown}"
            if len(others) == pairs["user"].n_unique():
                raise DataError(f"{message}, and no others. Correct the ids")
            warnings.warn(f"{message}. Their items are ignored", stacklevel=2)
    wanted = pl.DataFrame({"user": names.cast(pl.String)})
    found = wanted.join(lists, on="user", how="left", maintain_order="left")
    return found["item"]


def read_titles(
    path: Path, *, item: str = "item", title: str = "title", option: str = "--titles"
) -> "pl.DataFrame":
    """A table of titles: columns ``key``, the item as a text, and ``title``.

    Raises:
        ConfigError: The file does not exist.
        DataError: It is not a table, or lacks a column.
    """
    import polars as pl

    from graphseq.data.attributes import read_attributes

    _check_exists(option, path)
    pairs = read_attributes(
        path.absolute(), item=item, attribute=title, separator=NONE, root="."
    )
    keyed = pairs.select(
        pl.col("item").cast(pl.String).alias("key"),
        pl.col("attribute").cast(pl.String).alias("title"),
    )
    return keyed.unique("key", keep="first", maintain_order=True)


def _check_exists(option: str, path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"{option} takes a file; there is none at {path}")
