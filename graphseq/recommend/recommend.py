"""The recommender: raw ids in, raw ids out."""

from collections.abc import Iterator
from typing import Any, Literal

import polars as pl
import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import Vocabulary
from graphseq.data.ids import as_series
from graphseq.data.ragged import Ragged
from graphseq.errors import quantity
from graphseq.evaluation.topk import NOTHING, decode
from graphseq.models.base import Model
from graphseq.models.scoring import InnerProduct
from graphseq.recommend.candidates import Lists, read_candidates
from graphseq.recommend.diversity import (
    Categories,
    diversify,
    encode_categories,
    pool_size,
)
from graphseq.recommend.ranker import Index, Ranker
from graphseq.recommend.requests import (
    Histories,
    Known,
    RawIds,
    Unknown,
    check_given,
    check_pairs,
    encode,
    nothing_to_read,
)
from graphseq.schema import Size, Weight, fill_defaults, find_invalid, refuse

USERS_AT_ONCE = 32_768  # in a part of many lists

Fallback = Literal["error", "popularity"]
HistoryItems = Literal["exclude", "keep"]


class Recommender:
    """Recommends items of a graph with a trained model.

    What the model computes for a graph is computed once: after more training, create a
    new one. It is immutable in use: any number of threads can share it, and each gets
    the answers that it would get alone.

    Args:
        model: The model.
        graph: The graph that the model was trained on, on its device.
        index: ``exact`` scores every item; ``faiss`` uses an index of inner products,
            also exact, except that of equal scores at the end of a list any may be
            kept; ``hnsw`` an approximate one, for catalogues of millions.
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
        refuse("Recommender", find_invalid(Recommender, {"index": index}))
        self.graph = graph
        self.index = index
        self._known = Known.of(graph, model)
        self.users, self.items = self._known.users, self._known.items
        self._category = None
        if categories is not None:
            self._category = encode_categories(categories, self.items)
        self._ranker = Ranker(model, graph, index)
        self.model = self._ranker.model

    def __repr__(self) -> str:
        users = "no users" if self.users is None else quantity(len(self.users), "user")
        return (
            f"Recommender({type(self.model).__name__}, {users}, "
            f"{quantity(len(self.items), 'item')}, index={self.index!r})"
        )

    def recommend(
        self,
        users: RawIds | None = None,
        *,
        histories: Histories | None = None,
        k: Size = 10,
        history_items: HistoryItems = "exclude",
        only: Lists | pl.Series | None = None,
        exclude: Lists | pl.Series | None = None,
        diversity: Weight = 0.0,
        candidates: Size | None = None,
        unknown: Unknown = "error",
        empty_history: Fallback = "error",
    ) -> pl.DataFrame:
        """The k items with the highest score for each user.

        Args:
            users: Raw ids of users of the graph. Their full sequences are read,
                held-out targets included: this is for production, not for evaluation.
            histories: Instead of users, sequences of raw item ids, oldest first, of
                users outside the graph; or a log of such users.
            k: Items for each user; fewer if the candidates run out.
            history_items: Whether items of the history can be recommended: ``exclude``
                or ``keep`` them.
            only: Raw ids of the items that can be recommended; or a list of them for
                each user, in the order of the users.
            exclude: Raw ids of items that cannot be recommended, in the same form. With
                ``only``, and with ids for all users, every item is scored, and an
                index is not used.
            diversity: λ of ComiRec: the list is chosen item by item, and an item's
                score is reduced by λ for each chosen item of its category. 0 orders
                by score alone. The scores returned are those of the model.
            candidates: Best items of each user from which ``diversity`` chooses;
                ``None`` is 10 k.
            unknown: ``skip`` leaves out unknown users and items, with a warning that
                names them; ``error`` refuses them.
            empty_history: ``popularity`` recommends the items with the most training
                events to users without any event, and with a model that has a vector
                of each user, to those without training events; their score is that
                number. ``error`` refuses them, since they give the model nothing to
                read.

        Returns:
            Columns ``user`` (raw id) or, for lists of histories, ``history`` (the index
            in ``histories``); ``rank`` (from 1), ``item`` (raw id), ``score``; users in
            the order requested.

        Raises:
            DataError: An id is unknown, or a history is empty.
            ConfigError: An option has an unknown value; both users and histories are
                given, or neither; histories are given to a model with user embeddings;
                lists of items are not as many as the users; or diversity is above 0
                without categories.
        """
        check_given(users, histories, needed=True)
        lists = self.batches(
            users,
            histories=histories,
            size=None,
            k=k,
            history_items=history_items,
            only=only,
            exclude=exclude,
            diversity=diversity,
            candidates=candidates,
            unknown=unknown,
            empty_history=empty_history,
        )
        return next(lists)

    def batches(
        self,
        users: RawIds | None = None,
        *,
        histories: Histories | None = None,
        size: int | None = USERS_AT_ONCE,
        only: Lists | pl.Series | None = None,
        exclude: Lists | pl.Series | None = None,
        **options: Any,
    ) -> Iterator[pl.DataFrame]:
        """The lists of :meth:`recommend` in parts, so that memory stays bounded.

        Args:
            users: Raw ids of users; ``None`` without ``histories``: all of the graph.
            histories: As for :meth:`recommend`.
            size: Users of a part; ``None``: all.
            only: As for :meth:`recommend`.
            exclude: As for :meth:`recommend`.
            options: All others of :meth:`recommend`.

        Yields:
            One frame for each part, at least one.
        """
        refuse("recommend", find_invalid(Recommender.recommend, options))
        known = fill_defaults(Recommender.recommend, options)
        k, unknown, diversity = (known[n] for n in ("k", "unknown", "diversity"))
        pool = pool_size(k, diversity, known["candidates"], self._category is not None)
        requests = self._known.requests(self.model, users, histories, unknown)
        allowed = read_candidates(
            self.items, requests, unknown, only=only, exclude=exclude
        )
        number = len(requests.users)
        for start in range(0, max(number, 1), size or max(number, 1)):
            rows = torch.arange(start, min(start + (size or number), number))
            chosen, left = requests.take(rows), allowed.take(rows)
            if known["history_items"] == "exclude":
                left = left.excluding(chosen.sequences)
            found = self._ranker.best(chosen, left, pool)
            unread = self._known.unread(chosen, self.model)
            if unread.any():
                if known["empty_history"] == "error":
                    raise nothing_to_read(chosen, unread, self.model)
                without = unread.nonzero().squeeze(1)
                self._known.require_users()  # whose events are counted
                found[unread] = self._ranker.popular(
                    chosen.take(without), left.take(without), pool
                )
            if diversity and self._category is not None:
                found = diversify(found, self._category, k, diversity)
            yield self._table(chosen.names, found, "item")

    def score(
        self,
        items: RawIds,
        users: RawIds | None = None,
        *,
        histories: Histories | None = None,
        unknown: Unknown = "error",
    ) -> pl.DataFrame:
        """The scores of given pairs of users and items.

        Args:
            items: Raw id of the item of each pair.
            users: Raw id of the user of each pair, a user of the graph.
            histories: Instead of users, the history of each pair.
            unknown: ``skip`` leaves out pairs of unknown users or items, with a warning
                that names them; ``error`` refuses them.

        Returns:
            Columns ``user`` or ``history``, ``item`` and ``score``, in the order given.

        Raises:
            DataError: An id is unknown, or a history is empty.
            ConfigError: There are not as many users or histories as items.
        """
        refuse("score", find_invalid(Recommender.score, {"unknown": unknown}))
        check_pairs(items, users, histories)
        row = torch.arange(len(items))
        if users is not None:
            distinct, numbers = Vocabulary.number(as_series(users, mixed=True))
            users, row = distinct.ids, torch.tensor(numbers)
        requests = self._known.requests(self.model, users, histories, unknown)
        unread = self._known.unread(requests, self.model)
        if unread.any():
            raise nothing_to_read(requests, unread, self.model)
        index = torch.full((requests.given,), -1)
        index[requests.kept] = torch.arange(len(requests.kept))
        row, item = index[row], encode(self.items, items, unknown, "items")
        known = (row >= 0) & (item >= 0)
        row, item = row[known], item[known]
        return pl.DataFrame(
            {
                requests.names.name: requests.names.gather(row.numpy()),
                "item": self.items.ids.gather(item.numpy()),
                "score": self._ranker.scores(requests, row, item).numpy(),
            }
        )

    def similar_items(self, items: RawIds, *, k: Size = 10) -> pl.DataFrame:
        """The k items with the largest cosine similarity to each item.

        Returns:
            Columns ``item``, ``rank`` (from 1), ``similar`` (raw ids), ``score``.

        Raises:
            DataError: An id is unknown.
        """
        refuse("similar_items", find_invalid(Recommender.similar_items, {"k": k}))
        dense = torch.tensor(self.items.encode(items))
        names = pl.Series("item", self.items.decode(dense.numpy()))
        vectors = torch.nn.functional.normalize(self._ranker.vectors.float(), dim=1)
        itself = Ragged(dense, torch.arange(len(dense) + 1))
        queries = vectors[dense.to(vectors.device)]
        cosine = InnerProduct(lambda queries: queries, vectors)
        found = self._ranker.indexed(cosine).search(queries, itself, k)
        return self._table(names, found, "similar")

    def vectors(self) -> pl.DataFrame:
        """The item vectors, for other tools such as an index, a plot or a model.

        Returns:
            Columns ``item`` (raw id) and ``vector`` (D numbers, float32), one row
            an item.
        """
        table = self._ranker.vectors.float().cpu().numpy()
        return pl.DataFrame({"item": self.items.ids, "vector": table})

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
