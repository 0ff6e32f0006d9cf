"""POP: the most popular items, for every user."""

from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.base import Model
from graphseq.schema import Size
from graphseq.sequences.batch import Batch


@final
class POP(Model):
    """Popularity: the score of an item is its number of events.

    The baseline that every model must exceed. It has no parameters.

    Departs from the published results:
        S3-Rec's table, copied by its successors, also counts held-out events
        (``counts="all"``, a leak, available only to reproduce those results).

    Args:
        num_users: U.
        num_items: V.
        counts: Count the ``train`` events, or ``all`` with validation and test targets.
    """

    requires = (INTERACTS,)

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        counts: Literal["train", "all"] = "train",
    ) -> None:
        super().__init__()
        self.num_users = num_users
        self.num_items = num_items
        self.counts = counts

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B 1"]:
        """One, for every user."""
        return torch.ones_like(batch.user, dtype=torch.float32)[:, None]

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V 1"]:
        """The counts."""
        events = graph[INTERACTS].edge_index[1]
        if self.counts == "all":
            events = torch.cat([events, graph.validation.target, graph.test.target])
        return torch.bincount(events, minlength=self.num_items).float()[:, None]

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """Nothing is trained."""
        return {}
