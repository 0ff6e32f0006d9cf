"""Random views of a graph: without some of its edges, or with some nodes cut off."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, EdgeType
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs.build import forget_operator, require
from graphseq.schema import Configurable


class EdgeDropout(Configurable, BaseTransform):
    """Leave out a random share of the edges of one relation.

    What is drawn for is a pair of nodes, not an edge: all events of a user with an item
    go together, and so do the two directions of an edge between nodes of one kind. A
    relation that was symmetric thus stays so. Remaining weights are not rescaled: the
    symmetric normalisation is free of scale.

    Each call draws anew; two transforms with the same seed give the same views in the
    same order.

    Source:
        Wu et al., SGL, SIGIR 2021, arXiv:2010.10783, Eq. (7).

    Args:
        p: Share left out, at least 0 and below 1.
        relation: Which edges; the user-item edges by default.
        seed: Of the draws.

    Raises:
        ConfigError: If p is out of its range.
        GraphError: If the graph lacks the relation.
    """

    def __init__(
        self, p: float = 0.1, *, relation: EdgeType = INTERACTS, seed: int = 0
    ) -> None:
        self.p = _share("EdgeDropout", p)
        self.relation: EdgeType = tuple(relation)  # type: ignore[assignment]
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, graph: HeteroData) -> HeteroData:
        """Leave out edges."""
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
    """Cut a random share of the nodes of one kind off, in every relation at once.

    The nodes stay, without edges, so that ids keep their meaning. Each call draws anew;
    two transforms with the same seed give the same views in the same order.

    Source:
        Wu et al., SGL, SIGIR 2021, arXiv:2010.10783, Eq. (6).

    Args:
        p: Share cut off, at least 0 and below 1.
        kind: Which nodes: ``user``, ``item``, or another type of the graph.
        seed: Of the draws.

    Raises:
        ConfigError: If p is out of its range.
        GraphError: If the graph has no such nodes.
    """

    def __init__(self, p: float = 0.1, *, kind: str = "user", seed: int = 0) -> None:
        self.p = _share("NodeDropout", p)
        self.kind = kind
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, graph: HeteroData) -> HeteroData:
        """Cut off nodes."""
        if self.kind not in graph.node_types:
            raise GraphError(
                f"NodeDropout was asked to cut off nodes of kind {self.kind!r}; this "
                f"graph has {graph.node_types}."
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
    """Which edges stay if each pair of nodes is left out with probability p.

    Args:
        edge_index: Edges, repeats allowed.
        p: Probability of leaving a pair out.
        directed: Whether (i, j) and (j, i) are pairs of their own.
        generator: Source of the draws, on the CPU.
    """
    low, high = edge_index
    if not directed:
        low, high = edge_index.amin(0), edge_index.amax(0)
    stride = int(edge_index.max()) + 1 if edge_index.numel() else 1
    pairs, place = torch.unique(low * stride + high, return_inverse=True)
    stays = torch.rand(len(pairs), generator=generator) >= p
    return stays.to(edge_index.device)[place]


def _keep(graph: HeteroData, relation: EdgeType, kept: Bool[Tensor, "E"]) -> HeteroData:
    """Some edges of a relation, with all that is stored for each."""
    forget_operator(graph, relation)
    store = graph[relation]
    for name in [name for name in store if store.is_edge_attr(name)]:
        value = store[name]
        store[name] = value[:, kept] if name == "edge_index" else value[kept]
    return graph


def _share(name: str, p: float) -> float:
    if not 0 <= p < 1:
        raise ConfigError(f"{name} takes a share p of at least 0 and below 1; got {p}.")
    return p
