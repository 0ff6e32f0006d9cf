"""Random graph views: edge dropout and node dropout."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, EdgeType
from graphseq.errors import GraphError
from graphseq.graphs.build import forget_operator, require
from graphseq.schema import Configurable, Dropout


class EdgeDropout(Configurable, BaseTransform):
    """Drop a random fraction of the edges of one relation.

    Pairs of nodes are sampled, not edges: all events of a user with an item are dropped
    together, and so are both directions of an edge between nodes of one kind. Symmetric
    relations stay symmetric. Remaining weights are not rescaled, since the symmetric
    normalisation does not depend on their scale.

    Each call samples again; two transforms with the same seed give the same views in
    the same order.

    Source:
        Wu et al., SGL, SIGIR 2021, arXiv:2010.10783, Eq. (7).

    Args:
        p: Fraction to drop, at least 0 and below 1.
        relation: The edges; by default the user-item edges.
        seed: Seed of the samples.

    Raises:
        ConfigError: p is out of its range.
        GraphError: The graph lacks the relation.
    """

    def __init__(
        self, p: Dropout = 0.1, *, relation: EdgeType = INTERACTS, seed: int = 0
    ) -> None:
        self.p = p
        self.relation: EdgeType = tuple(relation)  # type: ignore[assignment]
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, graph: HeteroData) -> HeteroData:
        """Drop edges."""
        require(graph, self.relation, "EdgeDropout")
        index = graph[self.relation].edge_index
        kept = keep_pairs(
            index,
            self.p,
            directed=self.relation[0] != self.relation[2],
            generator=self.generator,
        )
        return _keep(graph, self.relation, kept)


class NodeDropout(Configurable, BaseTransform):
    """Drop all edges of a random fraction of the nodes of one kind, in every relation.

    The nodes stay, so that ids keep their meaning. Each call samples again; two
    transforms with the same seed give the same views in the same order.

    Source:
        Wu et al., SGL, SIGIR 2021, arXiv:2010.10783, Eq. (6).

    Args:
        p: Fraction of the nodes, at least 0 and below 1.
        kind: The nodes: ``user``, ``item``, or another type of the graph.
        seed: Seed of the samples.

    Raises:
        ConfigError: p is out of its range.
        GraphError: The graph has no such nodes.
    """

    def __init__(self, p: Dropout = 0.1, *, kind: str = "user", seed: int = 0) -> None:
        self.p = p
        self.kind = kind
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, graph: HeteroData) -> HeteroData:
        """Drop the edges of nodes."""
        if self.kind not in graph.node_types:
            raise GraphError(
                f"NodeDropout drops edges of nodes of kind {self.kind!r}; this graph "
                f"has {graph.node_types}. Choose one of them."
            )
        stays = torch.rand(graph[self.kind].num_nodes, generator=self.generator)
        for relation in graph.edge_types:
            index = graph[relation].edge_index
            kept = torch.ones(index.shape[1], dtype=torch.bool, device=index.device)
            for side, kind in enumerate((relation[0], relation[2])):
                if kind == self.kind:
                    kept &= (stays >= self.p).to(index.device)[index[side]]
            graph = _keep(graph, relation, kept)
        return graph


def keep_pairs(
    edge_index: Int[Tensor, "2 E"],
    p: float,
    *,
    directed: bool,
    generator: torch.Generator,
) -> Bool[Tensor, "E"]:
    """A mask of the edges that stay if pairs of nodes are dropped with probability p.

    Args:
        edge_index: Edges, repeats allowed.
        p: Probability of dropping a pair.
        directed: Whether (i, j) and (j, i) are different pairs.
        generator: Generator on the CPU.
    """
    low, high = edge_index
    if not directed:
        low, high = edge_index.amin(0), edge_index.amax(0)
    stride = int(edge_index.max()) + 1 if edge_index.numel() else 1
    pairs, pair = torch.unique(low * stride + high, return_inverse=True)
    stays = torch.rand(len(pairs), generator=generator) >= p
    return stays.to(edge_index.device)[pair]


def _keep(graph: HeteroData, relation: EdgeType, kept: Bool[Tensor, "E"]) -> HeteroData:
    """Keep a part of the edges of a relation, with all their attributes."""
    forget_operator(graph, relation)
    store = graph[relation]
    for name in [name for name in store if store.is_edge_attr(name)]:
        value = store[name]
        store[name] = value[:, kept] if name == "edge_index" else value[kept]
    return graph
