"""Item attributes, from a mapping or a file, as pairs of item and attribute."""

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from graphseq.data.datasets import data_folders
from graphseq.data.ids import as_series
from graphseq.data.readers.blocks import NOT_UTF8, decode
from graphseq.data.readers.errors import parser_errors
from graphseq.data.readers.source import Source, open_source
from graphseq.errors import DataError, suggest

Table = Mapping[str | int, Sequence[str | int | None]]
"""Raw item id -> raw ids of its attributes."""

MOVIES = ["movie", "title", "genres"]  # columns of MovieLens movies.dat
FEW = 10  # a hint is given if more than one field in this many seems to hold several


def read_attributes(
    path: str | Path,
    *,
    item: str | int = "item",
    attribute: str | int = "attribute",
    separator: str | None = None,
    root: str | Path | None = None,
) -> pl.DataFrame:
    """Read pairs of item and attribute from a file.

    Args:
        path: JSON (one object, item to list of attributes); or JSON lines, CSV, TSV or
            Parquet with one row per item, holding a list, or one row per pair; or
            MovieLens movies.dat, or RecBole .item. Plain or gzip.
        item: Column of the items; ignored for a JSON object and for movies.dat.
        attribute: Column of the attributes, or of lists of them, nested to any depth;
            ignored for movies.dat, which has genres.
        separator: Separator of several attributes in one field, such as "|"; ``None``
            does not split fields, except in movies.dat ("|") and in the columns of type
            token_seq of RecBole (spaces).
        root: Folder of a relative path; ``None`` searches GRAPHSEQ_DATA, the cache of
            ``graphseq get`` and the current folder, in this order.

    Returns:
        Columns item and attribute, strings or integers, in the order of the file.

    Raises:
        DataError: The file does not exist, or is not a table of attributes.
    """
    source = open_source(find_file(path, root))
    cure = "Save it as JSON, JSON lines, CSV, TSV or Parquet, with the usual extension"
    with parser_errors(source.name, cure, "cannot be read as a table of attributes"):
        frame = _read(source)
    if not isinstance(frame, pl.DataFrame):
        return pairs_of(frame)
    if frame.columns == MOVIES:
        item, attribute, separator = MOVIES[0], MOVIES[2], separator or "|"
    names = {name.split(":")[0]: name for name in frame.columns}
    columns = {"item": str(item), "attribute": str(attribute)}
    for role, column in columns.items():
        if column not in frame.columns and column not in names:
            cure = suggest(column, list(names))
            raise DataError(f"{source.name} has no column {column!r}; {cure}")
        columns[role] = column if column in frame.columns else names[column]
    if columns["attribute"].endswith(":token_seq"):
        separator = separator or " "
    frame = frame.select(pl.col(name).alias(role) for role, name in columns.items())
    while isinstance(frame.schema["attribute"], pl.List | pl.Array):
        frame = frame.explode("attribute")
    frame = _split_fields(source.name, frame.drop_nulls(), separator)
    for role, column in columns.items():
        if frame.schema[role] == pl.String and frame[role].str.contains(NOT_UTF8).any():
            raise DataError(
                f"{source.name}: the column {column!r} contains bytes that are not "
                "UTF-8. Save the file as UTF-8"
            )
    return frame.select(as_series(frame[name]).alias(name) for name in frame.columns)


def find_file(path: str | Path, root: str | Path | None = None) -> Path:
    """The path of a file about items, which may not be there.

    Args:
        path: The file.
        root: As for :func:`read_attributes`.
    """
    folders = [Path(root)] if root is not None else [*data_folders(), Path()]
    found = (folder / path for folder in folders if (folder / path).is_file())
    return next(found, folders[-1] / path)


def _split_fields(
    name: str, frame: pl.DataFrame, separator: str | None
) -> pl.DataFrame:
    """One row per attribute; a hint if fields seem to hold several."""
    if frame.schema["attribute"] != pl.String:
        return frame
    if separator is not None:
        several = pl.col("attribute").str.split(separator)
        frame = frame.with_columns(several).explode("attribute")
        frame = frame.with_columns(pl.col("attribute").str.strip_chars())
        return frame.filter(pl.col("attribute") != "")
    for sign in "|;":
        joined = frame.filter(pl.col("attribute").str.contains(sign, literal=True))
        if len(joined) * FEW > len(frame):
            warnings.warn(
                f"{name}: {len(joined):,} of {len(frame):,} fields contain {sign!r}, "
                f"such as {joined['attribute'][0]!r}, and are one attribute each. To "
                f"split them: --attribute-separator {sign!r} (in Python, "
                f"separator={sign!r})",
                UserWarning,
                stacklevel=3,
            )
            break
    return frame


def pairs_of(table: Table) -> pl.DataFrame:
    """Flatten a mapping from items to attributes: columns item and attribute.

    Attributes that are ``None`` are omitted.

    Raises:
        DataError: The attributes of an item are not a list.
    """
    for name, owned in table.items():
        if isinstance(owned, str) or not isinstance(owned, Sequence):
            raise DataError(
                f"the attributes of an item must be a list; item {name!r} has "
                f"{owned!r}. Put a single attribute into a list"
            )
    pairs = [(name, a) for name, owned in table.items() for a in owned if a is not None]
    columns = {"item": [i for i, _ in pairs], "attribute": [a for _, a in pairs]}
    return pl.DataFrame({n: as_series(ids, mixed=True) for n, ids in columns.items()})


def _read(source: Source) -> pl.DataFrame | Table:
    """The file as a frame, or a JSON object as a mapping."""
    if source.is_parquet:
        return pl.read_parquet(io.BytesIO(source.read()))
    suffixes = source.path.suffixes
    suffix = next((s for s in reversed(suffixes) if s != ".gz"), "")
    first = source.head(1)[0]
    if suffix == ".dat" and first.count("::") == 2:
        rows = pl.Series([decode(source.read())]).str.split("\n").explode()
        fields = rows.str.strip_chars_end("\r").str.split("::")
        fields = fields.filter(fields.list.len() == len(MOVIES))
        return fields.list.to_struct(fields=MOVIES).struct.unnest()
    if suffix in (".csv", ".tsv", ".txt", ".item"):
        separator = "," if suffix == ".csv" else "\t"
        return pl.read_csv(
            source.read(),
            separator=separator,
            infer_schema=False,
            encoding="utf8-lossy",
            quote_char='"' if suffix == ".csv" else None,
        )
    if suffix in (".jsonl", ".ndjson"):
        return pl.read_ndjson(source.read(), infer_schema_length=None)
    table = json.loads(source.read())
    if not isinstance(table, dict):
        raise ValueError("expected one object from items to attributes")
    return table
