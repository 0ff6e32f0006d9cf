"""Ids numbered by first appearance, block by block."""

import numpy as np
import polars as pl

from graphseq.data.columns import Growing, Integral
from graphseq.data.raw_ids import as_series, number, to_integers
from graphseq.data.vocabulary import Vocabulary

LOOKED_AT = 100  # ids that tell whether a column could be integers
SHARE = 4  # ids that may wait, for one that is numbered


class Numbering:
    """Numbers a column of raw ids that comes in blocks.

    A block is numbered on its own first, and waits. When the ids that wait are some
    times as many as those numbered together so far, they are put together: the work
    grows with the ids that the blocks found, and the memory with the distinct ones.

    Args:
        text: Leave strings as they are, even if all of them spell integers.
    """

    def __init__(self, text: bool = False) -> None:
        self._keeps_text = self._is_text = text
        self._ids: pl.Series | None = None
        self._numbered = Growing()
        self._waiting: list[tuple[pl.Series, Integral]] = []

    def add(self, raw: pl.Series) -> None:
        """Number one more block, (E,); no id of it is missing."""
        series = as_series(raw)
        if series.dtype == pl.String and not self._is_text:
            series = integers_if_all(series)
            self._is_text = series.dtype == pl.String
        ids, dense = number(series)
        self._waiting.append((ids, dense.astype(np.int32)))
        together = 0 if self._ids is None else len(self._ids)
        if sum(len(ids) for ids, _ in self._waiting) > SHARE * together:
            self._join()

    def vocabulary(self) -> Vocabulary:
        """All ids so far."""
        self._join()
        ids = pl.Series(dtype=pl.String) if self._ids is None else self._ids
        if ids.dtype == pl.String and not self._keeps_text:
            ids = integers_if_all(ids)
        return Vocabulary(ids)

    def column(self) -> Integral:
        """The dense ids of all rows, (E,); they are handed over, so ask once."""
        self._join()
        return self._numbered.take()

    def _join(self) -> None:
        """Number what waits."""
        if not self._waiting:
            return
        parts = [ids for ids, _ in self._waiting]
        parts = parts if self._ids is None else [self._ids, *parts]
        if len({part.dtype for part in parts}) > 1:
            parts = [part.cast(pl.String) for part in parts]
        if len(parts) == 1:
            self._ids, places = parts[0], None
        else:
            self._ids, places = number(pl.concat(parts))
        begin = sum(map(len, parts)) - sum(len(ids) for ids, _ in self._waiting)
        for ids, dense in self._waiting:
            end = begin + len(ids)
            self._numbered.add(dense if places is None else places[begin:end][dense])
            begin = end
        self._waiting.clear()


def integers_if_all(text: pl.Series) -> pl.Series:
    """The ids as integers if every one is spelt as one, plainly."""
    if to_integers(text.head(LOOKED_AT)).null_count():
        return text
    numbers = to_integers(text)
    return text if numbers.null_count() else numbers
