"""User-user and item-item edges: two nodes are linked if they share a neighbour."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import EdgeType, EdgeWeight, NodeKind, Symmetrize
from graphseq.graphs.build import interaction_matrix, write_relation
from graphseq.graphs.product import Factors, Rows, stack_rows
from graphseq.schema import Configurable, Size


class CoOccurrence(Configurable, BaseTransform):
    r"""Link users who chose the same item, or items chosen by the same user.

    With the binary interaction matrix A, two users share
    :math:`c_{ij} = (A A^\top)_{ij}` items and have degrees :math:`d_i, d_j`; likewise
    two items with :math:`A^\top A`. No node is linked to itself. The edge weights are

    * ``count``: :math:`c_{ij}`;
    * ``binary``: 1;
    * ``cosine``: :math:`c_{ij} / \sqrt{d_i d_j}`;
    * ``jaccard``: :math:`c_{ij} / (d_i + d_j - c_{ij})`;
    * ``adamic_adar``: :math:`\sum_v 1 / \ln d_v` over the shared neighbours v, each
      term rounded to a multiple of 2⁻³² so that the order of summation does not matter;
    * ``iuf``: :math:`\sum_v 1 / \ln(1 + d_v) \;/ \sqrt{d_i d_j}`, its terms
      rounded likewise. For items this is ItemCF-IUF, which discounts active users.

    The k heaviest edges of a node are the first by weight (as stored, in float32) in
    descending order, then by the neighbour's id in ascending order: pruning is
    deterministic. With ``binary`` all weights are equal and the smallest ids stay;
    prefer another weight when pruning.

    Blocks of rows are multiplied in threads (:mod:`graphseq.runtime` chooses how many),
    and at most ``top_k`` edges of a row are ever in memory. The result does not depend
    on ``block_rows`` or the number of threads. The cost is the sum of the squared
    degrees of the shared neighbours, most of it from a few popular ones, which
    ``hub_cap`` leaves out.

    Source:
        Wang et al., MCLSR, CIKM 2022, section 3.2: the weight of an edge is the number
        of co-actions. ``iuf``: Liu et al., CoSeRec, 2021, section 3.2.2, as its code
        computes it.

    Departs from the source:
        Edges are pruned; the paper does not say whether its edges are. Pruning alone
        gives an asymmetric matrix; ``symmetrize="max"`` joins both directions.
        ``"none"`` reproduces the public reimplementations.

    Args:
        kind: Which nodes to link.
        top_k: Keep each node's ``top_k`` heaviest edges; ``None`` keeps all of them,
            in memory too.
        weight: The weight of an edge.
        symmetrize: An edge stays if either end keeps it (``max``), if both do
            (``min``), or only from the node that keeps it to its neighbour (``none``).
        hub_cap: Ignore shared neighbours with more than this many nodes: they add
            nothing to any edge. Degrees :math:`d_i`, :math:`d_v` still count all
            interactions. :doc:`/explanations/scale` measures what is lost. ``None``
            ignores none, and is not recorded.
        block_rows: Rows multiplied at a time; ``None`` chooses blocks of equal work.
            It is not recorded.

    Adds ``(kind, "co_occurs", kind)`` with edge_index (2, E), sorted by node, then
    neighbour, and edge_weight (E,) float32.

    Raises:
        OptionError: An option is out of its range.
        GraphError: The graph has no user-item edges.
    """

    def __init__(
        self,
        kind: NodeKind,
        *,
        top_k: Size | None = 50,
        weight: EdgeWeight = "count",
        symmetrize: Symmetrize = "max",
        hub_cap: Size | None = None,
        block_rows: Size | None = None,
    ) -> None:
        self.kind: NodeKind = kind
        self.top_k = top_k
        self.weight: EdgeWeight = weight
        self.symmetrize: Symmetrize = symmetrize
        self.hub_cap = hub_cap
        self.block_rows = block_rows
        # Not recorded, since the edges are the same.
        self.options = self.options | {"block_rows": None}
        if hub_cap is None:
            del self.options["hub_cap"]

    @property
    def adds(self) -> EdgeType:
        """The relation that the step adds."""
        return (self.kind, "co_occurs", self.kind)

    def forward(self, graph: HeteroData) -> HeteroData:
        """Add the edges to the graph."""
        # No name here keeps a matrix: each is freed when the next has been computed.
        return write_relation(
            graph, self.adds, self.symmetric(self.pruned(self._nodes(graph)))
        )

    def _nodes(self, graph: HeteroData) -> csr_matrix:
        chosen = interaction_matrix(graph, "CoOccurrence")
        return chosen if self.kind == "user" else chosen.T.tocsr()

    def symmetric(self, links: csr_matrix) -> csr_matrix:
        """Combine both directions of pruned edges as ``symmetrize`` says."""
        if self.symmetrize == "max":
            return links.maximum(links.T.tocsr())
        if self.symmetrize == "min":
            return links.minimum(links.T.tocsr())
        return links

    def pruned(
        self, nodes: csr_matrix, rows: NDArray[np.int64] | None = None
    ) -> csr_matrix:
        """The ``top_k`` edges of each node, before both directions are combined.

        Args:
            nodes: The neighbours of N nodes among M, binary, (N, M).
            rows: The nodes to compute; all of them by default.

        Returns:
            Their heaviest edges, (N or len(rows), N) float32, sorted by column.
        """
        from graphseq.graphs.kernels import shared

        factors = Factors.of(nodes, self.weight, self.hub_cap, rows)
        size = nodes.shape[0]
        most = min(self.top_k or size, max(size, 1))
        bounds = np.minimum(factors.work, most)

        def compute(block: slice) -> Rows:
            found: Rows = shared(
                *factors.arguments(block), most, int(bounds[block].sum())
            )
            return found

        stage = f"{self.kind}-{self.kind} edges"
        found = factors.compute(compute, stage, self.block_rows)
        return stack_rows(found, (len(factors.work), size))
