"""Scores of all items for users, in blocks small enough to stay in the cache."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graphseq.evaluation.topk import width

CPU_BLOCK = (
    2**21
)  # scores in a block, 8 MB: fewer means more calls, more leaves the cache
DEVICE_BLOCK = 2**26  # scores in a block on an accelerator, 256 MB
FEWEST_ROWS = 16  # below this the product rereads the item vectors too often


class Catalogue:
    """The vectors of all items, laid out for products with blocks of users.

    Scores are float32 whatever the model computes in. The columns beyond V, of which
    there is at least one, score -inf: what stands for padding is never recommended.

    Args:
        vectors: One row an item, (V, D).
    """

    def __init__(self, vectors: Float[Tensor, "V D"]) -> None:
        self.num_items, dim = vectors.shape
        columns = width(self.num_items)
        self._table = vectors.new_zeros(dim, columns, dtype=torch.float32)
        self._table[:, : self.num_items] = vectors.T
        most = CPU_BLOCK if vectors.device.type == "cpu" else DEVICE_BLOCK
        self._rows = 2 ** int(math.log2(max(FEWEST_ROWS, most // columns)))
        self._buffer = self._table.new_empty(0, columns)

    @property
    def device(self) -> torch.device:
        """Where the vectors lie."""
        return self._table.device

    def blocks(
        self, vectors: Float[Tensor, "B D"] | Float[Tensor, "B K D"]
    ) -> Iterator[tuple[int, Float[Tensor, "n W"]]]:
        """Scores of consecutive users: (first row, scores of n rows).

        A user of K vectors scores an item by the best of them. Each block overwrites
        the one before.
        """
        interests = vectors.shape[1] if vectors.dim() == 3 else 1
        step = max(1, self._rows // interests)
        for first in range(0, len(vectors), step):
            rows = vectors[first : first + step]
            scores = self._product(rows.reshape(-1, rows.shape[-1]).float())
            if interests > 1:
                scores = scores.view(len(rows), interests, -1).amax(dim=1)
            scores[:, self.num_items :] = -torch.inf
            yield first, scores

    def _product(self, rows: Float[Tensor, "n D"]) -> Float[Tensor, "n W"]:
        if len(self._buffer) < len(rows):
            self._buffer = self._table.new_empty(len(rows), self._table.shape[1])
        return torch.mm(rows, self._table, out=self._buffer[: len(rows)])


@contextmanager
def scoring(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every part gets its former mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
