"""Item attributes, from a mapping or a file, as pairs of item and attribute."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from graphseq.data.datasets import data_folders
from graphseq.data.ids import as_series
from graphseq.data.readers.source import Source, open_source
from graphseq.errors import DataError, suggest

Table = Mapping[str | int, Sequence[str | int | None]]
"""Raw item id -> raw ids of its attributes."""


def read_attributes(
    path: str | Path,
    *,
    item: str = "item",
    attribute: str = "attribute",
    root: str | Path | None = None,
) -> pl.DataFrame:
    """Read pairs of item and attribute from a file.

    Args:
        path: JSON (one object, item to list of attributes); or JSON lines, CSV, TSV or
            Parquet with one row per item, holding a list, or one row per pair. Plain or
            gzip.
        item: Column of the items; ignored for a JSON object.
        attribute: Column of the attributes, or of lists of them, nested to any depth.
        root: Folder of a relative path; ``None`` searches GRAPHSEQ_DATA, the cache of
            ``graphseq get`` and the current folder, in this order.

    Returns:
        Columns item and attribute, strings or integers, in the order of the file.

    Raises:
        DataError: The file does not exist, or is not a table of attributes.
    """
    file = Path(path)
    folders = [Path(root)] if root is not None else [*data_folders(), Path()]
    found = (f / file for f in folders if (f / file).is_file())
    source = open_source(next(found, folders[-1] / file))
    try:
        frame = _read(source)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise DataError(
            f"{source.name} cannot be read as a table of attributes: {error}. Save it "
            "as JSON, JSON lines, CSV, TSV or Parquet, with the usual file extension"
        ) from error
    if not isinstance(frame, pl.DataFrame):
        return pairs_of(frame)
    for column in (item, attribute):
        if column not in frame.columns:
            cure = suggest(column, frame.columns)
            raise DataError(f"{source.name} has no column {column!r}; {cure}")
    frame = frame.select(item=item, attribute=attribute)
    while isinstance(frame.schema["attribute"], pl.List | pl.Array):
        frame = frame.explode("attribute")
    frame = frame.drop_nulls()
    return frame.select(as_series(frame[name]).alias(name) for name in frame.columns)


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
    if suffix in (".csv", ".tsv", ".txt"):
        separator = "," if suffix == ".csv" else "\t"
        return pl.read_csv(source.read(), separator=separator, infer_schema=False)
    if suffix in (".jsonl", ".ndjson"):
        return pl.read_ndjson(source.read(), infer_schema_length=None)
    table = json.loads(source.read())
    if not isinstance(table, dict):
        raise ValueError("expected one object from items to attributes")
    return table
