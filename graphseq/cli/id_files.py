"""Files of ids: users or items in lines, and tables of pairs and of titles."""

from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

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
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"{option} {path} cannot be read: {error}. Write one id a line, in UTF-8"
        ) from error
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise ConfigError(f"{option} {path} has no id. Write one id a line")
    return ids


def read_pairs(option: str, path: Path) -> "pl.DataFrame":
    """A table of pairs: columns user and item.

    Raises:
        ConfigError: The file does not exist.
        DataError: It is not a table, or lacks a column.
    """
    from graphseq.data.attributes import read_attributes

    _check_exists(option, path)
    pairs = read_attributes(
        path.absolute(), item="user", attribute="item", separator=NONE, root="."
    )
    return pairs.rename({"item": "user", "attribute": "item"})


def lists_by_user(
    option: str, path: Path | None, names: "pl.Series | None"
) -> "list[str] | pl.Series | None":
    """The items in a text file; of a table, those of each user.

    Args:
        option: The option, for messages.
        path: The file; ``None``: no restriction.
        names: The users, in the order of their lists.

    Raises:
        ConfigError: The file does not exist, or it has no ids.
        DataError: A table lacks a column.
    """
    import polars as pl

    if path is None or path.suffix.lower() not in TABLES:
        return None if path is None else read_ids(option, path)
    if names is None:
        raise DataError(f"{option} {path} has users, and the run has none")
    pairs = read_pairs(option, path).cast(pl.String)
    lists = pairs.group_by("user", maintain_order=True).agg("item")
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
