"""Item attributes, from a mapping or a file, as pairs of item and attribute."""

import contextlib
import io
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import polars as pl

from graphseq.data.datasets import data_folders
from graphseq.data.ids import as_series
from graphseq.data.readers.blocks import NOT_UTF8, decode
from graphseq.data.readers.delimited import unquoted
from graphseq.data.readers.errors import parser_errors
from graphseq.data.readers.source import Source, open_source
from graphseq.errors import DataError, quantity, suggest

Table = Mapping[str | int, Sequence[str | int | None]]
"""Raw item id -> raw ids of its attributes."""

Blank = Literal["omit", "error"]

MOVIES = ["movie", "title", "genres"]  # columns of MovieLens movies.dat
FEW = 10  # a hint is given if more than one field in this many seems to hold several


def read_attributes(
    path: str | Path,
    *,
    item: str | int = "item",
    attribute: str | int = "attribute",
    separator: str | None = None,
    root: str | Path | None = None,
    blank: Blank = "omit",
) -> pl.DataFrame:
    """Read pairs of item and attribute from a file.

    Spaces around the fields of delimited text, and quotation marks that enclose them,
    are removed, as in a log.

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
        blank: Whether pairs with a blank id or attribute are omitted, or an error.

    Returns:
        Columns item and attribute, strings or integers, in the order of the file.

    Raises:
        DataError: The file does not exist, or is not a table of attributes; or it has
            blank fields, and ``blank`` is ``error``.
    """
    source = open_source(find_file(path, root))
    cure = "Save it as JSON, JSON lines, CSV, TSV or Parquet, with the usual extension"
    with parser_errors(source.name, cure, "cannot be read as a table of attributes"):
        found = _read(source, str(item), str(attribute))
    if isinstance(found, Mapping):
        return pairs_of(found)
    header, table = found
    if header == MOVIES:
        item, attribute, separator = MOVIES[0], MOVIES[2], separator or "|"
    columns = {
        role: _find_column(source.name, str(name), header)
        for role, name in (("item", item), ("attribute", attribute))
    }
    if header[columns["attribute"]].endswith(":token_seq"):
        separator = separator or " "
    frame = pl.DataFrame({role: table.to_series(n) for role, n in columns.items()})
    while isinstance(frame.schema["attribute"], pl.List | pl.Array):
        frame = frame.explode("attribute")
    size, frame = len(frame), frame.drop_nulls()
    frame = _without_blanks(pl.DataFrame({c.name: as_series(c) for c in frame}))
    if blank == "error" and len(frame) < size:
        names = " or ".join(repr(header[index]) for index in columns.values())
        raise DataError(
            f"{source.name}: {size - len(frame):,} of {quantity(size, 'pair')} have no "
            f"{names}. Complete or remove them"
        )
    frame = _split_fields(source.name, frame, separator)
    for role, index in columns.items():
        if frame.schema[role] == pl.String and frame[role].str.contains(NOT_UTF8).any():
            raise DataError(
                f"{source.name}: the column {header[index]!r} contains bytes that are "
                "not UTF-8. Save the file as UTF-8"
            )
    return frame


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

    Attributes that are ``None`` or blank are omitted, and lists in a list joined.

    Raises:
        DataError: The attributes of an item are not a list, or one of them is neither a
            text nor a whole number.
    """
    for name, owned in table.items():
        if isinstance(owned, str) or not isinstance(owned, Sequence):
            raise DataError(
                f"the attributes of an item must be a list; item {name!r} has "
                f"{owned!r}. Put a single attribute into a list"
            )
    listed = [(name, a) for name, owned in table.items() for a in _flat(list(owned))]
    pairs = [(name, each) for name, each in listed if each is not None]
    for name, each in pairs:
        if isinstance(each, bool) or not isinstance(each, str | Integral):
            raise DataError(
                f"an attribute is a text or a whole number; item {name!r} has {each!r}"
            )
    return _without_blanks(_as_frame(pairs, "item", "attribute"))


def _as_frame(pairs: Sequence[tuple[Any, Any]], *names: str) -> pl.DataFrame:
    """Pairs as two columns of ids."""
    columns = {name: [pair[n] for pair in pairs] for n, name in enumerate(names)}
    return pl.DataFrame({n: as_series(ids, mixed=True) for n, ids in columns.items()})


def _without_blanks(frame: pl.DataFrame) -> pl.DataFrame:
    """The pairs of which neither side is an empty text or spaces."""
    for name, kind in frame.schema.items():
        if kind == pl.String:
            frame = frame.filter(pl.col(name).str.strip_chars() != "")
    return frame


def _find_column(source: str, name: str, header: Sequence[str]) -> int:
    """Index of a column, by its whole name or by that without RecBole's ``:type``.

    Raises:
        DataError: There is none, or several.
    """
    names = header if name in header else [column.split(":")[0] for column in header]
    if name not in names:
        cure = suggest(name, list(dict.fromkeys(names)))
        raise DataError(f"{source} has no column {name!r}; {cure}")
    if names.count(name) > 1:
        raise DataError(
            f"{source} has {names.count(name)} columns named {name!r}, and one is "
            f"read; its columns are {', '.join(header)}. Rename the others"
        )
    return names.index(name)


def _read(
    source: Source, item: str, attribute: str
) -> tuple[list[str], pl.DataFrame] | Table:
    """The names of the columns and the columns, or a JSON object as a mapping."""
    if source.is_parquet:
        frame = pl.read_parquet(io.BytesIO(source.read()))
        return frame.columns, frame
    suffixes = source.path.suffixes
    suffix = next((s.lower() for s in reversed(suffixes) if s.lower() != ".gz"), "")
    first = source.head(1)[0]
    if suffix == ".dat" and first.count("::") == 2:
        rows = pl.Series([decode(source.read())]).str.split("\n").explode()
        fields = rows.str.strip_chars_end("\r").str.split("::")
        fields = fields.filter(fields.list.len() == len(MOVIES))
        return MOVIES, _stripped(fields.list.to_struct(fields=MOVIES).struct.unnest())
    if suffix in (".csv", ".tsv", ".txt", ".item"):
        frame = pl.read_csv(
            source.read().lstrip(b"\r\n"),
            has_header=False,  # polars renames a name that occurs twice
            separator="," if suffix == ".csv" else "\t",
            infer_schema=False,
            encoding="utf8-lossy",
            quote_char='"' if suffix == ".csv" else None,
        )
        frame = _stripped(frame)
        if suffix != ".csv":
            frame = pl.DataFrame([unquoted(column) for column in frame])
        return [(name or "").strip() for name in frame.row(0)], frame.slice(1)
    if suffix in (".jsonl", ".ndjson"):
        frame = _read_json_lines(source, item, attribute)
        return frame.columns, frame
    table = json.loads(source.read())
    if not isinstance(table, dict):
        raise ValueError("expected one object from items to attributes")
    return table


def _stripped(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of text without the spaces around fields."""
    return frame.select(pl.all().str.strip_chars(" \t\r"))


