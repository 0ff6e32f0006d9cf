"""Propagation over a graph: X <- R^-1/2 A C^-1/2 X, without weights or self-loops.

R and C hold the row and column sums of A: the degrees D, if A is symmetric.
"""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE, EdgeType
from graphseq.errors import GraphError
from graphseq.nn.adjacency import operator, two_hops
from graphseq.nn.sparse import SymmetricOperator
from graphseq.nn.two_hops import TwoHops
from graphseq.schema import Configurable, Count, Dropout

Readout = Literal["last", "mean"]


def propagate(
    x: Float[Tensor, "N D"],
    operator: SymmetricOperator | TwoHops,
    layers: int,
    readout: Readout = "last",
    rows: Int[Tensor, "n"] | None = None,
) -> Float[Tensor, "n D"]:
    r"""Node vectors after a number of steps of parameter-free propagation.

    .. math:: X^{(l)} = D^{-1/2} A D^{-1/2} X^{(l-1)}

    For a relation that is not symmetric, the first D holds the row sums of A and the
    second one its column sums.

    Source:
        Wu et al., "Simplifying Graph Convolutional Networks", 2019, arXiv:1902.07153,
        without self-loops: ``last``. He et al., LightGCN, 2020, arXiv:2002.02126,
        Eq. (7)-(8) with equal weights: ``mean``.

    Args:
        x: Vectors of all N nodes; for user-item edges users first, then items.
        operator: The normalised adjacency.
        layers: Number of steps; 0 returns x.
        readout: The ``last`` step (exactly 0 for a node without edges), or the
            ``mean`` of x and all steps.
        rows: Nodes to return, in this order, repeats allowed; ``None``: all. The last
            step is computed for these nodes only.

    Returns:
        (N, D), or (n, D) for the requested rows.
    """
    if layers < 0 or readout not in ("last", "mean"):
        raise GraphError(
            "propagate expects layers >= 0 and readout 'last' or 'mean'; found "
            f"layers={layers!r}, readout={readout!r}"
        )
    total = x if rows is None else x.index_select(0, rows)
    for layer in range(1, layers + 1):
        x = operator.multiply(x, rows if layer == layers else None)
        if readout == "mean":
            if rows is None or layer == layers:
                total = total + x
            else:
                total = total + x.index_select(0, rows)
    if readout == "mean":
        return total / (layers + 1)
    return x if layers else total


class GraphEncoder(Configurable, nn.Module):
    """Parameter-free propagation over any relation, with edge dropout in training.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eq. (1).

    Args:
        layers: Steps, l.
        readout: The ``last`` step, or the ``mean`` of all.
        dropout: Probability of dropping an entry of the adjacency, drawn in each call.
    """

    def __init__(
        self, *, layers: Count = 2, readout: Readout = "last", dropout: Dropout = 0.0
    ) -> None:
        super().__init__()
        self.layers = layers
        self.readout: Readout = readout
        self.dropout = dropout

    def forward(
        self,
        graph: HeteroData,
        relation: EdgeType,
        nodes: Float[Tensor, "N D"],
        rows: Int[Tensor, "n"],
        excluded: Int[Tensor, "2 m"] | None = None,
    ) -> Float[Tensor, "n D"]:
        """Vectors of the requested nodes.

        Args:
            graph: Holds the relation.
            relation: The edges; those of attributes link items over two hops.
            nodes: Vectors of all nodes; for user-item edges users first.
            rows: Nodes to return.
            excluded: Edges to leave out, as :func:`~graphseq.nn.adjacency.operator`.
        """
        step: SymmetricOperator | TwoHops
        if relation == HAS_ATTRIBUTE:
            step = two_hops(graph)
        else:
            step = operator(graph, relation, excluded=excluded)
        if self.training and self.dropout:
            step = step.dropout(self.dropout)
        return propagate(nodes, step, self.layers, self.readout, rows)
