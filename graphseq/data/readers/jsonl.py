"""JSON lines: one object per line."""

import ast
import contextlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.readers.blocks import Block
from graphseq.data.readers.errors import Check
from graphseq.data.readers.formats import Columns, Layout, find_roles, find_weight
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError

LITERAL_ERRORS = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


def read_jsonl(
    source: Source, layout: Layout, columns: Columns | None
) -> Iterator[Table]:
    """Read JSON lines, or Python literals as in the full Amazon files of 2014.

    Ids are strings or numbers. A number is the id of its value: 1 and 1.0 are the id 1,
    as is the string "1"; the string "1.0" is another one.

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
    if layout.weight is not None:
        roles["weight"] = find_weight(source.name, names, layout.weight)
    fields = {role: names[index] for role, index in roles.items()}
    for block in source.blocks():
        if block.data.strip():
            yield _table(block, fields)


@dataclass(frozen=True)
class Records:
    """The requested fields of the lines of a block.

    Attributes:
        frame: The fields as text, (E rows).
        numbers: Line numbers, (E,).
        broken: Lines that are not objects, (E,).
        odd: Lines with an id that is neither a string nor a finite number, (E,).
        not_utf8: Lines with bytes that are not UTF-8, or half a surrogate pair, in a
            requested field, (E,).
    """

    frame: pl.DataFrame
    numbers: Int64s
    broken: Mask
    odd: Mask
    not_utf8: Mask


def _table(block: Block, fields: dict[str, str]) -> Table:
    names = list(dict.fromkeys(fields.values()))
    ids = [fields["user"], fields["item"]]
    try:
        frame = pl.read_ndjson(block.data, schema=dict.fromkeys(names, pl.String))
        if frame.height != block.height:
            raise pl.exceptions.ComputeError("blank lines shift the line numbers")
        numbers = np.arange(block.first, block.first + frame.height)
        none = np.zeros(frame.height, dtype=np.bool_)
        records = _check_ids(block, Records(frame, numbers, none, none, none), ids)
    except pl.exceptions.ComputeError:
        records = _line_by_line(block, names, ids)

    def found(row: int) -> str:
        return f"found {block.line(int(records.numbers[row]))!r:.60}"

    checks = [
        Check("not a JSON object", records.broken, found),
        Check(
            "bytes that are not UTF-8", records.not_utf8, lambda row: "save it as UTF-8"
        ),
        Check("an id is neither a string nor a number", records.odd, found),
    ]
    raw = {role: records.frame[name] for role, name in fields.items()}
    return make_table(raw, records.numbers, checks)


def _check_ids(block: Block, records: Records, ids: list[str]) -> Records:
    """Parse the lines again whose ids, as text, may be values of another type.

    polars writes lists, objects and booleans as text, and half a surrogate pair as a
    character 0.
    """
    text = pl.col(ids)
    doubtful = text.str.contains(r"^[\[{]|^true$|^false$|\x00").fill_null(False)
    rows = records.frame.select(pl.any_horizontal(doubtful)).to_series().arg_true()
    if not len(rows):
        return records
    lines = block.data.split(b"\n")
    few = [lines[row] for row in rows.to_list()]
    again = _line_by_line(Block(b"\n".join(few), 1), records.frame.columns, ids)
    odd, not_utf8 = np.zeros((2, records.frame.height), dtype=np.bool_)
    odd[rows.to_numpy()], not_utf8[rows.to_numpy()] = again.odd, again.not_utf8
    return replace(records, odd=odd, not_utf8=not_utf8)


def _line_by_line(block: Block, names: list[str], ids: list[str]) -> Records:
    """Parse what polars rejects; slow."""
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    numbers: list[int] = []
    broken: list[bool] = []
    odd: list[bool] = []
    not_utf8: list[bool] = []
    for number, line in enumerate(block.data.split(b"\n"), block.first):
        if not line.strip():
            continue
        record = parse_object(line.decode("utf-8", errors="surrogateescape"))
        values = {name: (record or {}).get(name) for name in names}
        texts = {name: _as_text(value) for name, value in values.items()}
        numbers.append(number)
        broken.append(record is None)
        odd.append(any(not _is_id(values[name]) for name in ids))
        not_utf8.append(any(not _is_unicode(text) for text in texts.values()))
        for name, text in texts.items():
            columns[name].append(text if _is_unicode(text) else "\ufffd")
    frame = pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))
    masks = (np.array(mask, dtype=np.bool_) for mask in (broken, odd, not_utf8))
    return Records(frame, np.array(numbers, dtype=np.int64), *masks)


def _is_id(value: Any) -> bool:
    """Whether a value is a string or a finite number, or missing."""
    if isinstance(value, float):
        return bool(np.isfinite(value))
    is_text = value is None or isinstance(value, str)
    return is_text or (isinstance(value, int) and not isinstance(value, bool))


def _is_unicode(text: str | None) -> bool:
    """Whether a text has no half of a surrogate pair."""
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_text(value: Any) -> str | None:
    """A value as text, as polars writes it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and np.isfinite(value):
        return f"{Decimal(repr(value)).normalize():f}"
    return str(value)


def parse_object(line: str) -> dict[str, Any] | None:
    """A line as an object, JSON or a Python literal; None if it is neither."""
    found: Any = None
    try:
        found = json.loads(line, object_pairs_hook=_first_values)
    except RecursionError:
        return None
    except ValueError:
        if "'" not in line:
            return None
        with contextlib.suppress(*LITERAL_ERRORS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on escapes such as "\\d"
            found = ast.literal_eval(line.strip())
    return found if isinstance(found, dict) else None


def _first_values(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of a field that occurs twice the first value, as polars reads it."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found
