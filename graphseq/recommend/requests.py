"""What lists are requested for: users of the graph, or histories of strangers."""

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import torch
from jaxtyping import Int
from torch import Tensor

from graphseq.data import Interactions, Vocabulary
from graphseq.data.ragged import Ragged
from graphseq.errors import ConfigError, DataError

STRANGER = -1  # dense id of a user who is not in the graph
SHOWN = 10  # ids in a message

RawIds = Sequence[str | int] | pl.Series
Histories = Sequence[RawIds] | Interactions
Unknown = Literal["error", "skip"]


class Requests(NamedTuple):
    """N rows, each a user with a sequence of items.

    Attributes:
        names: Raw ids of users, or numbers of histories, (N,).
        users: Dense ids; ``STRANGER`` outside the graph, (N,).
        sequences: Items of each row, oldest first.
        kept: Index of each row among those given; unknown users are left out.
        given: Number of rows given.
    """

    names: pl.Series
    users: Int[Tensor, "N"]
    sequences: Ragged
    kept: Int[Tensor, "N"]
    given: int

    def take(self, rows: Int[Tensor, "n"]) -> "Requests":
        """Some of the rows."""
        return Requests(
            self.names.gather(rows.numpy()),
            self.users[rows],
            self.sequences.take(rows),
            self.kept[rows],
            self.given,
        )


def of_users(
    known: Ragged, vocabulary: Vocabulary, users: RawIds | None, unknown: Unknown
) -> Requests:
    """Users of the graph with their known sequences; ``None``: all of them.

    Raises:
        DataError: An id is unknown.
    """
    if users is None:
        dense = torch.arange(len(vocabulary))
    else:
        dense = encode(vocabulary, users, unknown, "users")
    kept = (dense >= 0).nonzero().squeeze(1)
    found = dense[kept]
    names = vocabulary.ids.gather(found.numpy()).alias("user")
    return Requests(names, found, known.take(found), kept, len(dense))


def of_histories(items: Vocabulary, histories: Histories, unknown: Unknown) -> Requests:
    """Users outside the graph with their sequences.

    Raises:
        ConfigError: A history is not a list.
        DataError: An item is unknown.
    """
    if isinstance(histories, Interactions):
        dense = encode(items, histories.items.ids, unknown, "items")
        of_events = dense[torch.tensor(histories.item)]
        sequences = _known(of_events, torch.tensor(histories.pointers))
        names = histories.users.ids.alias("user")
    else:
        sequences = encode_lists(items, histories, unknown, "history")
        names = pl.Series("history", np.arange(len(histories)))
    number = len(names)
    strangers = torch.full((number,), STRANGER)
    return Requests(names, strangers, sequences, torch.arange(number), number)


def encode(
    vocabulary: Vocabulary, ids: RawIds, unknown: Unknown, kind: str
) -> Int[Tensor, "N"]:
    """Dense ids; with ``skip``, -1 for unknown ones, which a warning names.

    Raises:
        DataError: An id is unknown.
    """
    if unknown == "error":
        return torch.tensor(vocabulary.encode(ids))
    dense = torch.tensor(vocabulary.encode(ids, missing=-1))
    skipped = dict.fromkeys(ids[int(n)] for n in (dense < 0).nonzero())
    if skipped:
        more = ", …" * (len(skipped) > SHOWN)
        shown = ", ".join(map(repr, [*skipped][:SHOWN])) + more
        warnings.warn(f"unknown {kind} skipped: {shown}", stacklevel=3)
    return dense


def encode_lists(
    items: Vocabulary, lists: Sequence[RawIds] | pl.Series, unknown: Unknown, name: str
) -> Ragged:
    """Lists of raw items as lists of dense items.

    Args:
        items: The vocabulary.
        lists: A list for each row, or a series of lists.
        unknown: ``skip`` leaves out unknown items, with a warning.
        name: What a list is, for messages.

    Raises:
        ConfigError: One of them is not a list.
        DataError: An item is unknown.
    """
    for each in lists if not isinstance(lists, pl.Series) else ():
        if isinstance(each, str):
            raise ConfigError(
                f"each {name} is a list of raw item ids; found {each!r}. One list is "
                f"[[{each!r}, …]]"
            )
    flat: RawIds
    if isinstance(lists, pl.Series):
        flat = lists.explode().drop_nulls()
        lengths = lists.list.len().fill_null(0).to_list()
    else:
        flat = [item for each in lists for item in each]
        lengths = [len(each) for each in lists]
    dense = encode(items, flat, unknown, "items")
    return _known(dense, torch.tensor([0, *lengths]).cumsum(0))


def _known(dense: Int[Tensor, "M"], ends: Int[Tensor, "N1"]) -> Ragged:
    """The lists without unknown items, which are -1."""
    known = dense >= 0
    kept = torch.cat([ends.new_zeros(1), known.cumsum(0)])
    return Ragged(dense[known], kept[ends])


def check_given(
    users: RawIds | None, histories: Histories | None, *, needed: bool = False
) -> None:
    """Refuse users and histories together, and one text instead of a list.

    Args:
        users: Raw ids of users.
        histories: Sequences of raw item ids.
        needed: Also refuse neither of them.

    Raises:
        ConfigError: If they are refused.
    """
    number = (users is not None) + (histories is not None)
    if number == 2 or (needed and number == 0):
        raise ConfigError(
            "recommend needs either users=[raw ids] or histories=[[raw item ids], …]; "
            f"found {'both' if number else 'neither'}"
        )
    for name, given in (("users", users), ("histories", histories)):
        if isinstance(given, str):
            raise ConfigError(f"{name} is a list; found only {given!r}")


def nothing_to_read(names: pl.Series) -> DataError:
    """The error of rows without any known item."""
    shown = ", ".join(map(repr, names[:SHOWN])) + ", …" * (len(names) > SHOWN)
    return DataError(
        f"{names.name} {shown} without any known item, so the model has nothing to "
        "read. Leave empty histories out, or recommend the most popular items: "
        "empty_history='popularity' (--empty-history popularity)"
    )
