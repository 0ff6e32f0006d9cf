"""SR-GNN: a gated network on the graph of each session."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.base import Model
from graphseq.nn.features import Embedding, Features
from graphseq.nn.session_graph import SessionStates
from graphseq.objectives import cross_entropy
from graphseq.schema import Size
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import Sampler


@final
class SRGNN(Model):
    r"""Wu et al., "Session-based Recommendation with Graph Neural Networks", AAAI 2019.

    A sequence becomes a graph: its items are the nodes, each transition an edge. A
    gated network (Eqs. 1-5) passes messages in both directions. The state of the last
    item, :math:`h_n`, and a soft attention over all positions are merged into the
    vector that scores the items (Eqs. 6-8):

    .. math:: α_t = q^⊤ σ(W_1 h_n + W_2 h_t + c), \qquad
        s = W_3 \Big[\sum_t α_t h_t ‖ h_n\Big]

    The graphs of a batch are built on the model's device when the batch is encoded, in
    one vectorised pass. Each prefix of a sequence has its own graph, so the sampler is
    always ``prefix``.

    Departs from the paper:
        A transition that occurs twice weighs as much as one that occurs once
        (``binary``), as in the authors' code; the paper counts. The loss has no L2
        term (see ``weight_decay`` of ``fit``), the width is 64 instead of 100, and item
        vectors start normal, with the variance of the authors' uniform distribution.
        Their learning rate drops to a tenth every three epochs:
        ``lr_schedule=StepDecay(0.1, every=3)`` of :func:`graphseq.fit`.

    Args:
        num_users: U.
        num_items: V.
        dim: D; that of the features, if ``features`` is given.
        max_length: Longest history that is read.
        steps: Steps of the gated network.
        binary: Whether each distinct edge of a session counts once.
        bias: Whether the messages have a bias.
        features: The item vectors; ``None`` is an ``Embedding``.
    """

    sampler: Sampler = "prefix"

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        dim: Size = 64,
        max_length: Size = 50,
        steps: Size = 1,
        binary: bool = True,
        bias: bool = True,
        features: Features | None = None,
    ) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items
        self.max_length = max_length
        # the standard deviation of a uniform distribution on ±1 / sqrt(D)
        features = features or Embedding(num_items, dim=dim, std=(3 * dim) ** -0.5)
        self.features, dim = features, features.dim
        self.requires = features.requires
        self.states = SessionStates(dim, steps=steps, binary=binary, bias=bias)
        self.of_last, self.of_each = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.query = nn.Linear(dim, 1, bias=False)
        self.merge = nn.Linear(2 * dim, dim)
        for weight in self.merge.parameters():  # torch's range is 1 / sqrt(2 D)
            nn.init.uniform_(weight, -(dim**-0.5), dim**-0.5)

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The merged session vector, Eq. (7)."""
        return self.session(self.item_vectors(graph), batch)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The features, not the network's states, Eq. (8)."""
        return self.features(graph)  # type: ignore[no-any-return]

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The one target of each row."""
        items = self.features.in_training(graph, batch.target_edges())
        targets = batch.target_items()
        return {"next_item": cross_entropy(self.session(items, batch), items, targets)}

    def session(
        self, items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B D"]:
        """The vector of each row; that of an empty row is the bias of W_3."""
        states = self.states(items, batch.items, batch.lengths)
        last = batch.last(states)
        query = self.of_last(last)[:, None] + self.of_each(states)
        weight = self.query(query.sigmoid())  # no softmax; padded states are zero
        attended = (weight * states).sum(dim=1)
        merged: Tensor = self.merge(torch.cat([attended, last], dim=1))
        return merged
