"""Which item has which attributes, read from a mapping or from a file."""

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
"""Raw id of an item to the raw ids of its attributes."""


def read_attributes(
    path: str | Path,
    *,
    item: str = "item",
    attribute: str = "attribute",
    root: str | Path | None = None,
) -> pl.DataFrame:
    """Pairs of an item and one of its attributes, as a file gives them.

    Args:
        path: JSON (one object, item to list of attributes); or JSON lines, CSV, TSV or
            Parquet with a row for each item, holding a list, or for each pair. Plain or
            gzip.
        item: Column of the items; a JSON object needs none.
        attribute: Column of the attributes, or of lists of them, however deep.
        root: Folder from which a relative path counts; ``None`` is the environment's
            GRAPHSEQ_DATA, the cache of ``graphseq get``, or the current folder: the
            first that has the file.

    Returns:
        Columns item and attribute, strings or integers, in the order of the file.

    Raises:
        DataError: There is no such file, or it is no such table.
    """
    source = open_source(_find(Path(path), root))
    try:
        frame = _read(source)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise DataError(
            f"{source.name} cannot be read as a table of attributes: {error}. JSON, "
            "JSON lines, CSV, TSV and Parquet are read, told apart by their ending"
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
    """A mapping from items to attributes as pairs: columns item and attribute.

    An attribute that is ``None`` is left out.

    Raises:
        DataError: The attributes of an item are not a list.
    """
    for name, owned in table.items():
        if isinstance(owned, str) or not isinstance(owned, Sequence):
            raise DataError(
                f"the attributes of an item are a list; item {name!r} has {owned!r}"
            )
    pairs = [(name, a) for name, owned in table.items() for a in owned if a is not None]
    items, attributes = [name for name, _ in pairs], [a for _, a in pairs]
    return pl.DataFrame(
        {
            "item": as_series(items, mixed=True),
            "attribute": as_series(attributes, mixed=True),
        }
    )


def _read(source: Source) -> pl.DataFrame | Table:
    """The file as columns; a JSON object as it is."""
    if source.is_parquet:
        return pl.read_parquet(io.BytesIO(source.read()))
    endings = source.path.suffixes
    ending = next((e for e in reversed(endings) if e != ".gz"), "")
    if ending in (".csv", ".tsv", ".txt"):
        separator = "," if ending == ".csv" else "\t"
        return pl.read_csv(source.read(), separator=separator, infer_schema=False)
    if ending in (".jsonl", ".ndjson"):
        return pl.read_ndjson(source.read(), infer_schema_length=None)
    table = json.loads(source.read())
    if not isinstance(table, dict):
        raise ValueError("it holds no object from item to attributes")
    return table


def _find(path: Path, root: str | Path | None) -> Path:
    """Where a file lies."""
    places = [Path(root)] if root is not None else [*data_folders(), Path()]
    return next((p / path for p in places if (p / path).is_file()), places[-1] / path)
