"""Session graphs, the gated network on them, and the states of their sequences."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from graphseq.schema import Configurable, Size


class SessionGraphs(NamedTuple):
    """The transition graphs of B sequences, as the components of one graph.

    Each of the n nodes is a distinct item of one sequence; an edge leads from an item
    to the next one. No edge joins two sequences.

    Attributes:
        items: Item of each node, ascending within a sequence, (n,).
        batch: Sequence of each node, (n,).
        alias: Node of each position, (B, L); at padding 0, a valid index of node
            states to be masked.
        edge_index: Each transition once, sorted by source, then target, (2, E).
        counts: Occurrences of each transition, (E,).
    """

    items: Int[Tensor, "n"]
    batch: Int[Tensor, "n"]
    alias: Int[Tensor, "B L"]
    edge_index: Int[Tensor, "2 E"]
    counts: Int[Tensor, "E"]

    def weights(
        self, direction: Literal["out", "in"], *, binary: bool = True
    ) -> Float[Tensor, "E"]:
        """Edge weights that sum to 1 over the edges out of, or into, each node.

        Source:
            Wu et al., SR-GNN, AAAI 2019, section 3.2: the matrices A^(out), A^(in).
            The paper counts occurrences (``binary=False``); in the authors' code
            each distinct transition has weight 1.
        """
        weight = torch.ones_like(self.counts) if binary else self.counts
        node = self.edge_index[0 if direction == "out" else 1]
        sums = weight.new_zeros(len(self.items)).index_add_(0, node, weight)
        return weight / sums[node]


def session_graphs(
    items: Int[Tensor, "B L"], lengths: Int[Tensor, "B"]
) -> SessionGraphs:
    """The session graphs of right-padded sequences.

    Padding is not a node. An item that directly follows itself has a self-loop.

    Args:
        items: Item ids; those beyond a row's length are ignored.
        lengths: Number of real items in each row; may be 0.
    """
    device, steps = items.device, torch.arange(items.shape[1], device=items.device)
    real = steps < lengths[:, None]
    row = torch.arange(len(items), device=device)[:, None].expand_as(items)
    stride = items[real].max() + 1 if real.any() else 1
    keys, nodes = torch.unique(row[real] * stride + items[real], return_inverse=True)
    alias = torch.zeros_like(items)
    alias[real] = nodes
    follows = real[:, 1:]
    pairs = alias[:, :-1][follows] * len(keys) + alias[:, 1:][follows]
    edges, counts = torch.unique(pairs, return_counts=True)
    source_target = torch.stack([edges // max(len(keys), 1), edges % max(len(keys), 1)])
    return SessionGraphs(keys % stride, keys // stride, alias, source_target, counts)


class GatedGraph(Configurable, nn.Module):
    r"""Message passing along and against directed edges, with a GRU as the update.

    With the weights :math:`w` of a node's edges, which sum to 1, each step computes

    .. math::
        m^{in}_i &= \sum_{j → i} w^{in}_{ji} (W_{in} h_j + b_{in}) + b'_{in} \\
        m^{out}_i &= \sum_{i → j} w^{out}_{ij} (W_{out} h_j + b_{out}) + b'_{out} \\
        h_i &\leftarrow \mathrm{GRU}([m^{in}_i ‖ m^{out}_i], h_i)

    for all nodes at once; many graphs are processed as the components of one.

    Source:
        Wu et al., SR-GNN, AAAI 2019, Eqs. (1)-(5), after Li et al., GGNN, ICLR 2016.

    Departs from the source:
        In the paper the update gate weights the new state; in the authors' code (and
        here, as in ``nn.GRUCell``) the old one: the same family of functions.

    Args:
        dim: D.
        steps: Message-passing steps.
        bias: Whether there are the biases :math:`b'`, also added for a node without
            neighbours (in SR-GNN, not in GC-SAN).
    """

    def __init__(self, dim: Size, *, steps: Size = 1, bias: bool = True) -> None:
        super().__init__()
        self.steps = steps
        self.messages = nn.Linear(dim, 2 * dim)
        self.bias = nn.Parameter(torch.empty(2 * dim)) if bias else None
        self.cell = nn.GRUCell(2 * dim, dim)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -(dim**-0.5), dim**-0.5)

    def forward(
        self,
        x: Float[Tensor, "n D"],
        edge_index: Int[Tensor, "2 E"],
        incoming: Float[Tensor, "E"],
        outgoing: Float[Tensor, "E"],
    ) -> Float[Tensor, "n D"]:
        """The states of the nodes after all steps.

        Args:
            x: Initial states.
            edge_index: Source and target of each edge.
            incoming: Weight of each edge for its target.
            outgoing: Weight of each edge for its source.
        """
        source, target = edge_index
        for _ in range(self.steps):
            into, out = self.messages(x).chunk(2, dim=1)
            before = _aggregate(into, source, target, incoming)
            after = _aggregate(out, target, source, outgoing)
            messages = torch.cat([before, after], dim=1)
            if self.bias is not None:
                messages = messages + self.bias
            x = self.cell(messages, x)
        return x


def _aggregate(
    x: Tensor, source: Tensor, target: Tensor, weight: Tensor
) -> Float[Tensor, "n D"]:
    """Weighted sum over the neighbours of each node; zero without neighbours."""
    messages = x.index_select(0, source) * weight[:, None].to(x.dtype)
    return torch.zeros_like(x).index_add(0, target, messages)


class SessionStates(nn.Module):
    """Item states along each sequence, from a gated network on its session graph.

    The graphs of a batch are built in the forward pass, vectorised, on the model's
    device: the loader does not depend on graphs, and no graph is stored.

    Args:
        dim: D.
        steps: Steps of the gated network.
        binary: Whether each distinct transition has weight 1, or its count.
        bias: Whether the network has the biases :math:`b'`.
    """

    def __init__(self, dim: int, *, steps: int, binary: bool, bias: bool) -> None:
        super().__init__()
        self.network = GatedGraph(dim, steps=steps, bias=bias)
        self.binary = binary

    def forward(
        self,
        table: Float[Tensor, "V D"],
        items: Int[Tensor, "B L"],
        lengths: Int[Tensor, "B"],
    ) -> Float[Tensor, "B L D"]:
        """The state of the item at each position; zero at padding."""
        session = session_graphs(items, lengths)
        mask = torch.arange(items.shape[1], device=items.device) < lengths[:, None]
        nodes = self.network(
            nn.functional.embedding(session.items, table),
            session.edge_index,
            session.weights("in", binary=self.binary),
            session.weights("out", binary=self.binary),
        )
        return unfold(nodes, session.alias, mask)


def unfold(
    nodes: Float[Tensor, "n D"], alias: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"]
) -> Float[Tensor, "B L D"]:
    """Node states along the sequences; zero at padding.

    Args:
        nodes: State of each node.
        alias: Node of each position.
        mask: True at real items; all may be False.
    """
    padded = nn.functional.pad(nodes, (0, 0, 0, 1))
    return nn.functional.embedding(alias.where(mask, len(nodes)), padded)
