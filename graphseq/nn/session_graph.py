"""Session graphs, the gated network on them, and the states they give a sequence."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from graphseq.schema import check_ranges


class SessionGraphs(NamedTuple):
    """The transition graphs of B sequences, side by side as one graph of n nodes.

    A node is an item of one sequence, however often it occurs in it; an edge leads from
    an item to the one that followed. Nothing joins two sequences.

    Attributes:
        items: Item of each node, ascending within a sequence, (n,).
        batch: Sequence of each node, (n,).
        alias: Node of each position, (B, L); 0 under the padding, so that it can index
            node states, which the sequences' mask then hides.
        edge_index: Each transition once, sorted by source, then target, (2, E).
        counts: How often each transition occurs, (E,).
    """

    items: Int[Tensor, "n"]
    batch: Int[Tensor, "n"]
    alias: Int[Tensor, "B L"]
    edge_index: Int[Tensor, "2 E"]
    counts: Int[Tensor, "E"]

    def weights(
        self, direction: Literal["out", "in"], *, binary: bool = True
    ) -> Float[Tensor, "E"]:
        """Edge weights that sum to 1 over the edges out of, or into, every node.

        Source:
            Wu et al., SR-GNN, AAAI 2019, section 3.2: the matrices A^(out), A^(in).
            The paper counts (``binary=False``); the authors' code gives each
            transition 1, however often it occurs.
        """
        weight = torch.ones_like(self.counts) if binary else self.counts
        node = self.edge_index[0 if direction == "out" else 1]
        sums = weight.new_zeros(len(self.items)).index_add_(0, node, weight)
        return weight / sums[node]


def session_graphs(
    items: Int[Tensor, "B L"], lengths: Int[Tensor, "B"]
) -> SessionGraphs:
    """The session graphs of right-padded sequences.

    Padding makes no node. An item that directly follows itself makes an edge to itself.

    Args:
        items: Item ids; what stands beyond a row's length is ignored.
        lengths: Number of real items of each row; may be 0.
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


class GatedGraph(nn.Module):
    r"""Nodes listen to what leads to them and to what they lead to, through a GRU.

    With the weights :math:`w` of a node's edges, which sum to 1, each step computes

    .. math::
        m^{in}_i &= \sum_{j → i} w^{in}_{ji} (W_{in} h_j + b_{in}) + b'_{in} \\
        m^{out}_i &= \sum_{i → j} w^{out}_{ij} (W_{out} h_j + b_{out}) + b'_{out} \\
        h_i &\leftarrow \mathrm{GRU}([m^{in}_i ‖ m^{out}_i], h_i)

    for all nodes at once, so that many graphs go through side by side as one.

    Source:
        Wu et al., SR-GNN, AAAI 2019, Eqs. (1)-(5), after Li et al., GGNN, ICLR 2016.

    Departs from the source:
        In the paper the update gate says what is new, in the authors' code (and here,
        as in ``nn.GRUCell``) what stays: the same family of functions.

    Args:
        dim: D.
        steps: How often the nodes listen.
        bias: Whether there are the biases :math:`b'`, which a node without neighbours
            hears, too (SR-GNN has them, GC-SAN has not).

    Raises:
        OptionError: An option is out of its range.
    """

    def __init__(self, dim: int, *, steps: int = 1, bias: bool = True) -> None:
        super().__init__()
        check_ranges(sizes={"dim": dim, "steps": steps})
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
        """The nodes' states.

        Args:
            x: What the nodes start from.
            edge_index: Source and target of each edge.
            incoming: Weight of each edge for its target.
            outgoing: Weight of each edge for its source.
        """
        source, target = edge_index
        for _ in range(self.steps):
            into, out = self.messages(x).chunk(2, dim=1)
            before = _gather(into, source, target, incoming)
            after = _gather(out, target, source, outgoing)
            heard = torch.cat([before, after], dim=1)
            if self.bias is not None:
                heard = heard + self.bias
            x = self.cell(heard, x)
        return x


def _gather(
    x: Tensor, speaker: Tensor, listener: Tensor, weight: Tensor
) -> Float[Tensor, "n D"]:
    """Weighted sums of what the listeners' neighbours say; zero without neighbours."""
    said = x.index_select(0, speaker) * weight[:, None].to(x.dtype)
    return torch.zeros_like(x).index_add(0, listener, said)


class SessionStates(nn.Module):
    """Each sequence as a graph of its items, through a gated network.

    The graphs of a batch are built when the batch is read, in one vectorised pass and
    as one graph of many parts. So the loader knows nothing of graphs, a batch travels
    as the few integers that it is, and the graphs are made on the model's device; they
    are used once, and nothing is stored.

    Args:
        dim: D.
        steps: Steps of the gated network.
        binary: Whether a transition weighs the same however often it occurs.
        bias: Whether the messages have a bias of their own.
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
        """The state of the item at every position; zero at padding."""
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
    """Node states along the sequences that the nodes come from; zero at padding.

    Args:
        nodes: State of each node.
        alias: Node of each place.
        mask: True at real items; there may be none.
    """
    padded = nn.functional.pad(nodes, (0, 0, 0, 1))
    return nn.functional.embedding(alias.where(mask, len(nodes)), padded)
