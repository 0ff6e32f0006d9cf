"""Read a log in one of the known formats, or estimate its number of events."""

import difflib
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from graphseq.data.interactions import Interactions
from graphseq.data.readers.blocks import Block, is_gzip
from graphseq.data.readers.delimited import read_delimited
from graphseq.data.readers.detection import detect_format, refuse_json_array
from graphseq.data.readers.errors import PARSER_ERRORS, OnError, parser_errors
from graphseq.data.readers.formats import (
    LAYOUTS,
    Columns,
    Layout,
    check_columns,
)
from graphseq.data.readers.jsonl import read_jsonl
from graphseq.data.readers.parquet import read_parquet
from graphseq.data.readers.sequences import read_sequences, split_words
from graphseq.data.readers.source import Source, open_source
from graphseq.data.readers.table import Table, combine
from graphseq.errors import DataError
from graphseq.runtime import timed
from graphseq.schema import checked

ESCAPES = {"\\t": "\t", "tab": "\t"}  # separators as they are typed in a shell


@checked
def read_log(
    path: str | Path,
    *,
    format: str | None = None,
    columns: Columns | None = None,
    separator: str | None = None,
    times: str | Path | None = None,
    weight: str | int | None = None,
    on_error: OnError = "raise",
) -> Interactions:
    r"""Read a log of interactions, plain or gzip. The file is not changed.

    The file is read in blocks: memory is needed for its events and ids only, however
    long its lines are.

    Users and items are numbered by first appearance in the file; events are sorted by
    user, then time, and keep the order of the file where times tie.

    Times keep the unit of the file; dates become unix seconds. If any time has a
    fraction of that unit, all times are in the coarsest unit, 1,000, 10^6 or 10^9 times
    finer, that holds the fractions: ISO times with milliseconds become milliseconds.

    >>> log = read_log("ratings.csv", columns={"user": "buyer", "item": "product",
    ...                                        "time": "date"})  # doctest: +SKIP

    Args:
        path: The file; ``-`` or a pipe; or a folder or a pattern of Parquet files.
        format: One of ``LAYOUTS``: sequences, pairs, csv, tsv, parquet, jsonl, amazon,
            amazon-2023, yelp, movielens, movielens-1m, movielens-100k, gowalla,
            diginetica, recbole. ``None`` detects it from the first lines.
        columns: Column of the user, the item and the time: a name if the file has a
            header, else an index from 0. Without ``time`` the order of the rows is the
            order of events. ``None`` uses those of the format, or the usual names.
        separator: Field separator of a csv, if it is not a comma: one character, or
            ``\t`` for a tab.
        times: For sequences, a parallel file ``user time time …`` with the time of
            each item.
        weight: Column of a weight of each event, such as a rating or a number of
            plays: a name, or an index from 0 if the file has no header.
        on_error: "skip" skips malformed lines with a warning and counts them in
            ``Interactions.skipped``; "raise" reports up to ten of them.

    Raises:
        DataError: The file cannot be opened, its format is not detected, a column does
            not exist, or lines are malformed.
        OptionError: ``on_error`` is neither "raise" nor "skip".
    """
    if columns is not None:
        check_columns(columns)
    source = open_source(path)
    layout = choose_layout(source, format, columns, separator)
    if times is not None and layout.kind != "sequences":
        raise DataError(
            "times= is a file parallel to sequences. For other formats, name the time "
            "in columns="
        )
    if weight is not None and layout.kind == "sequences":
        raise DataError(
            f"weight={weight!r} names a column, and a log of sequences has none. Write "
            "the log as one row an event, such as CSV"
        )
    layout = replace(layout, weight=weight)
    parallel = None if times is None else open_source(times)
    with (
        timed(__name__, f"read {source.name} as {layout.kind}"),
        parser_errors(source.name, "Check the format and the columns"),
    ):
        combined = combine(
            lambda: _tables(source, layout, columns, parallel),
            source.name,
            "row" if layout.kind == "parquet" else "line",
            layout.text_ids,
        )
    skipped = combined.malformed.finish(on_error)
    return combined.take(skipped)


