"""Directed item-item edges: which item follows which."""

from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, ITEM, PRECEDES, EdgeType
from graphseq.graphs.build import require, write_relation
from graphseq.graphs.product import keep_strongest
from graphseq.graphs.progress import track
from graphseq.schema import Configurable, Size


class Transitions(Configurable, BaseTransform):
    r"""Link each item to the items that users chose after it.

    A pair of events of one user at distance d adds :math:`\lambda^{d-1}` to the edge
    from the earlier to the later item, for every d up to the window. With the default
    window of 1, the weight counts how often one item directly followed the other.

    Source:
        Wu et al., SR-GNN, AAAI 2019, arXiv:1811.00855, section 3.2, over all users
        together; the window of Wang et al., GCE-GNN, SIGIR 2020, Eq. (2).

    Departs from the source:
        Edges keep their direction and their count; an item that follows itself adds no
        edge unless ``self_loops`` is set.

    Args:
        window: Largest distance d between the events of a pair.
        decay: :math:`\lambda`, above 0 and at most 1.
        top_k: Keep each item's ``top_k`` heaviest successors (weight ↓, then id ↑);
            ``None`` keeps all.
        self_loops: Keep the edge from an item to itself.

    Adds ``("item", "precedes", "item")`` with edge_index (2, E), from the earlier item
    to the later one, sorted by the earlier, then the later, and edge_weight (E,).

    Raises:
        OptionError: An option is out of its range.
        GraphError: The graph has no user-item edges.
    """

    def __init__(
        self,
        *,
        window: Size = 1,
        decay: Annotated[float, Gt(0), Le(1)] = 1.0,
        top_k: Size | None = None,
        self_loops: bool = False,
    ) -> None:
        self.window = window
        self.decay = decay
        self.top_k = top_k
        self.self_loops = self_loops

    @property
    def adds(self) -> EdgeType:
        """The relation that the step adds."""
        return PRECEDES

    def forward(self, graph: HeteroData) -> HeteroData:
        """Add the edges to the graph."""
        require(graph, INTERACTS, "Transitions")
        user, item = graph[INTERACTS].edge_index.cpu().numpy()
        links = self.pruned(user, item, graph[ITEM].num_nodes)
        return write_relation(graph, self.adds, links)

    def pruned(
        self,
        user: NDArray[np.int64],
        item: NDArray[np.int64],
        num_items: int,
        rows: NDArray[np.int64] | None = None,
    ) -> csr_matrix:
        """The ``top_k`` outgoing edges of items.

        Args:
            user: User of each event, (E,); the events of a user are contiguous.
            item: Item of each event, oldest first, (E,).
            num_items: V.
            rows: The items to compute; all of them by default.

        Returns:
            Their outgoing edges, (V or len(rows), V) float32, sorted by column.
        """
        links = csr_matrix((num_items, num_items))
        wanted = np.full(num_items, rows is None)
        if rows is not None:
            wanted[rows] = True
        longest = int(np.bincount(user).max(initial=0))
        distances = range(1, min(self.window, max(1, longest - 1)) + 1)
        work = [max(0, len(user) - distance) for distance in distances]
        for distance in track(distances, work, stage="transitions", unit="pairs"):
            pairs = self._pairs(user, item, distance, wanted)
            weight = np.full(pairs.shape[1], self.decay ** (distance - 1))
            links = links + csr_matrix((weight, (pairs[0], pairs[1])), links.shape)
        links = links.astype(np.float32)
        if rows is not None:
            links = links[rows]
        if self.top_k is not None:
            links = keep_strongest(links, self.top_k)
        links.sort_indices()
        return links

    def _pairs(
        self,
        user: NDArray[np.int64],
        item: NDArray[np.int64],
        distance: int,
        wanted: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """Items of all pairs of events of a user at a distance, (2, P)."""
        earlier, later = item[:-distance], item[distance:]
        kept = (user[:-distance] == user[distance:]) & wanted[earlier]
        if not self.self_loops:
            kept &= earlier != later
        return np.stack([earlier[kept], later[kept]])
