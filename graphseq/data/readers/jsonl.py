"""One JSON object a line."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.readers.errors import Check
from graphseq.data.readers.formats import Columns, Layout, find_roles, parse_record
from graphseq.data.readers.source import Block, Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError


def read_records(
    source: Source, layout: Layout, columns: Columns | None
) -> Iterator[Table]:
    """Read JSON lines; Python literals too, as in the full Amazon files of 2014.

    Raises:
        DataError: The first record lacks a field that is asked for.
    """
    first = parse_record(source.head(1)[0])
    if first is None:
        raise DataError(
            f"{source.name} does not begin with a JSON object; its first line is "
            f"{source.head(1)[0]!r:.120}. Name its format="
        )
    names = [str(name) for name in first]
    places = find_roles(source.name, names, columns or layout.columns or None)
    fields = {role: names[place] for role, place in places.items()}
    for block in source.blocks():
        if block.data.strip():
            yield _table(block, fields)


def _table(block: Block, fields: dict[str, str]) -> Table:
    schema = {name: pl.String for name in fields.values()}
    try:
        frame = pl.read_ndjson(block.data, schema=schema)
        if frame.height != block.height:
            raise pl.exceptions.ComputeError("blank lines shift the numbers")
        numbers = np.arange(block.first, block.first + frame.height)
        broken = np.zeros(frame.height, dtype=np.bool_)
    except pl.exceptions.ComputeError:
        frame, numbers, broken = _one_by_one(block, list(schema))
    check = Check(
        "not a JSON object",
        broken,
        lambda row: f"found {block.line(int(numbers[row]))!r:.60}",
    )
    raw = {role: frame[name] for role, name in fields.items()}
    return make_table(raw, numbers, [check])


def _one_by_one(block: Block, names: list[str]) -> tuple[pl.DataFrame, Int64s, Mask]:
    """For lines that polars refuses: slow, but knows every line's number and fault."""
    kept: dict[str, list[str | None]] = {name: [] for name in names}
    numbers, broken = [], []
    for number, line in enumerate(block.data.split(b"\n"), block.first):
        if not line.strip():
            continue
        record = parse_record(line.decode("utf-8", errors="replace"))
        numbers.append(number)
        broken.append(record is None)
        for name, values in kept.items():
            values.append(_spelt((record or {}).get(name)))
    frame = pl.DataFrame(kept, schema=dict.fromkeys(names, pl.String))
    return frame, np.array(numbers, dtype=np.int64), np.array(broken, dtype=np.bool_)


def _spelt(value: Any) -> str | None:
    """A value as text, as polars spells it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and np.isfinite(value):
        return f"{Decimal(repr(value)).normalize():f}"
    return json.dumps(value, ensure_ascii=False, default=str)
