"""One line a user: the user, then the items, oldest first."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from graphseq.data.columns import Mask
from graphseq.data.readers.beside import Beside
from graphseq.data.readers.faults import Check
from graphseq.data.readers.lines import PARTS, Lines, split_lines
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table


def read_sequences(source: Source, times: Source | None = None) -> Iterator[Table]:
    """Read ``user item item …``, separated by blanks or tabs; the order is the time.

    A second file of the same shape may hold ``user time time …``.

    Faulty lines (no item, a user whom an earlier line had) are faulty as a whole.

    Raises:
        DataError: The second file is of another shape.
    """
    beside = None if times is None else Beside(times)
    repeated = None
    for block in source.blocks(parts=PARTS):
        lines = split_lines(block)
        if block.first > 1 and repeated is None:
            repeated = _repeated(source)
        again = _again(lines, repeated)
        if beside is None:
            yield _table(lines, again)
        elif (found := beside.take(lines)) is not None:
            yield _table(lines, again, found)
    if beside is not None:
        beside.check(source.name)


def _table(lines: Lines, again: Mask, times: pl.Series | None = None) -> Table:
    words, user = lines.words, lines.users
    rows = np.repeat(np.arange(len(words)), words.list.len().to_numpy() - 1)
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
        columns["time"] = times.list.slice(1).explode()
    return make_table(columns, lines.numbers[rows], checks)


def _again(lines: Lines, repeated: pl.DataFrame | None) -> Mask:
    """Lines whose user stands on an earlier one, (L,).

    Args:
        lines: Of one block.
        repeated: Users of several lines and the ``first`` of them, for the whole file;
            ``None`` in the first block, which none precedes.
    """
    if repeated is None:
        return (~lines.users.is_first_distinct()).to_numpy()
    users = lines.users.alias("user").to_frame()
    first = users.join(repeated, on="user", how="left", maintain_order="left")["first"]
    return first.fill_null(np.iinfo(np.int64).max).to_numpy() < lines.numbers


def _repeated(source: Source) -> pl.DataFrame:
    """Users that stand on several lines of a file, and the first of these lines."""
    parts = [
        pl.DataFrame({"user": lines.users, "first": lines.numbers})
        for lines in map(split_lines, source.blocks(parts=PARTS))
    ]
    every = pl.concat(parts)
    several = every.filter(every["user"].is_duplicated())
    return several.unique("user", keep="first", maintain_order=True)
