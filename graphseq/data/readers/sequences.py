"""One line a user: the user, then the items, oldest first."""

import numpy as np
import polars as pl

from graphseq.data.columns import Int64s
from graphseq.data.readers.faults import Check
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError


def read_sequences(source: Source, times: Source | None = None) -> Table:
    """Read ``user item item …``, separated by blanks or tabs; the order is the time.

    A second file of the same shape may hold ``user time time …``.

    Faulty lines (no item, a user whom an earlier line had) are faulty as a whole.

    Raises:
        DataError: The second file is of another shape.
    """
    lines, numbers = _lines(source.data)
    words = lines.str.split(" ")
    user = words.list.first()
    again = (~user.is_first_distinct()).to_numpy()
    rows = np.repeat(np.arange(len(lines)), words.list.len().to_numpy() - 1)
    items = words.list.slice(1).explode()
    checks = [
        Check(
            "wrong number of columns",
            (items == "").to_numpy(),
            lambda row: "expected a user and at least one item, found 1",
        ),
        Check(
            "user stands on an earlier line too",
            again[rows],
            lambda row: f"found {user[int(rows[row])]!r}; one line holds all of a user",
        ),
    ]
    columns = {"user": user.gather(rows), "item": items}
    if times is not None:
        columns["time"] = _times(source, words, times)
    return make_table(columns, numbers[rows], checks, text_ids=False)


def _times(source: Source, words: pl.Series, times: Source) -> pl.Series:
    """The time of every item, in the order of ``words``."""
    found = _lines(times.data)[0].str.split(" ")
    rows = min(len(words), len(found))
    same = (words.list.first().head(rows) == found.list.first().head(rows)) & (
        words.list.len().head(rows) == found.list.len().head(rows)
    )
    if len(words) != len(found) or not same.all():
        raise DataError(
            f"{times.name} should hold a time for every item of {source.name}, line by "
            f"line; they have {len(found):,} and {len(words):,} lines, and differ in "
            f"users or lengths in {len(same) - same.sum():,} of them. Take files that "
            "were made together"
        )
    return found.list.slice(1).explode()


def _lines(data: bytes) -> tuple[pl.Series, Int64s]:
    """The lines that are not blank, words apart by one blank, and their numbers.

    A line of one word ends with a blank, so that every line has a second word.
    """
    text = data.decode("utf-8-sig", errors="replace").replace("\t", " ")
    lines = pl.Series([text]).str.split("\n").explode().str.strip_chars()
    if "  " in text:
        lines = lines.str.replace_all(" +", " ")
    sound = (lines != "").to_numpy()
    lines = lines.filter(sound)
    alone = ~lines.str.contains(" ", literal=True)
    lines = (lines + " ").zip_with(alone, lines) if alone.any() else lines
    return lines, np.flatnonzero(sound) + 1
