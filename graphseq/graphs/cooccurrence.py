"""User-user and item-item edges: two nodes are linked if they share a neighbour."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.errors import ConfigError
from graphseq.graphs.progress import tracked
from graphseq.graphs.pruning import blocks, fits_in_marks, strongest, strongest_counts
from graphseq.graphs.relations import interaction_matrix, write_relation
from graphseq.options import Recorded

Kind = Literal["user", "item"]
Weight = Literal["count", "binary", "cosine", "jaccard", "adamic_adar", "iuf"]
Symmetrize = Literal["max", "min", "none"]

BLOCK_WORK = 4_000_000  # entries that a block of rows makes at most: some 100 MB
TOLD_WORK = 100_000_000  # multiply-adds after which a block is over: about a second
ONE = 2**32  # the unit of weights that are sums of logarithms, while they are summed


class CoOccurrence(Recorded, BaseTransform):
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

    Rows are multiplied a block at a time, so the whole product is never in memory; the
    result is the same for every ``block_rows``.

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
        block_rows: Rows multiplied at a time; ``None`` chooses by the work they make.
            The graph does not record it.

    Adds ``(kind, "co_occurs", kind)`` with edge_index (2, E), sorted by node, then
    neighbour, and edge_weight (E,) float32.

    Raises:
        ConfigError: If an option has a value not listed here.
        GraphError: If the graph has no user-item edges.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        top_k: int | None = 50,
        weight: Weight = "count",
        symmetrize: Symmetrize = "max",
        block_rows: int | None = None,
    ) -> None:
        _one_of("kind", kind, get_args(Kind))
        _one_of("weight", weight, get_args(Weight))
        _one_of("symmetrize", symmetrize, get_args(Symmetrize))
        for name, value in (("top_k", top_k), ("block_rows", block_rows)):
            if value is not None and value < 1:
                raise ConfigError(
                    f"CoOccurrence takes {name} of at least 1, or None; got {value}."
                )
        self.kind: Kind = kind
        self.top_k = top_k
        self.weight: Weight = weight
        self.symmetrize: Symmetrize = symmetrize
        self.block_rows = block_rows
        # How it is computed is no part of what is recorded: the edges are the same.
        self.options = self.options | {"block_rows": None}

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
        if rows is not None:
            return self._links(nodes)[rows]
        return self._links(nodes)

    def _links(self, nodes: csr_matrix) -> csr_matrix:
        """The kept edges of every row, block by block, in canonical order."""
        across = nodes.T.tocsr()
        degrees, sizes = np.diff(nodes.indptr), np.diff(across.indptr)
        made = np.rint(nodes @ sizes.astype(np.float64)).astype(np.int64)
        most, k = int(degrees.max(initial=0)), self.top_k
        if self.weight == "count" and k and fits_in_marks(most, len(degrees)):
            work = np.maximum(k + 1, made // (TOLD_WORK // BLOCK_WORK))
            keep = self._counted
        else:
            work, keep = made, self._weighed
        steps = blocks(work, self.block_rows, BLOCK_WORK)
        watched = tracked(
            steps,
            (int(made[step].sum()) for step in steps),
            stage=f"{self.kind}-{self.kind} edges",
            unit="multiply-adds",
        )
        links = vstack([keep(nodes, across, step) for step in watched], format="csr")
        links.sort_indices()
        return links

    def _counted(
        self, nodes: csr_matrix, across: csr_matrix, step: slice
    ) -> csr_matrix:
        """The kept edges of some rows, never making the others."""
        most, k = int(np.diff(nodes.indptr).max(initial=0)), self.top_k or 0
        # One more than asked for, since a node may be among its own best.
        best = strongest_counts(nodes[step], across, k + 1, most)
        return strongest(_without_self(best, step.start), k)

    def _weighed(
        self, nodes: csr_matrix, across: csr_matrix, step: slice
    ) -> csr_matrix:
        """The kept edges of some rows, by way of all their edges."""
        block, degrees = nodes[step], np.diff(nodes.indptr)
        if self.weight in ("adamic_adar", "iuf"):
            sizes = np.diff(across.indptr)
            sizes = np.maximum(sizes, 2) if self.weight == "adamic_adar" else sizes + 1
            block = block.astype(np.int64)
            logs = np.log(sizes, out=np.ones(len(sizes)), where=sizes > 1)
            block.data = np.rint(ONE / logs).astype(np.int64)[block.indices]
            across = across.astype(np.int64)
        shared = _without_self(block @ across, step.start)
        own = np.repeat(degrees[step], np.diff(shared.indptr)).astype(np.float64)
        other, count = degrees[shared.indices], shared.data.astype(np.float64)
        weights = {
            "count": lambda: count,
            "binary": lambda: np.ones_like(count),
            "cosine": lambda: np.sqrt(count**2 / (own * other)),
            "jaccard": lambda: count / (own + other - count),
            "adamic_adar": lambda: count / ONE,
            "iuf": lambda: count / ONE / np.sqrt(own * other),
        }
        data = weights[self.weight]().astype(np.float32)
        links = csr_matrix((data, shared.indices, shared.indptr), shared.shape)
        return links if self.top_k is None else strongest(links, self.top_k)


def _without_self(matrix: csr_matrix, first: int) -> csr_matrix:
    """Leave out the entries of nodes with themselves; row 0 is node ``first``."""
    row = np.arange(first, first + matrix.shape[0])
    others = matrix.indices != np.repeat(row, np.diff(matrix.indptr))
    pointers = np.concatenate([[0], np.cumsum(others)])[matrix.indptr]
    kept = matrix.data[others], matrix.indices[others], pointers
    return csr_matrix(kept, matrix.shape)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"CoOccurrence takes {name} as one of {', '.join(allowed)}; got {value!r}."
        )
