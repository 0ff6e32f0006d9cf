"""A second file that has a word for every word of a first one, line by line."""

import polars as pl

from graphseq.data.readers.lines import PARTS, Lines, split_lines
from graphseq.data.readers.source import Source
from graphseq.errors import DataError


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
