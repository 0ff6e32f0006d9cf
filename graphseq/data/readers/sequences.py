"""Sequence files, one line a user, and their parallel files of timestamps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.readers.errors import Check
from graphseq.data.readers.source import Block, Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError

PARTS = 4  # into which a block is cut: an event is but a word of it


@dataclass(frozen=True)
class Lines:
    """The lines of a block that are not blank.

    Attributes:
        words: Of every line; a line of one word has an empty second one, (L,).
        numbers: Of the lines in the file, (L,).
    """

    words: pl.Series
    numbers: Int64s

    @property
    def users(self) -> pl.Series:
        """The first word of every line, (L,)."""
        return self.words.list.first()


def split_lines(block: Block) -> Lines:
    """The words of a block, between blanks or tabs."""
    text = block.data.decode("utf-8", errors="replace").replace("\t", " ")
    lines = pl.Series([text]).str.split("\n").explode().str.strip_chars()
    if "  " in text:
        lines = lines.str.replace_all(" +", " ")
    sound = (lines != "").to_numpy()
    lines = lines.filter(sound)
    alone = ~lines.str.contains(" ", literal=True)
    lines = (lines + " ").zip_with(alone, lines) if alone.any() else lines
    return Lines(lines.str.split(" "), np.flatnonzero(sound) + block.first)


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


class Beside:
    """The times beside sequences: ``user time time …``, as many lines as asked for.

    Args:
        source: The file of times.
    """

    def __init__(self, source: Source) -> None:
        self._name = source.name
        self._blocks = map(split_lines, source.blocks(parts=PARTS))
        self._left = pl.Series(dtype=pl.List(pl.String))
        self._found = self._asked = self._differ = 0

    def take(self, lines: Lines) -> pl.Series | None:
        """The words of the next lines, (L,); ``None`` if they cannot be these."""
        words = self._next(len(lines.words))
        rows = len(words)
        self._found += rows
        self._asked += len(lines.words)
        same = (lines.users.head(rows) == words.list.first()) & (
            lines.words.list.len().head(rows) == words.list.len()
        )
        self._differ += rows - int(same.sum())
        return words if self._found == self._asked and not self._differ else None

    def check(self, name: str) -> None:
        """Refuse a file that was of another shape, or has lines left.

        Raises:
            DataError: As said; ``name`` is the first file's.
        """
        found = self._found + len(self._left)
        found += sum(len(lines.words) for lines in self._blocks)
        if found != self._asked or self._differ:
            raise DataError(
                f"{self._name} should hold a time for every item of {name}, line by "
                f"line; they have {found:,} and {self._asked:,} lines, and differ in "
                f"users or lengths in {self._differ:,} of them. Take files that were "
                "made together"
            )

    def _next(self, count: int) -> pl.Series:
        """Up to so many lines."""
        while len(self._left) < count:
            more = next(self._blocks, None)
            if more is None:
                break
            self._left = pl.concat([self._left, more.words])
        words = self._left.head(count)
        self._left = self._left.slice(count)
        return words
