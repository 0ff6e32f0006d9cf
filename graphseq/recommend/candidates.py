"""Items that may be recommended: of a whole call, and of each row."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from graphseq.data import Vocabulary
from graphseq.data.ragged import Ragged
from graphseq.errors import ConfigError
from graphseq.recommend.requests import RawIds, Requests, Unknown, encode, encode_lists

Lists = RawIds | list[RawIds]
"""Raw items of a call, or a list of them for each row."""


@dataclass(frozen=True)
class Candidates:
    """Restrictions of the items.

    Attributes:
        allowed: Items of the call, (V,); ``None``: all.
        only: Items of each row; ``None``: all.
        excluded: Items that are not for each row, each once; ``None``: none.
    """

    allowed: Bool[Tensor, "V"] | None = None
    only: Ragged | None = None
    excluded: Ragged | None = None

    def take(self, rows: Int[Tensor, "n"]) -> "Candidates":
        """Those of some of the rows."""
        only = None if self.only is None else self.only.take(rows)
        excluded = None if self.excluded is None else self.excluded.take(rows)
        return Candidates(self.allowed, only, excluded)

    def between(self, start: int, stop: int) -> "Candidates":
        """Those of consecutive rows."""
        only = None if self.only is None else self.only.between(start, stop)
        excluded = None if self.excluded is None else self.excluded.between(start, stop)
        return Candidates(self.allowed, only, excluded)

    def excluding(self, others: Ragged) -> "Candidates":
        """The same without more items of each row."""
        if self.excluded is not None:
            others = self.excluded.joined(others)
        return Candidates(self.allowed, self.only, others.distinct())

    @property
    def restricted(self) -> bool:
        """Whether some items are not candidates, besides those excluded by row."""
        return self.allowed is not None or self.only is not None

    def left_out(self, seen: Ragged, num_items: int) -> Ragged:
        """All items that are not candidates of each row, each once.

        Args:
            seen: Items excluded for each row.
            num_items: V.
        """
        number = len(seen.lengths)
        is_left = torch.zeros(number, num_items, dtype=torch.bool)
        if self.only is not None:
            is_left.fill_(True)
            is_left[self.only.rows, self.only.items] = False
        if self.allowed is not None:
            is_left |= ~self.allowed
        is_left[seen.rows, seen.items] = True
        ends = is_left.sum(dim=1).cumsum(0)
        items = is_left.nonzero()[:, 1]
        return Ragged(items, torch.cat([ends.new_zeros(1), ends]))

    def mask(self, scores: Float[Tensor, "B W"], first: int) -> None:
        """Set the scores of all other items to -inf, except those excluded by row.

        Args:
            scores: Scores of consecutive rows.
            first: The first of them.
        """
        if self.allowed is not None:
            width = len(self.allowed)
            scores[:, :width].masked_fill_(~self.allowed.to(scores.device), -torch.inf)
        if self.only is not None:
            near = self.only.between(first, first + len(scores))
            row, item = near.rows.to(scores.device), near.items.to(scores.device)
            kept = scores[row, item]
            scores.fill_(-torch.inf)
            scores[row, item] = kept


def read_candidates(
    items: Vocabulary,
    requests: Requests,
    unknown: Unknown,
    *,
    only: Lists | pl.Series | None,
    exclude: Lists | pl.Series | None,
) -> Candidates:
    """The restrictions of a call.

    Args:
        items: The vocabulary.
        requests: The rows; lists are given for the rows before unknown ones were left
            out.
        unknown: ``skip`` leaves out unknown items, with a warning.
        only: Raw items that may be recommended, or a list of them for each row.
        exclude: Raw items that may not be recommended, in the same form.

    Raises:
        ConfigError: There are more or fewer lists than rows.
        DataError: An item is unknown.
    """
    allowed = None
    found: dict[str, Ragged | None] = {"only": None, "exclude": None}
    for name, given in (("only", only), ("exclude", exclude)):
        if given is None:
            continue
        if isinstance(given, str) or not isinstance(given, Collection):
            raise ConfigError(f"{name} is a list of raw item ids; found {given!r}")
        if not _by_row(given):
            chosen: Any = given
            dense = encode(items, chosen, unknown, "items")
            listed = torch.zeros(len(items), dtype=torch.bool)
            listed[dense[dense >= 0]] = True
            keep = listed if name == "only" else ~listed
            allowed = keep if allowed is None else allowed & keep
            continue
        if len(given) != requests.given:
            raise ConfigError(
                f"{name} has {len(given):,} lists for {requests.given:,} rows. Pass "
                "one list for each user or history, or one list of ids for all"
            )
        of_rows: Any = given
        every = encode_lists(items, of_rows, unknown, f"list of {name}")
        found[name] = every.take(requests.kept)
    excluded = found["exclude"]
    distinct = None if excluded is None else excluded.distinct()
    return Candidates(allowed, found["only"], distinct)


def _by_row(given: Any) -> bool:
    """Whether there is a list for each row."""
    if isinstance(given, pl.Series):
        return isinstance(given.dtype, pl.List)
    first = next(iter(given), None)
    return first is not None and not isinstance(first, str | int | np.integer)
