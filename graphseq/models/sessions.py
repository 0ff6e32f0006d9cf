"""The states of a session graph, for the models that start from them."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from graphseq.graphs.session import session_graphs
from graphseq.nn.gated import GatedGraph
from graphseq.sequences.batch import Batch


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
        self, table: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B L D"]:
        """The state of the item at every place; zero at padding."""
        session = session_graphs(batch.items, batch.lengths)
        nodes = self.network(
            nn.functional.embedding(session.items, table),
            session.edge_index,
            session.weights("in", binary=self.binary),
            session.weights("out", binary=self.binary),
        )
        return unfold(nodes, session.alias, batch.mask)


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
