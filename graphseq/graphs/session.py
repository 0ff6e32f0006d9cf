"""One small graph for each sequence of a batch, built for the whole batch at once."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


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
