"""BPR-MF: matrix factorisation by pairwise ranking."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.base import Model
from graphseq.objectives import bpr
from graphseq.schema import Size
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import Sampler


@final
class BPRMF(Model):
    r"""Rendle et al., "BPR: Bayesian Personalized Ranking …", UAI 2009.

    The score :math:`p_u \cdot q_i` of a user's item should exceed that of an item
    sampled uniformly among the others. The order of events is not read. Splits that
    hold out users without training events are refused.

    Departs from the paper:
        Adam instead of bootstrap SGD; the prior is the optimiser's weight decay.

    Args:
        num_users: U.
        num_items: V.
        dim: D.
        num_negatives: Items sampled for each event.
    """

    sampler: Sampler = "pairs"
    has_user_embeddings = True

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        dim: Size = 64,
        num_negatives: Size = 1,
    ) -> None:
        super().__init__()
        self.num_users = num_users
        self.num_items = num_items
        self.num_negatives = num_negatives
        self.users = nn.Parameter(nn.init.xavier_normal_(torch.empty(num_users, dim)))
        self.items = nn.Parameter(nn.init.xavier_normal_(torch.empty(num_items, dim)))

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The user's vector."""
        return self.users[batch.user]

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The items' vectors."""
        return self.items

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The user's item above the sampled ones."""
        user, (target, sampled) = self.users[batch.user], batch.pairs()
        positive = (user * self.items[target]).sum(dim=1)
        negative = torch.einsum("bd,bkd->bk", user, self.items[sampled])
        return {"pairs": bpr(positive, negative)}
