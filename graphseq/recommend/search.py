"""Top items of users: exact search with any model, or a faiss index of vectors."""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graphseq.data.ragged import Ragged
from graphseq.evaluation.ranking import best_unseen
from graphseq.evaluation.topk import NOTHING, decode, keys
from graphseq.models.scoring import Scorer
from graphseq.recommend.candidates import Candidates

Queries = Float[Tensor, "B D"] | Float[Tensor, "B K D"]
EVERYTHING = Candidates()
NEIGHBOURS = 32  # links of a node in the HNSW graph
BEAM = 128  # smallest search width (efSearch) of HNSW


class ExactSearch:
    """Scores every item; equal scores are ordered by ascending id.

    Args:
        scorer: Scores all items for its queries, such as a batch of histories.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def search(
        self, queries: Any, seen: Ragged, k: int, candidates: Candidates = EVERYTHING
    ) -> Int[Tensor, "B k"]:
        """Keys of the k best items outside ``seen``, best first.

        Args:
            queries: What the scorer takes, on its device.
            seen: Items excluded for each row, each once.
            k: Length of the lists, padded with ``topk.NOTHING``.
            candidates: Further restrictions.

        Returns:
            Keys as made by :func:`graphseq.evaluation.topk.keys`.

        Raises:
            FloatingPointError: A score is NaN.
        """
        num_items = self._scorer.num_items
        found = [torch.empty(0, min(k, num_items), dtype=torch.int64)]
        outside = seen
        if candidates.restricted and self._scorer.depends_on_candidates:
            outside = candidates.left_out(seen, num_items)
        for first, scores in self._scorer.candidate_blocks(queries, outside):
            near = seen.between(first, first + len(scores))
            excluded = near.padded(num_items).to(scores.device)
            if candidates.restricted:
                candidates.mask(scores, first)
            best = best_unseen(scores, num_items, excluded, k).cpu()
            if candidates.restricted:
                best.masked_fill_(decode(best)[1] == -torch.inf, NOTHING)
            found.append(best)
        return torch.cat(found)


class FaissSearch:
    """Gets candidates from a faiss index, then scores them exactly.

    Args:
        vectors: One row an item, (V, D).
        kind: ``flat`` (inner products with every item: exact, but of equal scores at
            the end of a list any may be kept) or ``hnsw`` (a graph of near neighbours:
            approximate, for catalogues of millions).
    """

    def __init__(
        self, vectors: Float[Tensor, "V D"], kind: Literal["flat", "hnsw"]
    ) -> None:
        import faiss

        self._vectors = vectors.float().cpu().contiguous()
        self._index: Any
        if kind == "flat":
            self._index = faiss.IndexFlatIP(vectors.shape[1])
        else:
            self._index = faiss.IndexHNSWFlat(
                vectors.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT
            )
        self._kind = kind
        self._index.add(self._vectors.numpy())

    def search(self, queries: Queries, seen: Ragged, k: int) -> Int[Tensor, "B k"]:
        """As :meth:`ExactSearch.search`, for vectors of users.

        Of K vectors of a user, the best score counts. The index is queried for k items
        plus the number of excluded ones, for each of a user's vectors, so that k
        remain.
        """
        size = len(self._vectors)
        if not len(queries):
            return torch.empty(0, min(k, size), dtype=torch.int64)
        queries = queries.float().cpu()
        found = self._candidates(queries, seen, k).sort(dim=1).values
        vectors = self._vectors[found.clamp(min=0)]
        interests = queries if queries.dim() == 3 else queries[:, None]
        scores = torch.einsum("bkd,bcd->bkc", interests, vectors).amax(dim=1)
        if scores.isnan().any():
            row, column = scores.isnan().nonzero()[0].tolist()
            raise FloatingPointError("a score is NaN", row, int(found[row, column]))
        best = keys(scores, found.clamp(min=0)).masked_fill(found < 0, NOTHING)
        best[:, 1:].masked_fill_(found[:, 1:] == found[:, :-1], NOTHING)
        rows = torch.arange(len(found))
        excluded = rows.repeat_interleave(seen.lengths) * size + seen.items
        mask = torch.isin(rows[:, None] * size + found.clamp(min=0), excluded)
        return best.masked_fill(mask, NOTHING).topk(min(k, size)).values

    def _candidates(self, queries: Tensor, seen: Ragged, k: int) -> Int[Tensor, "B C"]:
        """Items that the index returns for any vector of a user, padded with -1."""
        longest = int(seen.lengths.max()) if len(seen.items) else 0
        depth = min(k + longest, len(self._vectors))
        options = {}
        if self._kind == "hnsw":  # of this search, not of the index: threads share it
            import faiss

            module: Any = faiss
            width = max(BEAM, 2 * depth)
            options["params"] = module.SearchParametersHNSW(efSearch=width)
        flat = queries.reshape(-1, queries.shape[-1]).contiguous()
        _, items = self._index.search(flat.numpy(), depth, **options)
        return torch.from_numpy(items).view(len(queries), -1)
