"""Read a log in one of the known formats, and estimate its size."""

import difflib
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from graphseq.data.interactions import Interactions
from graphseq.data.readers.delimited import read_delimited
from graphseq.data.readers.errors import OnError
from graphseq.data.readers.formats import (
    LAYOUTS,
    Columns,
    Layout,
    check_columns,
    recognise,
)
from graphseq.data.readers.jsonl import read_records
from graphseq.data.readers.parquet import read_parquet
from graphseq.data.readers.sequences import read_sequences, split_lines
from graphseq.data.readers.source import Block, Source, is_packed, open_source
from graphseq.data.readers.table import Table, gather
from graphseq.errors import DataError
from graphseq.schema import check_choices


def read_log(
    path: str | Path,
    *,
    format: str | None = None,
    columns: Columns | None = None,
    separator: str | None = None,
    times: str | Path | None = None,
    on_error: OnError = "raise",
) -> Interactions:
    """Read a log of interactions; plain or gzip, whatever its name. It is not changed.

    The file is read in blocks: what it takes is memory for the events and the ids that
    it holds, however long its lines are.

    Users and items are numbered by first appearance in the file; events are sorted
    by user, then time, and keep the file's order where times tie.

    >>> log = read_log("ratings.csv", columns={"user": "who", "item": "what",
    ...                                        "time": "when"})  # doctest: +SKIP

    Args:
        path: The file.
        format: One of ``LAYOUTS``: sequences, csv, tsv, parquet, jsonl, amazon,
            amazon-2023, yelp, movielens, movielens-1m, movielens-100k, gowalla,
            diginetica, recbole. ``None`` goes by the file's first lines.
        columns: Column of the user, the item and the time: by name if the first line
            names them, else by position from 0. Without ``time`` the order of the rows
            is the order of events. ``None`` takes the format's own, or usual names.
        separator: Between the columns of a csv that has other than commas.
        times: For sequences, a file of the same shape, ``user time time …``, with the
            time of every item.
        on_error: "skip" leaves faulty lines out, warns once and counts them in
            ``Interactions.skipped``; "raise" tells up to ten of them.

    Raises:
        DataError: The file cannot be opened, its format is not recognised, a column
            is not there, or lines are faulty.
        OptionError: ``on_error`` is neither.
    """
    check_choices(read_log, {"on_error": on_error})
    if columns is not None:
        check_columns(columns)
    source = open_source(path)
    layout = layout_of(source, format, columns, separator)
    if times is not None and layout.kind != "sequences":
        raise DataError(
            "times= is a second file beside sequences; name the time among columns="
        )
    beside = None if times is None else open_source(times)
    found = gather(
        lambda: _read(source, layout, columns, beside),
        source.name,
        "row" if layout.kind == "parquet" else "line",
        layout.text_ids,
    )
    skipped = found.faults.settle(on_error)
    return found.interactions(skipped)


def layout_of(
    source: Source, format: str | None, columns: Columns | None, separator: str | None
) -> Layout:
    """The layout that the options name, or else the one that the file looks like."""
    if format is None and separator is None:
        format = recognise(source) if columns is None else _by_columns(source)
    name = format or "csv"
    if name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, n=1)
        cure = f" (did you mean {near[0]!r}?)" if near else ""
        raise DataError(
            f"there is no format {name!r}{cure}. The formats are {', '.join(LAYOUTS)}"
        )
    layout = LAYOUTS[name]
    if separator is None:
        return layout
    if layout.kind != "delimited" or len(separator) != 1:
        raise DataError(
            f"separator={separator!r} is one sign between the columns of a csv; found "
            f"format={name!r}"
        )
    return replace(layout, separator=separator)


def _by_columns(source: Source) -> str:
    """The kind of file, where the columns are said already."""
    if source.is_parquet:
        return "parquet"
    first = source.head(1)[0]
    if first.lstrip().startswith("{"):
        return "jsonl"
    return "tsv" if first.count("\t") > first.count(",") else "csv"


def _read(
    source: Source, layout: Layout, columns: Columns | None, times: Source | None
) -> Iterator[Table]:
    if layout.kind == "sequences":
        if columns is not None:
            raise DataError("format='sequences' has no columns to name: leave columns=")
        return read_sequences(source, times)
    if layout.kind == "delimited":
        return read_delimited(source, layout, columns)
    if layout.kind == "records":
        return read_records(source, layout, columns)
    return read_parquet(source, columns)


def count_about(path: str | Path, format: str | None = None) -> int | None:
    """About how many events a file holds, judged by its first lines and its size.

    Exact for Parquet; for gzip, how well its first lines pack counts for all of it.

    Args:
        path: The file.
        format: As for :func:`graphseq.data.read_log`.

    Returns:
        The number, or ``None`` if the file cannot be opened.
    """
    try:
        source = open_source(path)
        if source.is_parquet:
            return int(pl.scan_parquet(path).select(pl.len()).collect().item())
    except (DataError, pl.exceptions.PolarsError):
        return None
    start = source.start[: source.start.rfind(b"\n") + 1] or source.start
    size = source.path.stat().st_size
    if is_packed(source.path):
        size = size * len(start) // len(zlib.compress(start))
    try:
        kind = LAYOUTS[format or recognise(source)].kind
    except (DataError, KeyError):  # a table whose columns are said
        kind = "delimited"
    block = Block(start, 1)
    if kind == "sequences":
        words = split_lines(block).words
        events = int(words.list.len().sum()) - len(words)
    else:
        events = block.height
    return size * events // len(start)
