"""Quotation marks in delimited text: the lines of each row, and misplaced marks."""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.readers.blocks import Block, decode

QUOTED = r'"(?:[^"]|"")*"'


@dataclass(frozen=True)
class Rows:
    """The lines of a block, grouped into rows.

    Attributes:
        block: The lines; one with a misplaced mark is without its marks.
        starts: Index of the line on which each row begins, (R,).
        misplaced: Rows with a misplaced mark, of one line each, (R,).
    """

    block: Block
    starts: Int64s
    misplaced: Mask


def lines_as_rows(block: Block) -> Rows:
    """Each line as a row."""
    starts = np.arange(block.height)
    return Rows(block, starts, np.zeros(len(starts), dtype=np.bool_))


def find_rows(block: Block, separator: str) -> Rows:
    """Group lines into rows, whose quoted fields may contain line breaks.

    Marks enclose a whole field, apart from spaces around it, and a mark inside it is
    doubled; in a field that begins otherwise a mark is a character. Any other mark,
    such as one that is never closed, is misplaced. A line with a misplaced mark is a
    row of its own, so that no other line is lost with it.

    Args:
        block: Whole lines.
        separator: Separator of one byte.
    """
    lines = pl.Series("line", [decode(block.data).removesuffix("\n")])
    lines = lines.str.split("\n").explode()
    marks = lines.str.count_matches('"', literal=True).to_numpy()
    inside = np.cumsum(marks, dtype=np.int64) % 2 == 1  # a field, after the line
    begins = np.concatenate([[True], ~inside[:-1]])
    rows = lines
    if not begins.all():
        frame = pl.DataFrame({"line": lines, "row": np.cumsum(begins)})
        grouped = frame.group_by("row", maintain_order=True).agg("line")
        rows = grouped["line"].list.join("\n")
    rows = rows.filter(rows.str.contains('"', literal=True))
    sign = re.escape(separator)
    field = rf'(?:{QUOTED}|[^"{sign}\n]*)'
    if inside[-1] or not rows.str.contains(rf"\A{field}({sign}{field})*\r?\z").all():
        return _repaired(block, separator)
    starts = np.flatnonzero(begins)
    return Rows(block, starts, np.zeros(len(starts), dtype=np.bool_))


def _repaired(block: Block, separator: str) -> Rows:
    """The rows of a block some of whose marks are misplaced or characters; slow."""
    sign = re.escape(separator)
    quoted = rf'[ \t]*"(?:[^"]++|"")*+"[ \t]*(?={sign}|\r?\Z)'
    plain = rf'[^"{sign}\n][^{sign}\n]*+'
    field = rf"(?:{quoted}|{plain}|)"
    row = re.compile(rf"{field}(?:{sign}{field})*+\r?".encode())
    fields = re.compile(rf"{quoted}|({plain})".encode())
    lines = block.data.removesuffix(b"\n").split(b"\n")
    begins = np.ones(len(lines), dtype=np.bool_)
    misplaced = np.zeros(len(lines), dtype=np.bool_)
    marked = [number for number, line in enumerate(lines) if b'"' in line]
    closing = dict(pairwise(n for n in marked if lines[n].count(b'"') % 2))
    for first in marked:
        if not begins[first]:
            continue
        for last in (first, closing.get(first, first)):
            whole = b"\n".join(lines[first : last + 1])
            if row.fullmatch(whole):
                lines[first : last + 1] = _quoted(whole, fields).split(b"\n")
                begins[first + 1 : last + 1] = False
                break
        else:
            misplaced[first] = True
            lines[first] = lines[first].replace(b'"', b"")
    found = Block(b"\n".join(lines) + b"\n", block.first)
    return Rows(found, np.flatnonzero(begins), misplaced[begins])


def _quoted(row: bytes, fields: re.Pattern[bytes]) -> bytes:
    """A row in which fields that contain marks are quoted, without spaces around."""

    def quote(field: re.Match[bytes]) -> bytes:
        text = field[0]
        if field[1] is None:
            return text.strip(b" \t")
        if b'"' not in text:
            return text
        at_end = field.end() == len(row) and text.endswith(b"\r")
        body = text.removesuffix(b"\r") if at_end else text
        return b'"' + body.replace(b'"', b'""') + b'"' + b"\r" * at_end

    return fields.sub(quote, row)
