"""Requests for lists: users of the graph, or histories of users outside of it."""

import warnings
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM, USER
from graphseq.data import Interactions, Vocabulary
from graphseq.data.ragged import Ragged
from graphseq.errors import ConfigError, DataError, GraphError
from graphseq.models.base import Model
from graphseq.recommend.histories import have_events, known_sequences

NEW_USER = -1  # dense id of a user who is not in the graph
SHOWN = 10  # ids in a message

RawIds = Sequence[str | int] | pl.Series
Histories = Sequence[RawIds] | Interactions
Unknown = Literal["error", "skip"]


class Requests(NamedTuple):
    """N rows, each a user with a sequence of items.

    Attributes:
        names: Raw ids of users, or numbers of histories, (N,).
        users: Dense ids; ``NEW_USER`` outside the graph, (N,).
        sequences: Items of each row, oldest first.
        kept: Index of each row among those given; unknown users are left out.
        given: Number of rows given.
    """

    names: pl.Series
    users: Int[Tensor, "N"]
    sequences: Ragged
    kept: Int[Tensor, "N"]
    given: int

    @property
    def empty(self) -> Bool[Tensor, "N"]:
        """True at rows without any item."""
        return self.sequences.lengths == 0

    def take(self, rows: Int[Tensor, "n"]) -> "Requests":
        """Some of the rows."""
        return Requests(
            self.names.gather(rows.numpy()),
            self.users[rows],
            self.sequences.take(rows),
            self.kept[rows],
            self.given,
        )


@dataclass(frozen=True)
class Known:
    """The users and items of a graph, which requests name by their raw ids.

    Attributes:
        items: Raw ids of the items.
        users: Raw ids of the users; ``None`` for the graph of a run without its users.
        sequences: The known items of each user, oldest first; ``None`` likewise.
        trained: Whether each user has a training event; ``None`` likewise.
    """

    items: Vocabulary
    users: Vocabulary | None
    sequences: Ragged | None
    trained: Bool[Tensor, "U"] | None = None

    @classmethod
    def of(cls, graph: HeteroData, model: Model) -> "Known":
        """Read the graph that a model was trained on.

        Raises:
            GraphError: It has no vocabularies, or they are not of the model's size.
        """
        users = sequences = trained = None
        if INTERACTS in graph.edge_types:
            users = _vocabulary(graph, USER, model.num_users, model)
            sequences = known_sequences(graph)
            trained = have_events(graph)
        items = _vocabulary(graph, ITEM, model.num_items, model)
        return cls(items, users, sequences, trained)

    def unread(self, requests: Requests, model: Model) -> Bool[Tensor, "N"]:
        """True at rows that give the model nothing to read.

        A history without items; or for a model with a vector of each user, a user
        without training events, whose vector is as it was drawn.
        """
        if not model.has_user_embeddings or self.trained is None:
            return requests.empty
        return ~self.trained[requests.users]

    def require_users(self) -> tuple[Ragged, Vocabulary]:
        """The known sequences, and the raw ids of their users.

        Raises:
            DataError: The graph has no users.
        """
        if self.sequences is None or self.users is None:
            raise DataError(
                "users of the log need their events, which this graph lacks: the run "
                "was trained with keep_histories=False. Pass histories=[[raw item "
                "ids], …], or the whole graph (--history, --graph)"
            )
        return self.sequences, self.users

    def requests(
        self,
        model: Model,
        users: RawIds | None,
        histories: Histories | None,
        unknown: Unknown,
    ) -> Requests:
        """The users or histories that are given; without either, all users.

        Raises:
            ConfigError: Both are given, or the model cannot represent new users.
            DataError: An id is unknown, or the graph has no users.
        """
        check_given(users, histories)
        if histories is None:
            return of_users(*self.require_users(), users, unknown)
        if model.has_user_embeddings:
            raise ConfigError(
                f"{type(model).__name__} has an embedding for each user, and none "
                "for new users. Pass users=[…], or train a model that reads the history"
            )
        return of_histories(self.items, histories, unknown)


def _vocabulary(graph: HeteroData, kind: str, size: int, model: Model) -> Vocabulary:
    if "vocabulary" not in graph[kind] or len(graph[kind].vocabulary) != size:
        raise GraphError(
            f"{type(model).__name__} was built for {size} {kind}s; the graph has "
            f"{graph[kind].num_nodes}, "
            f"{'with' if 'vocabulary' in graph[kind] else 'without'} a vocabulary. "
            "Pass the graph that the model was trained on"
        )
    vocabulary: Vocabulary = graph[kind].vocabulary
    return vocabulary


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
        ConfigError: A history is not a list, or has no order.
        DataError: An item is unknown.
    """
    if isinstance(histories, Interactions):
        dense = encode(items, histories.items.ids, unknown, "items")
        of_events = dense[torch.tensor(histories.item)]
        sequences = _known(of_events, torch.tensor(histories.pointers))
        names = histories.users.ids.alias("user")
    else:
        for each in histories:
            if isinstance(each, Set):
                raise ConfigError(
                    "each history is a list of raw item ids, oldest first; found a "
                    f"set, which has no order: {each!r}"
                )
        sequences = encode_lists(items, histories, unknown, "history")
        names = pl.Series("history", np.arange(len(histories)))
    number = len(names)
    new_users = torch.full((number,), NEW_USER)
    return Requests(names, new_users, sequences, torch.arange(number), number)


def encode(
    vocabulary: Vocabulary, ids: RawIds, unknown: Unknown, kind: str
) -> Int[Tensor, "N"]:
    """Dense ids; with ``skip``, -1 for unknown ones, which a warning names.

    Raises:
        DataError: An id is unknown.
    """
    ids = ids if isinstance(ids, pl.Series | np.ndarray) else list(ids)
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
        if isinstance(each, str) or not isinstance(each, Collection):
            raise ConfigError(
                f"each {name} is a list of raw item ids; found {each!r}. One list is "
                f"[[{each!r}, …]]"
            )
    flat: RawIds
    if isinstance(lists, pl.Series):
        lists = lists.list.drop_nulls()
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
        is_list = isinstance(given, Collection | Interactions)
        if given is not None and (isinstance(given, str) or not is_list):
            raise ConfigError(f"{name} is a list; found only {given!r}")


def check_pairs(
    items: RawIds, users: RawIds | None, histories: Histories | None
) -> None:
    """Refuse pairs of items with users, or with histories, of different numbers.

    Raises:
        ConfigError: The numbers differ; or as for :func:`check_given`.
    """
    check_given(users, histories, needed=True)
    if isinstance(histories, Interactions):
        number = histories.num_users
    else:
        number = len((histories or ()) if users is None else users)
    if number != len(items):
        raise ConfigError(
            f"score takes pairs; found {len(items):,} items for {number:,} users "
            "or histories. Repeat a user for each of the items"
        )


def nothing_to_read(
    requests: Requests, unread: Bool[Tensor, "N"], model: Model
) -> DataError:
    """The error of those rows that give the model nothing to read."""
    names = requests.names.filter(pl.Series(unread.numpy()))
    shown = ", ".join(map(repr, names[:SHOWN])) + ", …" * (len(names) > SHOWN)
    reason = "any known item, so the model has nothing to read"
    if model.has_user_embeddings:
        name = type(model).__name__
        reason = f"any training event, and {name} ranks with trained vectors of users"
    return DataError(
        f"{names.name} {shown} without {reason}. Leave them out, or recommend the most "
        "popular items: empty_history='popularity' (--empty-history popularity)"
    )
