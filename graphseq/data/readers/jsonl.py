"""JSON lines: one object per line."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.readers.errors import Check
from graphseq.data.readers.formats import Columns, Layout, find_roles, parse_object
from graphseq.data.readers.source import Block, Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError


def read_jsonl(
    source: Source, layout: Layout, columns: Columns | None
) -> Iterator[Table]:
    """Read JSON lines, or Python literals as in the full Amazon files of 2014.

    Raises:
        DataError: The first object lacks a requested field.
    """
    line = source.head(1)[0]
    first = parse_object(line)
    if first is None:
        raise DataError(
            f"{source.name} does not begin with a JSON object; its first line is "
            f"{line!r:.120}. Check the format"
        )
    names = [str(name) for name in first]
    roles = find_roles(source.name, names, columns or layout.columns or None)
    fields = {role: names[index] for role, index in roles.items()}
    for block in source.blocks():
        if block.data.strip():
            yield _table(block, fields)


def _table(block: Block, fields: dict[str, str]) -> Table:
    schema = {name: pl.String for name in fields.values()}
    try:
        frame = pl.read_ndjson(block.data, schema=schema)
        if frame.height != block.height:
            raise pl.exceptions.ComputeError("blank lines shift the line numbers")
        numbers = np.arange(block.first, block.first + frame.height)
        broken = np.zeros(frame.height, dtype=np.bool_)
    except pl.exceptions.ComputeError:
        frame, numbers, broken = _line_by_line(block, list(schema))
    check = Check(
        "not a JSON object",
        broken,
        lambda row: f"found {block.line(int(numbers[row]))!r:.60}",
    )
    raw = {role: frame[name] for role, name in fields.items()}
    return make_table(raw, numbers, [check])


def _line_by_line(block: Block, names: list[str]) -> tuple[pl.DataFrame, Int64s, Mask]:
    """Parse what polars rejects: values, line numbers, and malformed lines; slow."""
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    numbers, broken = [], []
    for number, line in enumerate(block.data.split(b"\n"), block.first):
        if not line.strip():
            continue
        record = parse_object(line.decode("utf-8", errors="replace"))
        numbers.append(number)
        broken.append(record is None)
        for name, values in columns.items():
            values.append(_as_text((record or {}).get(name)))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))
    return frame, np.array(numbers, dtype=np.int64), np.array(broken, dtype=np.bool_)


def _as_text(value: Any) -> str | None:
    """A value as text, as polars writes it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and np.isfinite(value):
        return f"{Decimal(repr(value)).normalize():f}"
    return json.dumps(value, ensure_ascii=False, default=str)
