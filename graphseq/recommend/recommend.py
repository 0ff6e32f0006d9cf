"""The recommender: raw ids in, raw ids out."""

import copy
import warnings
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.constants import INTERACTS, ITEM, USER
from graphseq.data import HeldOut, Vocabulary
from graphseq.data.ragged import Ragged
from graphseq.errors import ConfigError, DataError, GraphError, GraphSeqError
from graphseq.evaluation.topk import NOTHING, decode, keys
from graphseq.models.base import Model, no_vectors
from graphseq.models.scoring import InnerProduct, Scorer
from graphseq.recommend.diversity import Categories, diversify, encode_categories
from graphseq.recommend.histories import known_sequences
from graphseq.recommend.search import ExactSearch, FaissSearch
from graphseq.sequences import batch as batches

STRANGER = -1  # dense id of a user who is not in the graph
BLOCK = 512  # users represented at once
SHOWN = 10  # ids in a message

Index = Literal["exact", "faiss", "hnsw"]
Choice = Literal["error", "skip"]
Fallback = Literal["error", "popularity"]
RawIds = Sequence[str | int] | pl.Series


class Recommender:
    """Recommends items of a graph with a trained model.

    What the model computes for a graph is computed once: after more training, create a
    new one. It is immutable in use: any number of threads can share it, and each gets
    the answers that it would get alone.

    Args:
        model: The model.
        graph: The graph that the model was trained on, on its device.
        index: ``exact`` scores every item; ``faiss`` uses an index of inner products,
            also exact; ``hnsw`` an approximate one, for catalogues of millions.
        categories: Category of each item by raw id, or an integer for each dense id, to
            diversify lists. An item that is not in the mapping gets its own.

    Raises:
        ConfigError: The index is unknown, or needs vectors and the model has none; or
            ``categories`` has the wrong length.
        DataError: ``categories`` has none of the items.
        GraphError: The graph does not fit the model, or has no vocabularies.
    """

    def __init__(
        self,
        model: Model,
        graph: HeteroData,
        *,
        index: Index = "exact",
        categories: Categories | None = None,
    ) -> None:
        _check_choice("index", index, Index)
        self.model = _copy_in_eval_mode(model)
        self.graph = graph
        self.index = index
        self.users: Vocabulary | None = None  # of a run without its users
        self._known: Ragged | None = None
        if INTERACTS in graph.edge_types:
            self.users = _vocabulary(graph, USER, model.num_users, model)
            self._known = known_sequences(graph)
        self.items: Vocabulary = _vocabulary(graph, ITEM, model.num_items, model)
        self._category = None
        if categories is not None:
            self._category = encode_categories(categories, self.items)
        with runtime.limit_threads(), torch.no_grad():
            self._scorer = self.model.scorer(graph)
            self._search = self._indexed(self._scorer)

    def __repr__(self) -> str:
        users = "no" if self.users is None else f"{len(self.users):,}"
        return (
            f"Recommender({type(self.model).__name__}, {users} users, "
            f"{len(self.items):,} items, index={self.index!r})"
        )

    def recommend(
        self,
        users: RawIds | None = None,
        *,
        histories: Sequence[RawIds] | None = None,
        k: int = 10,
        exclude_history: bool = True,
        diversity: float = 0.0,
        candidates: int | None = None,
        unknown: Choice = "error",
        empty_history: Fallback = "error",
    ) -> pl.DataFrame:
        """The k items with the highest score for each user.

        Args:
            users: Raw ids of users of the graph. Their full sequences are read,
                held-out targets included: this is for production, not for evaluation.
            histories: Instead of users, sequences of raw item ids, oldest first, of
                users outside the graph.
            k: Items for each user; fewer if the catalogue runs out.
            exclude_history: Do not recommend items of the history.
            diversity: λ of ComiRec: the list is chosen item by item, and an item's
                score is reduced by λ for each chosen item of its category. 0 orders
                by score alone. The scores returned are those of the model.
            candidates: Best items of each user from which ``diversity`` chooses;
                ``None`` is 10 k.
            unknown: ``skip`` leaves out unknown users and items of histories, with a
                warning that names them; ``error`` refuses them.
            empty_history: ``popularity`` recommends the items with the most training
                events to users without any event; their score is that number.
                ``error`` refuses them, since they give the model nothing to read.

        Returns:
            Columns ``user`` (raw id) or, for histories, ``history`` (the index in
            ``histories``); ``rank`` (from 1), ``item`` (raw id), ``score``; users in
            the order requested.

        Raises:
            DataError: An id is unknown, or a history is empty.
            ConfigError: An option has an unknown value; both users and histories are
                given, or neither; histories are given to a model with user embeddings;
                or diversity is above 0 without categories.
        """
        if (users is None) == (histories is None):
            raise ConfigError(
                "recommend needs either users=[raw ids] or histories=[[raw item "
                f"ids], …]; found {'neither' if users is None else 'both'}"
            )
        for name, given in (("users", users), ("histories", histories)):
            if isinstance(given, str):
                raise ConfigError(f"{name} is a list; found only {given!r}")
        _check_k(k)
        _check_choice("unknown", unknown, Choice)
        _check_choice("empty_history", empty_history, Fallback)
        pool = self._pool(k, diversity, candidates)
        if users is not None:
            known, vocabulary = self._users()
            dense = _encode(vocabulary, users, unknown, "users")
            dense = dense[dense >= 0]
            names = pl.Series("user", vocabulary.decode(dense.numpy()))
            sequences = known.take(dense)
        else:
            sequences = self._encode(histories or [], unknown)
            dense = torch.full_like(sequences.lengths, STRANGER)
            names = pl.Series("history", np.arange(len(dense)))
        nothing = Ragged(dense[:0], torch.zeros(len(dense) + 1, dtype=torch.int64))
        seen = sequences.distinct() if exclude_history else nothing
        found = self._best(dense, sequences, seen, pool)
        empty = sequences.lengths == 0
        if empty.any() and not self.model.has_user_embeddings:
            if empty_history == "error":
                raise _empty(names.filter(pl.Series(empty.numpy())))
            found[empty] = self._popular(pool)
        if diversity and self._category is not None:
            found = diversify(found, self._category, k, diversity)
        return self._table(names, found, "item")

    def similar_items(self, items: RawIds, *, k: int = 10) -> pl.DataFrame:
        """The k items with the largest cosine similarity to each item.

        Returns:
            Columns ``item``, ``rank`` (from 1), ``similar`` (raw ids), ``score``.

        Raises:
            DataError: An id is unknown.
        """
        _check_k(k)
        dense = torch.tensor(self.items.encode(items))
        names = pl.Series("item", self.items.decode(dense.numpy()))
        vectors = torch.nn.functional.normalize(self._vectors.float(), dim=1)
        itself = Ragged(dense, torch.arange(len(dense) + 1))
        queries = vectors[dense.to(vectors.device)]
        cosine = InnerProduct(lambda queries: queries, vectors)
        found = self._indexed(cosine).search(queries, itself, k)
        return self._table(names, found, "similar")

    def vectors(self) -> pl.DataFrame:
        """The item vectors, for other tools such as an index, a plot or a model.

        Returns:
            Columns ``item`` (raw id) and ``vector`` (D numbers, float32), one row
            an item.
        """
        table = self._vectors.float().cpu().numpy()
        return pl.DataFrame({"item": self.items.ids, "vector": table})

    def _users(self) -> tuple[Ragged, Vocabulary]:
        """The known sequences, and the raw ids of their users.

        Raises:
            DataError: The graph has no users.
        """
        if self._known is None or self.users is None:
            raise DataError(
                "users of the log need their events, which this graph lacks: the run "
                "was trained with keep_histories=False. Pass histories=[[raw item "
                "ids], …], or the whole graph (--history, --graph)"
            )
        return self._known, self.users

    def _pool(self, k: int, diversity: float, candidates: int | None) -> int:
        """How many of a user's best items are candidates."""
        pool = 10 * k if candidates is None else candidates
        if not (diversity >= 0 and pool >= k):
            raise ConfigError(
                "diversity is 0 or more and candidates at least k; found "
                f"diversity={diversity}, candidates={candidates}, k={k}"
            )
        if diversity and self._category is None:
            raise ConfigError(
                f"diversity={diversity} needs the items' categories: "
                "Recommender(model, graph, categories={raw item id: category, …})"
            )
        return pool if diversity else k

    @property
    def _vectors(self) -> Float[Tensor, "V D"]:
        return _vectors_of(self._scorer, self.model)

    def _indexed(self, scorer: Scorer) -> ExactSearch | FaissSearch:
        if self.index == "exact":
            return ExactSearch(scorer)
        vectors = _vectors_of(scorer, self.model)
        return FaissSearch(vectors, "flat" if self.index == "faiss" else "hnsw")

    def _popular(self, k: int) -> Int[Tensor, "k"]:
        """Keys of the items with the most training events."""
        self._users()
        size = self.model.num_items
        counts = self.graph[INTERACTS].edge_index[1].bincount(minlength=size).cpu()
        best = keys(counts[None].float(), torch.arange(size)).topk(min(k, size))
        return best.values[0]

    def _encode(self, histories: Sequence[RawIds], unknown: Choice) -> Ragged:
        if self.model.has_user_embeddings:
            raise ConfigError(
                f"{type(self.model).__name__} has an embedding for each user, and none "
                "for new users. Pass users=[…], or train a model that reads the history"
            )
        for history in histories:
            if isinstance(history, str):
                raise ConfigError(
                    f"each history is a list of raw item ids; found {history!r}. One "
                    f"history is histories=[[{history!r}, …]]"
                )
        lengths = [len(history) for history in histories]
        flat = [item for history in histories for item in history]
        items = _encode(self.items, flat, unknown, "items")
        ends = torch.tensor([0, *lengths]).cumsum(0)
        known = items >= 0
        kept = torch.cat([ends.new_zeros(1), known.cumsum(0)])
        return Ragged(items[known], kept[ends])

    def _best(
        self, users: Int[Tensor, "N"], sequences: Ragged, seen: Ragged, k: int
    ) -> Int[Tensor, "N k"]:
        """Keys of the items found for each user."""
        order = sequences.lengths.argsort(stable=True)  # less padding
        ordered, excluded = sequences.take(order), seen.take(order)
        rows = HeldOut(users[order], *ordered, ordered.items[:0], ordered.ptr * 0)
        size, device = self.model.num_items, self._scorer.device
        found = [torch.empty(0, min(k, size), dtype=torch.int64)]
        with runtime.limit_threads(), torch.no_grad():
            for start in range(0, len(users), BLOCK):
                here = torch.arange(start, min(start + BLOCK, len(users)))
                batch = batches.histories(rows, here, self.model.max_length, size)
                queries: Any = batch.to(device)
                if isinstance(self._search, FaissSearch):
                    queries = self.model.represent(queries, self.graph)
                near = excluded.between(start, start + len(here))
                try:
                    found.append(self._search.search(queries, near, k))
                except FloatingPointError as error:
                    raise GraphSeqError(
                        f"{type(self.model).__name__} gives NaN as a score. Its "
                        "training diverged: return to an earlier checkpoint"
                    ) from error
        return torch.cat(found)[order.argsort()]

    def _table(
        self, names: pl.Series, found: Int[Tensor, "N k"], column: str
    ) -> pl.DataFrame:
        row, rank = (found != NOTHING).nonzero(as_tuple=True)
        ids, scores = decode(found[row, rank][:, None])
        return pl.DataFrame(
            {
                names.name: names.gather(row.numpy()),
                "rank": rank.numpy() + 1,
                column: self.items.ids.gather(ids.squeeze(1).numpy()),
                "score": scores.squeeze(1).numpy(),
            }
        )