def _read_json_lines(source: Source, item: str, attribute: str) -> pl.DataFrame:
    """JSON lines as rows.

    Where lists differ in depth, or some rows have a list and others a single value,
    which polars refuses or takes as text, each pair is a row of its own.
    """
    data = source.read()
    with contextlib.suppress(pl.exceptions.PolarsError):
        frame = pl.read_ndjson(data, infer_schema_length=None)
        if not (attribute in frame.columns and _may_hold_lists(frame[attribute])):
            return frame
    rows = [json.loads(line) for line in data.split(b"\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("expected one object a line")
    header = list(dict.fromkeys(name for row in rows for name in row))
    for name in (item, attribute):
        _find_column(source.name, name, header)
    pairs = [(row.get(item), a) for row in rows for a in _flat(row.get(attribute))]
    return _as_frame([pair for pair in pairs if None not in pair], item, attribute)


def _may_hold_lists(column: pl.Series) -> bool:
    """Whether a column holds text that looks like a list."""
    while column.dtype == pl.List:
        column = column.explode()
    return column.dtype == pl.String and bool(column.str.starts_with("[").any())


def _flat(value: Any) -> Iterator[Any]:
    """A single value, or those of a list, nested to any depth."""
    if not isinstance(value, list):
        yield value
        return
    for each in value:
        yield from _flat(each)