def choose_layout(
    source: Source, format: str | None, columns: Columns | None, separator: str | None
) -> Layout:
    """The layout of the requested format, or of the detected one.

    Raises:
        DataError: The format is unknown, or does not go with the other options.
    """
    separator = ESCAPES.get(separator or "", separator)
    if LAYOUTS[format].kind == "jsonl" if format in LAYOUTS else True:
        refuse_json_array(source)
    if format is None and separator is None:
        format = detect_format(source) if columns is None else _table_format(source)
    name = format or "csv"
    if name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise DataError(
            f"unknown format {name!r}{hint}. The formats are {', '.join(LAYOUTS)}"
        )
    layout = LAYOUTS[name]
    if source.is_parquet != (layout.kind == "parquet"):
        kind = "is Parquet" if source.is_parquet else "is not Parquet"
        option = "--format parquet" if source.is_parquet else "--format csv, jsonl, …"
        raise DataError(
            f"{source.name} {kind}, and would be read as {name}. Name its format: "
            f"{option} (without one, an update uses that of the build)"
        )
    if layout.kind == "sequences" and columns is not None:
        raise DataError("the format sequences has no columns to name: omit columns=")
    if separator is None:
        return layout
    if layout.kind != "delimited" or not is_separator(separator):
        raise DataError(
            f"separator={separator!r} must be one character, of a csv, and neither a "
            "letter, a digit, a quotation mark nor a line end; found "
            f"format={name!r}. Omit one of the two"
        )
    return replace(layout, separator=separator)


def is_separator(text: str) -> bool:
    """Whether a text can separate fields: one byte that does not occur in ids."""
    return len(text.encode()) == 1 and not text.isalnum() and text not in '"\r\n\0'


def _table_format(source: Source) -> str:
    """The format of a file whose columns are given."""
    if source.is_parquet:
        return "parquet"
    first = source.head(1)[0]
    if first.lstrip().startswith("{"):
        return "jsonl"
    return "tsv" if first.count("\t") > first.count(",") else "csv"


def _tables(
    source: Source, layout: Layout, columns: Columns | None, times: Source | None
) -> Iterator[Table]:
    if layout.kind == "sequences":
        return read_sequences(source, times)
    if layout.kind == "delimited":
        return read_delimited(source, layout, columns)
    if layout.kind == "jsonl":
        return read_jsonl(source, layout, columns)
    return read_parquet(source, columns, layout.weight)


def estimate_events(path: str | Path, format: str | None = None) -> int | None:
    """Estimate the number of events in a file from its first lines and its size.

    Exact for Parquet; for gzip, the compression ratio of the first lines is assumed for
    all of it.

    Args:
        path: The file.
        format: As for :func:`read_log`.

    Returns:
        The number, or ``None`` if the file cannot be opened.
    """
    if not (Path(path).is_file() or Path(path).is_dir()):  # a pipe is read only once
        return None
    try:
        source = open_source(path)
        if source.is_parquet:
            files = list(source.parts) or [source.file]
            rows = pl.scan_parquet(files, glob=False).select(pl.len())
            return int(rows.collect().item())
    except (DataError, *PARSER_ERRORS):
        return None
    start = source.start[: source.start.rfind(b"\n") + 1] or source.start
    size = source.path.stat().st_size
    if is_gzip(source.path):
        size = size * len(start) // len(zlib.compress(start))
    try:
        kind = LAYOUTS[format or detect_format(source)].kind
    except (DataError, KeyError):  # a table whose columns are given
        kind = "delimited"
    block = Block(start, 1)
    if kind == "sequences":
        words = split_words(block).words
        events = int(words.list.len().sum()) - len(words)
    else:
        events = block.height
    return size * events // len(start)
