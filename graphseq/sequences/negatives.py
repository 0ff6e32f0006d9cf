"""Items that a user did not choose, drawn uniformly."""

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS


class UniformNegatives:
    """Draws items uniformly among those that a user has no training event with.

    Rejected draws are drawn again, for all rows at once, up to twenty times. A user who
    chose nearly the whole catalogue then keeps items that were chosen: one draw in nine
    of a user who chose nine items in ten.

    Source:
        The sampler of SASRec and its descendants, which also avoid the user's held-out
        items: a mild leak that is not repeated here.

    Args:
        graph: Whose user-item edges are avoided.
    """

    ROUNDS = 20

    def __init__(self, graph: HeteroData) -> None:
        user, item = graph[INTERACTS].edge_index
        self.num_items = int(graph["item"].num_nodes)
        self.chosen = (user * self.num_items + item).unique()

    def draw(
        self, user: Int[Tensor, "B"], size: tuple[int, ...], generator: torch.Generator
    ) -> Int[Tensor, "B *size"]:
        """Negatives for each row: shape ``(B, *size)``."""
        shape = (len(user), *size)
        base = (user * self.num_items).view(-1, *(1 for _ in size)).expand(shape)
        drawn = torch.randint(self.num_items, shape, generator=generator)
        again = self._rejected(base, drawn).nonzero(as_tuple=True)
        for _ in range(self.ROUNDS):
            if not len(again[0]):
                break
            fresh = torch.randint(self.num_items, (len(again[0]),), generator=generator)
            drawn[again] = fresh
            keep = self._rejected(base[again], fresh).nonzero()[:, 0]
            again = tuple(index[keep] for index in again)
        return drawn

    def _rejected(self, base: Tensor, drawn: Tensor) -> Tensor:
        key = base + drawn
        place = torch.searchsorted(self.chosen, key).clamp(max=len(self.chosen) - 1)
        rejected: Tensor = self.chosen[place] == key
        return rejected
