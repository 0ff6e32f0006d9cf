"""Vocabularies: a one-to-one map between raw ids and dense ids 0 … n - 1."""

import difflib
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from graphseq.data.arrays import Integers
from graphseq.data.ids import RawIds, as_series, number, to_integers
from graphseq.errors import DataError

SHOWN = 10  # unknown ids that an error lists
FEW = 100  # ids that are found by a scan instead of a join
SEARCHED = 5_000  # ids that are searched for a close match


class Vocabulary:
    """An immutable one-to-one map between dense ids and raw ids.

    The dense id of a raw id is its index in ``ids``. A log numbers its users and items
    by first appearance, a split in ascending order of the raw ids.

    >>> items = Vocabulary(["milk", "bread"])
    >>> items.encode(["bread", "milk", "bread"])
    array([1, 0, 1])
    >>> items.decode([0])
    ['milk']

    Args:
        ids: Raw ids, each once: all strings, or all integers.

    Raises:
        DataError: An id is missing, repeated, or neither a string nor an integer.
    """

    def __init__(self, ids: RawIds) -> None:
        series = as_series(ids)
        _refuse_missing(series)
        if series.n_unique() != len(series):
            twice = series.filter(series.is_duplicated())[0]
            raise DataError(
                f"a vocabulary holds each id once; {twice!r} occurs "
                f"{(series == twice).sum()} times. Remove the duplicates"
            )
        self._ids = series
        dense = pl.int_range(len(series), dtype=pl.Int64, eager=True)
        self._table = pl.DataFrame({"id": series, "dense": dense})

    @classmethod
    def number(cls, raw: pl.Series) -> tuple["Vocabulary", npt.NDArray[np.int64]]:
        """Number a column by first appearance: (vocabulary, dense ids)."""
        series = as_series(raw)
        _refuse_missing(series)
        ids, dense = number(series)
        return cls(ids), dense

    @classmethod
    def numbered(cls, size: int) -> "Vocabulary":
        """A vocabulary whose raw ids are 0 … size - 1 as well."""
        return cls(pl.int_range(size, dtype=pl.Int64, eager=True))

    @property
    def ids(self) -> pl.Series:
        """The raw ids in dense order."""
        return self._ids

    def encode(
        self, raw_ids: RawIds, *, missing: int | None = None
    ) -> npt.NDArray[np.int64]:
        """Dense ids of raw ids.

        An integer and its decimal string are one id: 42 and ``"42"``, but not
        ``"042"``.

        Args:
            raw_ids: Raw ids, in any order, with repeats.
            missing: Dense id returned for unknown ids; ``None`` raises instead.

        Raises:
            DataError: Ids are unknown; up to ten are listed, with close matches.
        """
        wanted, table = self._cast(raw_ids), self._table
        if len(wanted) < FEW:  # 100 times faster than joining a million ids
            table = table.filter(pl.col("id").is_in(wanted.implode()))
        frame = pl.DataFrame({"id": wanted})
        found = frame.join(table, on="id", how="left", maintain_order="left")
        dense = found["dense"]
        if dense.null_count():
            if missing is None:
                self._refuse(raw_ids, dense.is_null())
            dense = dense.fill_null(missing)
        return dense.to_numpy().astype(np.int64, copy=False)

    def decode(self, dense: Integers) -> list[Any]:
        """Raw ids of dense ids, as a list of ``str`` or ``int``.

        Raises:
            DataError: A dense id is negative or at least ``len(self)``.
        """
        index = np.asarray(dense, dtype=np.int64).reshape(-1)
        wrong = (index < 0) | (index >= len(self))
        if wrong.any():
            raise DataError(
                f"dense ids of this vocabulary are 0 … {len(self) - 1}; found "
                f"{index[wrong][:SHOWN].tolist()}. Remove padding first"
            )
        return self._ids.gather(index).to_list()

    def take(self, dense: Integers) -> "Vocabulary":
        """A vocabulary of the selected ids, in the given order."""
        return Vocabulary(self._ids.gather(np.asarray(dense, dtype=np.int64)))

    def ranks(self) -> npt.NDArray[np.int64]:
        """The position of each id among the sorted raw ids, (n,)."""
        return self._ids.rank("ordinal").to_numpy().astype(np.int64) - 1

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, raw_id: object) -> bool:
        if not isinstance(raw_id, str | int | np.integer) or isinstance(raw_id, bool):
            return False
        raw_id = raw_id if isinstance(raw_id, str) else int(raw_id)
        return bool(self.encode([raw_id], missing=-1)[0] >= 0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self._ids.dtype == other._ids.dtype and self._ids.equals(other._ids)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [repr(raw) for raw in self._ids.head(3).to_list()]
        if len(self) > 3:
            shown.append("…")
        kind = "strings" if self._ids.dtype == pl.String else "integers"
        return f"Vocabulary({len(self):,} {kind}: {', '.join(shown)})"

    def _cast(self, raw_ids: RawIds) -> pl.Series:
        """The ids in the type of this vocabulary; null where that is impossible."""
        series = as_series(raw_ids, mixed=True)
        if series.dtype == self._ids.dtype:
            return series
        if self._ids.dtype == pl.String:
            return series.cast(pl.String)
        return to_integers(series)

    def _refuse(self, raw_ids: RawIds, unknown: pl.Series) -> None:
        ids = as_series(raw_ids, mixed=True).filter(unknown).unique(maintain_order=True)
        shown = [f"{raw!r}{self._suggestion(raw)}" for raw in ids.head(SHOWN).to_list()]
        more = f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else ""
        raise DataError(
            f"{len(ids):,} unknown id{'s' * (len(ids) > 1)}: {', '.join(shown)}{more}; "
            f"known ids: {self!r}"
        )

    def _suggestion(self, raw: str | int | None) -> str:
        if not isinstance(raw, str) or self._ids.dtype != pl.String or not raw:
            return ""
        same_start = self._ids.filter(self._ids.str.starts_with(raw[:1]))
        pool = same_start if len(same_start) else self._ids
        near = difflib.get_close_matches(raw, pool.head(SEARCHED).to_list(), n=1)
        return f" (did you mean {near[0]!r}?)" if near else ""


def _refuse_missing(ids: pl.Series) -> None:
    if ids.null_count():
        raise DataError(
            f"a vocabulary cannot hold a missing id; found one at row "
            f"{ids.is_null().arg_max()}. Remove rows without an id"
        )
