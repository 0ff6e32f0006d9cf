"""How many events a file holds, about, without reading all of it."""

import zlib
from pathlib import Path

import polars as pl

from graphseq.data.readers.blocks import Block, is_packed
from graphseq.data.readers.layouts import LAYOUTS
from graphseq.data.readers.lines import split_lines
from graphseq.data.readers.recognise import recognise
from graphseq.data.readers.source import open_source
from graphseq.errors import DataError


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
