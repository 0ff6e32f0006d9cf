"""A gated network on directed graphs, as the session models read them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from graphseq.schema import check_ranges


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
