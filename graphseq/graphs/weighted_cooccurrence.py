"""Co-occurrence edges that count events, or add up their weights."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, EdgeType, EventWeight, NodeKind, Symmetrize
from graphseq.graphs.build import require, write_relation
from graphseq.graphs.product import blocks, keep_strongest
from graphseq.graphs.progress import track
from graphseq.schema import Configurable, Size

BLOCK_WORK = 20_000_000  # multiply-adds in a block of rows
Similarity = Literal["sum", "cosine"]


class WeightedCoOccurrence(Configurable, BaseTransform):
    r"""Link users by the items, or items by the users, that both chose often.

    With :math:`w_{uv}` of each user-item pair, the number of its events (``count``) or
    the sum of their weights, such as ratings (``weight``), two nodes have an edge of

    * ``sum``: :math:`c_{ij} = \sum_v w_{iv} w_{jv}` over the shared neighbours v;
    * ``cosine``: :math:`c_{ij} / \sqrt{\sum_v w_{iv}^2 \sum_v w_{jv}^2}`.

    No node is linked to itself. With weights of 1, these are ``count`` and ``cosine``
    of :class:`~graphseq.graphs.CoOccurrence`, which is compiled, can be updated in
    part, and runs on Spark. Here an update computes all edges again.

    Args:
        kind: Which nodes to link.
        event_weight: What a user-item pair weighs.
        top_k: Keep each node's ``top_k`` heaviest edges, as in ``CoOccurrence``;
            ``None`` keeps all of them.
        weight: The weight of an edge.
        symmetrize: An edge stays if either end keeps it (``max``), if both do
            (``min``), or only from the node that keeps it to its neighbour (``none``).

    Adds ``(kind, "co_occurs", kind)`` with edge_index (2, E) and edge_weight (E,).

    Raises:
        OptionError: An option is out of its range.
        GraphError: The graph has no user-item edges, or no positive weights.
    """

    def __init__(
        self,
        kind: NodeKind,
        *,
        event_weight: EventWeight = "count",
        top_k: Size | None = 50,
        weight: Similarity = "cosine",
        symmetrize: Symmetrize = "max",
    ) -> None:
        self.kind: NodeKind = kind
        self.event_weight: EventWeight = event_weight
        self.top_k = top_k
        self.weight: Similarity = weight
        self.symmetrize: Symmetrize = symmetrize

    @property
    def adds(self) -> EdgeType:
        """The relation that the step adds."""
        return (self.kind, "co_occurs", self.kind)

    def forward(self, graph: HeteroData) -> HeteroData:
        """Add the edges to the graph."""
        from graphseq.nn.adjacency import event_matrix

        require(graph, INTERACTS, "WeightedCoOccurrence")
        nodes = event_matrix(graph, self.event_weight)
        if self.kind == "item":
            nodes = nodes.T.tocsr()
        links = self.pruned(nodes.astype(np.float64))
        flipped = links.T.tocsr()
        if self.symmetrize == "max":
            links = links.maximum(flipped)
        elif self.symmetrize == "min":
            links = links.minimum(flipped)
        links.sort_indices()
        return write_relation(graph, self.adds, links)

    def pruned(self, nodes: csr_matrix) -> csr_matrix:
        """The heaviest edges of each node, in blocks of rows of bounded memory."""
        from scipy.sparse import vstack

        if self.weight == "cosine":
            norms = np.sqrt(np.asarray(nodes.multiply(nodes).sum(axis=1)).ravel())
            nodes = diags(1 / np.where(norms > 0, norms, 1)) @ nodes
        nodes, flipped = nodes.tocsr(), nodes.T.tocsr()
        sizes = np.diff(flipped.indptr).astype(np.float64)
        work = np.rint((nodes != 0).astype(np.float64) @ sizes).astype(np.int64)
        parts = blocks(work, None, BLOCK_WORK)

        def rows() -> Iterator[csr_matrix]:
            for part in parts:
                found = (nodes[part] @ flipped).tocsr()
                yield self._heaviest(found, np.arange(part.start, part.stop))

        stage = f"{self.kind}-{self.kind} edges"
        counted = (int(work[part].sum()) for part in parts)
        found = [*track(rows(), counted, stage=stage, unit="multiply-adds")]
        return vstack(found, format="csr")

    def _heaviest(self, found: csr_matrix, own: NDArray[np.int64]) -> csr_matrix:
        """The heaviest entries of some rows, without their own nodes."""
        row = np.repeat(np.arange(len(own)), np.diff(found.indptr))
        found.data[found.indices == own[row]] = 0
        found = found.astype(np.float32)
        found.eliminate_zeros()
        found.sort_indices()
        return found if self.top_k is None else keep_strongest(found, self.top_k)
