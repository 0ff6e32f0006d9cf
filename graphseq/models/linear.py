"""Models that multiply a user's history by a matrix between items."""

import json
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.direct import DirectModel
from graphseq.models.scoring import Blocks, Scorer, rows_of_block, width
from graphseq.nn.adjacency import version_of
from graphseq.schema import Size, describe
from graphseq.sequences.batch import Batch

Product = Callable[[csr_matrix], NDArray[Any]]
"""Multiplies histories (n, V), sparse with ones, by the matrix between items."""


def sparse_product(matrix: csr_matrix, histories: csr_matrix) -> NDArray[Any]:
    """Histories times a sparse matrix."""
    return (histories @ matrix).toarray()  # type: ignore[no-any-return]


def dense_product(matrix: NDArray[Any], histories: csr_matrix) -> NDArray[Any]:
    """Histories times a dense matrix, in its precision."""
    return histories.astype(matrix.dtype) @ matrix  # type: ignore[no-any-return]


class LinearModel(DirectModel):
    r"""The scores of a user are :math:`x_u B`.

    :math:`x_u ∈ \{0, 1\}^V` marks the items of the whole history; B is a matrix between
    items, computed from the distinct pairs of users and items in the training events.
    Users have no vectors: users without training events are ranked by their history.

    A subclass implements :meth:`item_matrix`. B is computed when scoring begins, on the
    CPU, and is kept in the graph, the newest one of each class.

    Args:
        num_users: U.
        num_items: V.
    """

    requires = (INTERACTS,)

    def __init__(self, num_users: Size, num_items: Size) -> None:
        super().__init__()
        self.num_users = num_users
        self.num_items = num_items

    @abstractmethod
    def item_matrix(self, events: csr_matrix) -> Product:
        """Compute B from the training events.

        Args:
            events: R, (U, V), float64: 1 for each distinct pair of a user and an item.
        """

    def scorer(self, graph: HeteroData) -> Scorer:
        """The products with B."""
        device = graph[INTERACTS].edge_index.device
        return HistoryScorer(self._cached(graph), self.num_items, device)

    def _cached(self, graph: HeteroData) -> Product:
        """B of the graph's training events, computed if they or the options changed."""
        edges = graph[INTERACTS].edge_index
        name, options = type(self).__name__, json.dumps(describe(self), sort_keys=True)
        cached = graph[INTERACTS].get("item_matrices", {})
        # entries are tuples, and lists in the clone of a graph
        version = version_of(edges)
        known_edges, *known, _ = cached.get(name, (None, None))
        if known_edges is not edges or known != [options, version]:
            user, item = edges.cpu().numpy()
            events = binary(user, item, self.num_users, self.num_items)
            product = self.item_matrix(events)
            cached = {**cached, name: (edges, options, version, product)}
            graph[INTERACTS].item_matrices = cached
        found: Product = cached[name][-1]
        return found


class HistoryScorer(Scorer):
    """Scores of histories by a product with a matrix between items.

    Args:
        product: Multiplies by the matrix.
        num_items: V.
        device: Where the scores are needed; they are computed on the CPU.
    """

    def __init__(self, product: Product, num_items: int, device: torch.device) -> None:
        self.product = product
        self.num_items, self.device = num_items, device

    def blocks(self, batch: Batch) -> Blocks:
        """As :meth:`.Scorer.blocks`."""
        columns = width(self.num_items)
        step = rows_of_block(columns, torch.device("cpu"))
        history = histories_of(batch)
        buffer = torch.full((min(step, len(batch)), columns), -torch.inf)
        for first in range(0, len(batch), step):
            found = torch.from_numpy(self.product(history[first : first + step]))
            scores = buffer[: len(found)]
            scores[:, : self.num_items] = found
            scores[:, self.num_items :] = -torch.inf
            yield first, scores.to(self.device)


def histories_of(batch: Batch) -> csr_matrix:
    """The distinct items of each row, (B, V), as ones."""
    items = batch.items.cpu()
    row, position = ((items < batch.num_items) & batch.mask.cpu()).nonzero(
        as_tuple=True
    )
    pairs = row.numpy(), items[row, position].numpy()
    return binary(*pairs, len(batch), batch.num_items)


def binary(
    row: NDArray[np.int64], column: NDArray[np.int64], rows: int, columns: int
) -> csr_matrix:
    """A sparse matrix with a one at each of the given entries, however often given."""
    matrix = csr_matrix((np.ones(len(row)), (row, column)), (rows, columns))
    matrix.data[:] = 1
    return matrix


def inverse_roots(counts: NDArray[Any]) -> NDArray[np.float64]:
    """One over the root of each number; 0 for 0."""
    roots = np.zeros(len(counts))
    np.divide(1, np.sqrt(counts), out=roots, where=counts > 0)
    return roots
