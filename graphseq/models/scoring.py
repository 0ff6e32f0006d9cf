"""Scores of all items for batches of users, in blocks that stay in the cache."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from graphseq.data.ragged import Ragged

COLUMNS = 64  # the columns of a block are a multiple of it
CPU_BLOCK = 2**21  # scores in a block, 8 MB: more would not stay in the cache
DEVICE_BLOCK = 2**26  # scores in a block on an accelerator, 256 MB
FEWEST_ROWS = 16  # with fewer, the product rereads the item vectors too often

Blocks = Iterator[tuple[int, Float[Tensor, "n W"]]]


def width(num_items: int) -> int:
    """Columns of a score block: V and the padding id, rounded up to whole spans."""
    return (num_items // COLUMNS + 1) * COLUMNS


def rows_of_block(columns: int, device: torch.device) -> int:
    """How many users have their scores in one block."""
    most = CPU_BLOCK if device.type == "cpu" else DEVICE_BLOCK
    rows: int = 2 ** int(math.log2(max(FEWEST_ROWS, most // columns)))
    return rows


class Scorer(ABC):
    """Scores of all items for rows of batches, by a model on one graph.

    A scorer holds what the model computes once for a graph, and does not change while
    it is used: several threads can share one.

    Attributes:
        num_items: V.
        device: Where batches have to be, and scores are.
        depends_on_candidates: Whether scores depend on which items are candidates, as
            combined ranks do.
    """

    depends_on_candidates: bool = False
    num_items: int
    device: torch.device

    @abstractmethod
    def blocks(self, batch: Any) -> Blocks:
        """Scores of consecutive rows: (first row, scores of n rows), float32.

        Each block overwrites the one before; calls share no memory that they write.

        Args:
            batch: The rows, on the scorer's device.

        Yields:
            Blocks of :func:`width` columns. Those beyond V (at least one) are -inf:
            padding is never recommended.
        """

    def candidate_blocks(self, batch: Any, excluded: Ragged) -> Blocks:
        """As :meth:`blocks`, if some items of each row are no candidates.

        Their own scores have no meaning. Only scorers whose scores depend on the
        candidates define it.

        Args:
            batch: The rows, on the scorer's device.
            excluded: Items of each row that are not candidates, each once.
        """
        return self.blocks(batch)


class Catalogue:
    """The vectors of all items, laid out for products with blocks of users.

    Scores are float32 whatever the model computes in.

    Args:
        vectors: One row an item, (V, D).
    """

    def __init__(self, vectors: Float[Tensor, "V D"]) -> None:
        self.num_items, dim = vectors.shape
        columns = width(self.num_items)
        self._table = vectors.new_zeros(dim, columns, dtype=torch.float32)
        self._table[:, : self.num_items] = vectors.T
        self._rows = rows_of_block(columns, vectors.device)

    @property
    def device(self) -> torch.device:
        """The device of the vectors."""
        return self._table.device

    def blocks(
        self, vectors: Float[Tensor, "B D"] | Float[Tensor, "B K D"]
    ) -> Iterator[tuple[int, Float[Tensor, "n W"]]]:
        """Scores of consecutive users, as :meth:`Scorer.blocks`.

        The score of a user with K vectors is the maximum over them.
        """
        interests = vectors.shape[1] if vectors.dim() == 3 else 1
        step = max(1, self._rows // interests)
        longest = min(step, len(vectors)) * interests
        buffer = self._table.new_empty(longest, self._table.shape[1])
        for first in range(0, len(vectors), step):
            rows = vectors[first : first + step]
            flat = rows.reshape(-1, rows.shape[-1]).float()
            scores = torch.mm(flat, self._table, out=buffer[: len(flat)])
            if interests > 1:
                scores = scores.view(len(rows), interests, -1).amax(dim=1)
            scores[:, self.num_items :] = -torch.inf
            yield first, scores


class InnerProduct(Scorer):
    """Scores as inner products of user and item vectors.

    Args:
        represent: The vectors of a batch, (B, D) or (B, K, D).
        vectors: One row an item, (V, D).
    """

    def __init__(
        self, represent: Callable[[Any], Tensor], vectors: Float[Tensor, "V D"]
    ) -> None:
        self.represent = represent
        self.vectors = vectors.detach()
        self._catalogue = Catalogue(self.vectors)
        self.num_items, self.device = len(vectors), vectors.device

    def blocks(self, batch: Any) -> Blocks:
        """As :meth:`Scorer.blocks`."""
        return self._catalogue.blocks(self.represent(batch))
