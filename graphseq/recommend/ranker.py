"""Ranks the items for requests: what a recommender computes, in dense ids."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.constants import INTERACTS
from graphseq.data import HeldOut
from graphseq.data.ragged import Ragged
from graphseq.errors import GraphSeqError
from graphseq.models.base import Model
from graphseq.models.direct import no_vectors
from graphseq.models.scoring import InnerProduct, Scorer
from graphseq.recommend.candidates import Candidates
from graphseq.recommend.popularity import Popularity
from graphseq.recommend.requests import Requests
from graphseq.recommend.search import ExactSearch, FaissSearch
from graphseq.sequences.batch import Batch, histories

BLOCK = 512  # users represented at once
CELLS = 2**22  # pairs of users and items listed at once
Index = Literal["exact", "faiss", "hnsw"]


class Ranker:
    """Ranks with a copy of a model, in evaluation mode, on one graph.

    Args:
        model: The model; its mode does not change.
        graph: The graph, on the device of the model.
        index: As for :class:`graphseq.Recommender`.
    """

    def __init__(self, model: Model, graph: HeteroData, index: Index) -> None:
        self.model = _copy_in_eval_mode(model)
        self.graph, self.index = graph, index
        with runtime.limit_threads(), torch.no_grad():
            self.scorer = self.model.scorer(graph)
            self._search = self.indexed(self.scorer)

    @property
    def vectors(self) -> Float[Tensor, "V D"]:
        """The item vectors behind the scores.

        Raises:
            ConfigError: There are none.
        """
        return _vectors_of(self.scorer, self.model)

    def indexed(self, scorer: Scorer) -> ExactSearch | FaissSearch:
        """The search for the best items of a scorer."""
        if self.index == "exact":
            return ExactSearch(scorer)
        vectors = _vectors_of(scorer, self.model)
        return FaissSearch(vectors, "flat" if self.index == "faiss" else "hnsw")

    def best(
        self, requests: Requests, candidates: Candidates, k: int
    ) -> Int[Tensor, "N k"]:
        """Keys of the best items of each row, see :mod:`graphseq.evaluation.topk`."""
        search = self._search
        if candidates.restricted and isinstance(search, FaissSearch):
            search = ExactSearch(self.scorer)
        return self._best(search, requests, candidates, k)

    def popular(
        self, requests: Requests, candidates: Candidates, k: int
    ) -> Int[Tensor, "N k"]:
        """Keys of the items with the most training events, for each row."""
        items = self.graph[INTERACTS].edge_index[1]
        counts = items.bincount(minlength=self.model.num_items).cpu()
        return self._best(ExactSearch(Popularity(counts)), requests, candidates, k)

    def _best(
        self,
        search: ExactSearch | FaissSearch,
        requests: Requests,
        candidates: Candidates,
        k: int,
    ) -> Int[Tensor, "N k"]:
        """Keys of the items found for each row."""
        order = requests.sequences.lengths.argsort(stable=True)  # less padding
        ordered, limits = requests.take(order), candidates.take(order)
        nothing = Ragged(order[:0], order.new_zeros(len(order) + 1))
        excluded = nothing if limits.excluded is None else limits.excluded
        found = [torch.empty(0, min(k, self.model.num_items), dtype=torch.int64)]
        with self._named_nan():
            for start, batch in self._read(ordered, self._rows_at_once(limits)):
                queries: Any = batch
                if isinstance(search, FaissSearch):
                    queries = self.model.represent(batch, self.graph)
                stop = start + len(batch)
                near = excluded.between(start, stop)
                if isinstance(search, FaissSearch):
                    found.append(search.search(queries, near, k))
                else:
                    part = limits.between(start, stop)
                    found.append(search.search(queries, near, k, part))
        return torch.cat(found)[order.argsort()]

    def scores(
        self, requests: Requests, row: Int[Tensor, "P"], item: Int[Tensor, "P"]
    ) -> Float[Tensor, "P"]:
        """Scores of pairs of a row and an item."""
        order = requests.sequences.lengths.argsort(stable=True)
        position = order.argsort()[row]
        by_position = position.argsort(stable=True)
        sorted_positions = position[by_position]
        found = torch.empty(len(row))
        with self._named_nan():
            for start, batch in self._read(requests.take(order)):
                for first, scores in self.scorer.blocks(batch):
                    ends = torch.tensor([0, len(scores)]) + start + first
                    low, high = torch.searchsorted(sorted_positions, ends).tolist()
                    pairs = by_position[low:high]
                    rows = position[pairs] - start - first
                    found[pairs] = scores.cpu()[rows, item[pairs]]
            if found.isnan().any():
                pair = int(found.isnan().nonzero()[0])
                place = int(row[pair]), int(item[pair])
                raise FloatingPointError("a score is NaN", *place)
        return found

    def _rows_at_once(self, limits: Candidates) -> int:
        """Fewer where ranks among the candidates need a list of all other items."""
        if limits.restricted and self.scorer.depends_on_candidates:
            return max(1, min(BLOCK, CELLS // self.model.num_items))
        return BLOCK

    def _read(
        self, requests: Requests, block: int = BLOCK
    ) -> Iterator[tuple[int, Batch]]:
        """The rows in batches on the device of the scores, with the first of each."""
        users, sequences = requests.users, requests.sequences
        rows = HeldOut(users, *sequences, users[:0], sequences.ptr * 0)
        size, length = self.model.num_items, self.model.max_length
        with runtime.limit_threads(), torch.no_grad():
            for start in range(0, len(users), block):
                here = torch.arange(start, min(start + block, len(users)))
                batch = histories(rows, here, length, size)
                yield start, batch.to(self.scorer.device)

    @contextmanager
    def _named_nan(self) -> Iterator[None]:
        """Name the model whose score is NaN."""
        try:
            yield
        except FloatingPointError as error:
            raise GraphSeqError(
                f"{type(self.model).__name__} gives NaN as a score. Its training "
                "diverged: return to an earlier checkpoint"
            ) from error


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
