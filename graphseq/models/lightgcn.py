"""LightGCN: user and item vectors smoothed over their graph."""

from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.joint_tables import JointTables
from graphseq.nn.adjacency import operator
from graphseq.nn.propagation import propagate
from graphseq.objectives import bpr
from graphseq.schema import Count, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import Sampler


@final
class LightGCN(JointTables):
    r"""He et al., "LightGCN: Simplifying and Powering GCN …", SIGIR 2020.

    .. math:: E^{(l)} = D^{-1/2} A D^{-1/2} E^{(l-1)}, \qquad
        E = \frac{1}{L + 1} \sum_{l=0}^{L} E^{(l)}

    over the user-item graph, trained by BPR with an L2 penalty on the vectors that the
    batch starts from. Splits that hold out users without training events are refused.

    Departs from the paper:
        As in the authors' code, BPR is a mean over the pairs of a batch, and the
        penalty covers the rows of the batch; Eq. (15) sums over all rows.

    Args:
        num_users: U.
        num_items: V.
        dim: D.
        layers: Steps of propagation, L.
        readout: ``mean`` of all layers, or the ``last`` one, which is clearly weaker.
        decay: λ of the penalty :math:`λ (‖e_u‖² + ‖e_i‖² + ‖e_j‖²) / 2B`.
        num_negatives: Items sampled for each event.
    """

    requires = (INTERACTS,)
    sampler: Sampler = "pairs"
    has_user_embeddings = True

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        dim: Size = 64,
        layers: Count = 3,
        readout: Literal["mean", "last"] = "mean",
        decay: Weight = 1e-4,
        num_negatives: Size = 1,
    ) -> None:
        super().__init__()
        self.num_users = num_users
        self.num_items = num_items
        self.layers = layers
        self.readout: Literal["mean", "last"] = readout
        self.decay = decay
        self.num_negatives = num_negatives
        both = nn.init.normal_(torch.empty(num_users + num_items, dim), std=0.1)
        self.users = nn.Parameter(both[:num_users].clone())
        self.items = nn.Parameter(both[num_users:].clone())

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The user's vector."""
        return self.propagated(graph, batch.user)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The items' vectors."""
        items = torch.arange(self.num_items, device=self.items.device)
        return self.propagated(graph, self.num_users + items)

    def propagated(
        self, graph: HeteroData, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n D"]:
        """Some nodes' vectors, users first: Eqs. (7)-(8)."""
        step = operator(graph, INTERACTS)
        return propagate(self.nodes, step, self.layers, self.readout, rows)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """BPR, Eq. (15), and the penalty on the vectors before propagation."""
        target, sampled = batch.pairs()
        items = torch.cat([target, sampled.flatten()])
        rows = torch.cat([batch.user, items + self.num_users])
        nodes, step = self.nodes, operator(graph, INTERACTS)
        vectors = propagate(nodes, step, self.layers, self.readout, rows)
        user, item, other = vectors.split([len(batch), len(batch), sampled.numel()])
        positive = (user * item).sum(dim=1)
        negative = torch.einsum("bd,bkd->bk", user, other.view(*sampled.shape, -1))
        penalty = nodes[rows].square().sum() / (2 * len(batch))
        return {"pairs": bpr(positive, negative), "decay": self.decay * penalty}
