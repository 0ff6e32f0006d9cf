"""What SimGCL and XSimGCL have in common: propagation with noise, and their losses."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.joint_tables import JointTables
from graphseq.models.scoring import InnerProduct, Scorer
from graphseq.nn.adjacency import operator
from graphseq.objectives import bpr, nt_xent
from graphseq.schema import Positive, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import Sampler


class PerturbedGraphModel(JointTables):
    """User and item vectors propagated over their graph, in training with noise.

    The equation, the options and their defaults are those of :class:`SimGCL`. A
    subclass implements :meth:`losses`.
    """

    requires = (INTERACTS,)
    sampler: Sampler = "pairs"
    num_negatives = 1
    has_user_embeddings = True

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        dim: Size = 64,
        layers: Size = 3,
        noise: Weight = 0.1,
        weight: Weight = 0.5,
        temperature: Positive = 0.2,
        decay: Weight = 1e-4,
    ) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items
        self.layers, self.noise = layers, noise
        self.weight, self.temperature, self.decay = weight, temperature, decay
        users, items = torch.empty(num_users, dim), torch.empty(num_items, dim)
        self.users = nn.Parameter(nn.init.xavier_uniform_(users))
        self.items = nn.Parameter(nn.init.xavier_uniform_(items))

    def layer_vectors(
        self, graph: HeteroData, *, noisy: bool = False
    ) -> Float[Tensor, "l N D"]:
        """The vectors of all nodes after each step, users first."""
        x = self.nodes
        step, found = operator(graph, INTERACTS), list[Tensor]()
        for _ in range(self.layers):
            x = step.multiply(x)
            if noisy:
                x = x + self.noise * x.sign() * F.normalize(torch.rand_like(x), dim=1)
            found.append(x)
        return torch.stack(found)

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The user's vector, without noise."""
        return self.layer_vectors(graph).mean(dim=0)[batch.user]

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The items' vectors, without noise."""
        return self.layer_vectors(graph).mean(dim=0)[self.num_users :]

    def scorer(self, graph: HeteroData) -> Scorer:
        """Inner products of vectors that are propagated once."""
        vectors = self.layer_vectors(graph).mean(dim=0).detach()

        def represent(batch: Any) -> Tensor:
            return vectors[batch.user]

        return InnerProduct(represent, vectors[self.num_users :])

    def ranking(
        self, vectors: Float[Tensor, "N D"], batch: Batch
    ) -> dict[str, Float[Tensor, ""]]:
        """BPR, and the penalty :math:`λ (‖E_u‖_F + ‖E_i‖_F) / B` of the pairs."""
        target, sampled = batch.pairs()
        user, item = vectors[batch.user], vectors[self.num_users + target]
        negative = vectors[self.num_users + sampled]
        positive = (user * item).sum(dim=1)
        penalty = (user.norm() + item.norm()) / len(batch)
        return {
            "pairs": bpr(positive, torch.einsum("bd,bkd->bk", user, negative)),
            "decay": self.decay * penalty,
        }

    def contrast(
        self, first: Float[Tensor, "N D"], second: Float[Tensor, "N D"], batch: Batch
    ) -> Float[Tensor, ""]:
        """InfoNCE of two views: of the distinct users, plus of the distinct items."""
        terms = [
            nt_xent(
                first[rows],
                second[rows],
                temperature=self.temperature,
                similarity="cosine",
                scheme="cross_only",
            )
            for rows in (batch.distinct_users, self.num_users + batch.distinct_targets)
        ]
        return self.weight * torch.stack(terms).sum()
