"""Node vectors read from one relation of a graph, as a module with its own options."""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.nn.propagation import Readout, operator, propagate
from graphseq.schema import check_ranges


class GraphEncoder(nn.Module):
    """Some steps of parameter-free propagation over whichever relation is asked for.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eq. (1).

    Args:
        layers: Steps, l.
        readout: The ``last`` step, or the ``mean`` of all.
        dropout: Share of the relation's entries dropped in training, anew in each call.

    Raises:
        OptionError: An option is out of its range.
    """

    def __init__(
        self, *, layers: int = 2, readout: Readout = "last", dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_ranges(counts={"layers": layers}, dropouts={"dropout": dropout})
        self.layers = layers
        self.readout: Readout = readout
        self.dropout = dropout

    def forward(
        self,
        graph: HeteroData,
        relation: EdgeType,
        nodes: Float[Tensor, "N D"],
        rows: Int[Tensor, "n"],
        without: Int[Tensor, "2 m"] | None = None,
    ) -> Float[Tensor, "n D"]:
        """Vectors of some nodes; for user-item edges the users come first.

        ``without`` these edges, if there are any; the relation must be one whose edges
        all weigh 1.
        """
        step = operator(graph, relation)
        if without is not None:
            step = step.without(*without)
        if self.training and self.dropout:
            step = step.dropout(self.dropout)
        return propagate(nodes, step, self.layers, self.readout, rows)
