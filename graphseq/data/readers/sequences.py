"""Sequence files, one line per user, and parallel files of timestamps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s, Mask
from graphseq.data.readers.blocks import NOT_UTF8, Block, decode, is_utf8
from graphseq.data.readers.errors import Check
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table
from graphseq.errors import DataError

PARTS = 2  # smaller blocks, since a line holds many events
REPEATED_USER = "the user has an earlier line"


@dataclass(frozen=True)
class WordLines:
    """The lines of a block that are not blank, split into words.

    Attributes:
        words: Words of each line; a single word is followed by an empty one, (L,).
        numbers: Line numbers in the file, (L,).
        not_utf8: Lines with bytes that are not UTF-8, (L,).
        returns: Lines with a carriage return before their end, (L,).
    """

    words: pl.Series
    numbers: Int64s
    not_utf8: Mask
    returns: Mask

    @property
    def users(self) -> pl.Series:
        """The first word of each line, (L,)."""
        return self.words.list.first()


def split_words(block: Block) -> WordLines:
    """Split the lines of a block at spaces and tabs."""
    text = decode(block.data).replace("\t", " ")
    lines = pl.Series([text]).str.split("\n").explode().str.strip_chars()
    if "  " in text:
        lines = lines.str.replace_all(" +", " ")
    present = (lines != "").to_numpy()
    lines = lines.filter(present)
    numbers = np.flatnonzero(present) + block.first
    returns = np.zeros(len(lines), dtype=np.bool_)
    if "\r" in text:
        returns = lines.str.contains("\r", literal=True).to_numpy()
    not_utf8 = _not_utf8(block, lines, numbers)
    single = ~lines.str.contains(" ", literal=True)
    lines = (lines + " ").zip_with(single, lines) if single.any() else lines
    return WordLines(lines.str.split(" "), numbers, not_utf8, returns)


def _not_utf8(block: Block, lines: pl.Series, numbers: Int64s) -> Mask:
    """Lines with bytes that are not UTF-8, (L,)."""
    found = np.zeros(len(lines), dtype=np.bool_)
    if not is_utf8(block.data):
        raw = block.data.split(b"\n")
        for row in lines.str.contains(NOT_UTF8, literal=True).arg_true().to_list():
            found[row] = not is_utf8(raw[int(numbers[row]) - block.first])
    return found


def read_sequences(source: Source, times: Source | None = None) -> Iterator[Table]:
    """Read ``user item item …``, separated by spaces or tabs, oldest item first.

    A parallel file may hold ``user time time …``, with a time for each item. A line
    without items, or of a user with an earlier line, is malformed as a whole.

    Raises:
        DataError: The parallel file does not have the same shape.
    """
    parallel = None if times is None else _ParallelTimes(times)
    repeated = None
    for block in source.blocks(parts=PARTS):
        lines = split_words(block)
        if block.first > 1 and repeated is None:
            repeated = _repeated_users(source)
        again = _is_repeated(lines, repeated) & ~lines.not_utf8
        if parallel is None:
            yield _table(lines, again)
        elif (found := parallel.take(lines)) is not None:
            yield _table(lines, again, found)
    if parallel is not None:
        parallel.check(source.name)


def _table(lines: WordLines, again: Mask, times: pl.Series | None = None) -> Table:
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
            REPEATED_USER,
            again[rows],
            lambda row: repeated_user(user[int(rows[row])]),
        ),
        Check(
            "bytes that are not UTF-8",
            lines.not_utf8[rows],
            lambda row: "save it as UTF-8",
        ),
        Check(
            "a carriage return inside the line",
            lines.returns[rows],
            lambda row: "end all lines alike",
        ),
    ]
    columns = {"user": user.gather(rows), "item": items}
    if times is not None:
        columns["time"] = times.list.slice(1).explode()
    return make_table(columns, lines.numbers[rows], checks)


def repeated_user(user: str) -> str:
    """What to report of a line whose user has an earlier one."""
    return f"found {user!r}; all items of a user must be on one line"


def _is_repeated(lines: WordLines, repeated: pl.DataFrame | None) -> Mask:
    """Lines whose user has an earlier line, (L,).

    Args:
        lines: Lines of one block.
        repeated: From :func:`_repeated_users`; ``None`` in the first block, which has
            no earlier lines.
    """
    if repeated is None:
        return (~lines.users.is_first_distinct()).to_numpy()
    users = lines.users.alias("user").to_frame()
    first = users.join(repeated, on="user", how="left", maintain_order="left")["first"]
    return first.fill_null(np.iinfo(np.int64).max).to_numpy() < lines.numbers


def _repeated_users(source: Source) -> pl.DataFrame:
    """Users with several lines in the whole file, and the first of these lines."""
    parts = [
        pl.DataFrame({"user": lines.users, "first": lines.numbers})
        for lines in map(split_words, source.blocks(parts=PARTS))
    ]
    all_lines = pl.concat(parts)
    several = all_lines.filter(all_lines["user"].is_duplicated())
    return several.unique("user", keep="first", maintain_order=True)


class _ParallelTimes:
    """Timestamps parallel to sequences: ``user time time …``, one line for each line.

    Args:
        source: The file of timestamps.
    """

    def __init__(self, source: Source) -> None:
        self._name = source.name
        self._blocks = map(split_words, source.blocks(parts=PARTS))
        self._left = pl.Series(dtype=pl.List(pl.String))
        self._found = self._expected = self._differing = 0

    def take(self, lines: WordLines) -> pl.Series | None:
        """Words of the parallel lines, (L,); ``None`` once the files differ."""
        count = len(lines.words)
        while len(self._left) < count and (more := next(self._blocks, None)):
            self._left = pl.concat([self._left, more.words])
        words, self._left = self._left.head(count), self._left.slice(count)
        self._found += len(words)
        self._expected += count
        same = (lines.users.head(len(words)) == words.list.first()) & (
            lines.words.list.len().head(len(words)) == words.list.len()
        )
        self._differing += len(words) - int(same.sum())
        matches = self._found == self._expected and not self._differing
        return words if matches else None

    def check(self, name: str) -> None:
        """Check, at the end of both files, that they have the same shape.

        Raises:
            DataError: They differ; ``name`` is the sequences file.
        """
        found = self._found + len(self._left)
        found += sum(len(lines.words) for lines in self._blocks)
        if found != self._expected or self._differing:
            raise DataError(
                f"{self._name} should have one time for each item of {name}, line by "
                f"line; they have {found:,} and {self._expected:,} lines, and differ "
                f"in users or lengths in {self._differing:,} of them. Use files that "
                "were made together"
            )
