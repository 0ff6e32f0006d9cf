"""User-user and item-item edges: two nodes are linked if they share a neighbour."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.graphs.build import interaction_matrix, write_relation
from graphseq.graphs.product import Factors, Rows, Weight, stacked
from graphseq.schema import Configurable, check_ranges

Kind = Literal["user", "item"]
Symmetrize = Literal["max", "min", "none"]


class CoOccurrence(Configurable, BaseTransform):
    r"""Link users who chose the same item, or items chosen by the same user.

    With the binary interaction matrix A, two users share
    :math:`c_{ij} = (A A^\top)_{ij}` items, and of degrees :math:`d_i, d_j`; two items
    likewise with :math:`A^\top A`. No node is linked to itself. An edge weighs

    * ``count``: :math:`c_{ij}`;
    * ``binary``: 1;
    * ``cosine``: :math:`c_{ij} / \sqrt{d_i d_j}`;
    * ``jaccard``: :math:`c_{ij} / (d_i + d_j - c_{ij})`;
    * ``adamic_adar``: :math:`\sum_v 1 / \ln d_v` over the shared neighbours v, each
      term rounded to a multiple of 2⁻³² so that the order of summation is immaterial;
    * ``iuf``: :math:`\sum_v 1 / \ln(1 + d_v) \;/ \sqrt{d_i d_j}`, its terms rounded
      likewise. Of items it is ItemCF-IUF: busy users say little of what is similar.

    The k heaviest edges of a node are those that come first by weight (as stored, in
    float32), largest first, then by the neighbour's id, smallest first: always the same
    ones. With ``binary`` all weights are equal, so the smallest ids stay, which says
    nothing about the nodes; prefer another weight when pruning.

    Rows are multiplied a block at a time, several blocks at once in threads
    (:mod:`graphseq.runtime` says how many), and of a row no more than ``top_k`` edges
    are ever kept. The result is the same for every ``block_rows`` and every number of
    threads. The cost is the sum of the squared degrees of the shared neighbours, most
    of it from the few that nearly all nodes chose: ``hub_cap`` passes over those.

    Source:
        Wang et al., MCLSR, CIKM 2022, section 3.2: the weight of an edge is the number
        of co-actions. ``iuf``: Liu et al., CoSeRec, 2021, section 3.2.2, as its code
        computes it.

    Departs from the source:
        Edges are pruned; the paper does not say whether its are. A node's best list
        need not be mutual, so pruning alone gives an asymmetric matrix;
        ``symmetrize="max"`` joins both directions. ``"none"`` repeats the public
        reimplementations.

    Args:
        kind: Which nodes to link.
        top_k: Keep each node's ``top_k`` heaviest edges; ``None`` keeps them all, and
            so needs memory for all.
        weight: What an edge weighs.
        symmetrize: An edge stays if kept from either end (``max``), from both
            (``min``), or in the one direction in which it was kept (``none``: from the
            node that keeps to its neighbour).
        hub_cap: Pass over shared neighbours that more than so many nodes chose: they
            add nothing to any edge. Degrees :math:`d_i`, :math:`d_v` stay those of all
            interactions. What is left is exact; for what is lost there are measurements
            in :doc:`/explanations/scale`. ``None`` passes over nothing, and is not
            recorded.
        block_rows: Rows multiplied at a time; ``None`` chooses by the work they make.
            The graph does not record it.

    Adds ``(kind, "co_occurs", kind)`` with edge_index (2, E), sorted by node, then
    neighbour, and edge_weight (E,) float32.

    Raises:
        OptionError: If an option has a value not listed here.
        GraphError: If the graph has no user-item edges.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        top_k: int | None = 50,
        weight: Weight = "count",
        symmetrize: Symmetrize = "max",
        hub_cap: int | None = None,
        block_rows: int | None = None,
    ) -> None:
        check_ranges(
            sizes={"top_k": top_k, "hub_cap": hub_cap, "block_rows": block_rows}
        )
        self.kind: Kind = kind
        self.top_k = top_k
        self.weight: Weight = weight
        self.symmetrize: Symmetrize = symmetrize
        self.hub_cap = hub_cap
        self.block_rows = block_rows
        # How it is computed is no part of what is recorded: the edges are the same.
        self.options = self.options | {"block_rows": None}
        if hub_cap is None:
            del self.options["hub_cap"]

    def forward(self, graph: HeteroData) -> HeteroData:
        """Add the edges to the graph."""
        chosen = interaction_matrix(graph, "CoOccurrence")
        nodes = chosen if self.kind == "user" else chosen.T.tocsr()
        links = self.joined(self.kept(nodes))
        return write_relation(graph, (self.kind, "co_occurs", self.kind), links)

    def joined(self, links: csr_matrix) -> csr_matrix:
        """Edges kept from either end, from both ends, or as they are."""
        if self.symmetrize == "max":
            return links.maximum(links.T.tocsr())
        if self.symmetrize == "min":
            return links.minimum(links.T.tocsr())
        return links

    def kept(
        self, nodes: csr_matrix, rows: NDArray[np.int64] | None = None
    ) -> csr_matrix:
        """The edges that nodes keep, before both directions are joined.

        Args:
            nodes: Which of M neighbours each of N nodes chose, binary, (N, M).
            rows: The nodes that are asked for; all of them, if not given.

        Returns:
            Their heaviest edges, (N or len(rows), N) float32, sorted by column: what
            the computation for all nodes gives for these.
        """
        from graphseq.graphs.kernels import shared

        factors = Factors.of(nodes, self.weight, self.hub_cap, rows)
        size = nodes.shape[0]
        most = min(self.top_k or size, max(size, 1))
        bounds = np.minimum(factors.work, most)

        def compute(part: slice) -> Rows:
            found: Rows = shared(
                *factors.arguments(part), most, int(bounds[part].sum())
            )
            return found

        stage = f"{self.kind}-{self.kind} edges"
        found = factors.computed(compute, stage, self.block_rows)
        return stacked(found, (len(factors.work), size))
