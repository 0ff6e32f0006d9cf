"""Sparse offsets: what some items of each row add to their logits."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class Offsets(NamedTuple):
    """What up to L items of each row add to their logits.

    Attributes:
        items: Item ids, (N, L). Unused entries hold any id, with the value 0. The
            values of an item that is twice in a row are added up.
        values: What is added, (N, L).
    """

    items: Int[Tensor, "N L"]
    values: Float[Tensor, "N L"]

    def add_to(self, logits: Float[Tensor, "N V"]) -> Float[Tensor, "N V"]:
        """Add the offsets, in place.

        Args:
            logits: Scores of all items; columns beyond V stay as they are.
        """
        return logits.scatter_add_(1, self.items, self.values.to(logits.dtype))

    def of(self, targets: Int[Tensor, "N"]) -> Float[Tensor, "N"]:
        """The offset of one item of each row, 0 where it has none.

        Args:
            targets: An item id for each row.
        """
        hits = self.items == targets[:, None]
        return (self.values * hits).sum(dim=1)
