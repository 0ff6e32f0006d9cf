"""One line a user: the user, then the items, oldest first."""

import numpy as np
import polars as pl

from graphseq.data.columns import Int64s
from graphseq.data.readers.faults import Check
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table


def read_sequences(source: Source) -> Table:
    """Read ``user item item …``, separated by blanks or tabs; the order is the time.

    Faulty lines (no item, a user whom an earlier line had) are faulty as a whole.
    """
    lines, numbers = _lines(source.data)
    words = lines.str.split(" ")
    lengths = words.list.len().to_numpy().astype(np.int64) - 1
    user = words.list.first()
    again = (~user.is_first_distinct()).to_numpy()
    empty = lengths < 1
    # A line without items still gives one row, so that its fault has a place.
    rows = np.repeat(np.arange(len(lines)), np.maximum(lengths, 1))
    items = words.list.slice(1).explode(empty_as_null=True, keep_nulls=True)
    checks = [
        Check(
            "wrong number of columns",
            empty[rows],
            lambda row: "expected a user and at least one item, found 1",
        ),
        Check(
            "user stands on an earlier line too",
            again[rows],
            lambda row: f"found {user[int(rows[row])]!r}; one line holds all of a user",
        ),
    ]
    columns = {"user": user.gather(rows), "item": items}
    return make_table(columns, numbers[rows], checks, text_ids=False)


def _lines(data: bytes) -> tuple[pl.Series, Int64s]:
    """The lines that are not blank, words apart by one blank, and their numbers."""
    text = data.decode("utf-8-sig", errors="replace").replace("\t", " ")
    lines = pl.Series([text]).str.split("\n").explode().str.strip_chars()
    if "  " in text:
        lines = lines.str.replace_all(" +", " ")
    sound = (lines != "").to_numpy()
    return lines.filter(sound), np.flatnonzero(sound) + 1