def _copy_in_eval_mode(model: Model) -> Model:
    """The model in evaluation mode, whatever happens to the mode of the original.

    The copy shares all parameters and buffers with it.
    """
    shared = {id(t): t for t in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared).eval()


def _vectors_of(scorer: Scorer, model: Model) -> Float[Tensor, "V D"]:
    """The item vectors behind the scores.

    Raises:
        ConfigError: There are none.
    """
    if isinstance(scorer, InnerProduct):
        return scorer.vectors
    raise no_vectors(model)


def _vocabulary(graph: HeteroData, kind: str, size: int, model: Model) -> Any:
    if "vocabulary" not in graph[kind] or len(graph[kind].vocabulary) != size:
        raise GraphError(
            f"{type(model).__name__} was built for {size} {kind}s; the graph has "
            f"{graph[kind].num_nodes}, "
            f"{'with' if 'vocabulary' in graph[kind] else 'without'} a vocabulary. "
            "Pass the graph that the model was trained on"
        )
    return graph[kind].vocabulary


def _encode(
    vocabulary: Vocabulary, ids: RawIds, unknown: Choice, kind: str
) -> Int[Tensor, "N"]:
    """Dense ids; with ``skip``, -1 for unknown ones, which a warning names."""
    if unknown == "error":
        return torch.tensor(vocabulary.encode(ids))
    dense = torch.tensor(vocabulary.encode(ids, missing=-1))
    skipped = dict.fromkeys(ids[int(n)] for n in (dense < 0).nonzero())
    if skipped:
        more = ", …" * (len(skipped) > SHOWN)
        shown = ", ".join(map(repr, [*skipped][:SHOWN])) + more
        warnings.warn(f"unknown {kind} skipped: {shown}", stacklevel=3)
    return dense


def _empty(names: pl.Series) -> DataError:
    shown = ", ".join(map(repr, names[:SHOWN])) + ", …" * (len(names) > SHOWN)
    return DataError(
        f"{names.name} {shown} without any known item, so the model has nothing to "
        "read. Leave empty histories out, or recommend the most popular items: "
        "empty_history='popularity' (--empty-history popularity)"
    )


def _check_choice(name: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise ConfigError(f"{name} is one of {get_args(choices)}; found {value!r}")


def _check_k(k: int) -> None:
    if k < 1:
        raise ConfigError(f"k, the length of the lists, is 1 or more; found {k}")
