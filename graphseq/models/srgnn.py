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
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import Sampler


@final
class SRGNN(Model):
    r"""Wu et al., "Session-based Recommendation with Graph Neural Networks", AAAI 2019.

    A sequence becomes a graph: its items are the nodes, each transition an edge. A
    gated network (Eqs. 1-5) passes messages in both directions. The state of the last
    item, :math:`h_n`, and a soft attention over all places are merged into the vector
    that scores the items (Eqs. 6-8):

    .. math:: α_t = q^⊤ σ(W_1 h_n + W_2 h_t + c), \qquad
        s = W_3 \Big[\sum_t α_t h_t ‖ h_n\Big]

    The graphs are built when a batch is read, vectorised over all of it: the loader
    knows nothing of graphs, they are made on the model's device, and nothing is stored.
    Each prefix of a sequence has a graph of its own, so the model always learns from
    prefixes.

    Departs from the paper:
        A transition that occurs twice weighs as much as one that occurs once
        (``binary``), as in the authors' code; the paper counts. There is no L2 term
        (see ``weight_decay`` of ``fit``), the widths are those of our other models, not
        100, and item vectors start normal, with the spread of the authors' uniform
        draws. Their learning rate falls to a tenth every three epochs: ``lr_decay=0.1,
        lr_decay_every=3`` of :func:`graphseq.fit`.

    Args:
        num_users: U.
        num_items: V.
        dim: D; ignored in favour of the features' own if ``features`` is given.
        max_length: Longest history that is read.
        steps: Steps of the gated network.
        binary: Whether the edges of a session are counted once each.
        bias: Whether the messages have a bias of their own.
        features: What is read of an item; ``None`` is a plain ``Embedding``.
    """

    sampler: Sampler = "prefix"

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        max_length: int = 50,
        steps: int = 1,
        binary: bool = True,
        bias: bool = True,
        features: Features | None = None,
    ) -> None:
        super().__init__()
        check_ranges(sizes={"dim": dim, "max_length": max_length})
        self.num_users, self.num_items = num_users, num_items
        self.max_length = max_length
        # the spread of the authors' uniform draws from ±1 / sqrt(D)
        features = features or Embedding(num_items, dim=dim, std=(3 * dim) ** -0.5)
        self.features, dim = features, features.dim
        self.requires = features.requires
        self.states = SessionStates(dim, steps=steps, binary=binary, bias=bias)
        self.of_last, self.of_each = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.query = nn.Linear(dim, 1, bias=False)
        self.merge = nn.Linear(2 * dim, dim)
        for weight in self.merge.parameters():  # torch's would be narrower here alone
            nn.init.uniform_(weight, -(dim**-0.5), dim**-0.5)

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The merged session vector, Eq. (7)."""
        return self.session(self.item_vectors(graph), batch)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The features themselves, not the network's states, Eq. (8)."""
        return self.features(graph)  # type: ignore[no-any-return]

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The one target of each row."""
        items = self.item_vectors(graph)
        _, targets = batch.target_positions()
        return {"next_item": cross_entropy(self.session(items, batch), items, targets)}

    def session(
        self, table: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B D"]:
        """A row's vector from item vectors; that of an empty row is W_3's bias."""
        states = self.states(table, batch.items, batch.lengths)
        last = batch.last(states)
        wanted = self.of_last(last)[:, None] + self.of_each(states)
        weight = self.query(wanted.sigmoid())  # no softmax; padded states are zero
        whole = (weight * states).sum(dim=1)
        merged: Tensor = self.merge(torch.cat([whole, last], dim=1))
        return merged
