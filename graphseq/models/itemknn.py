"""ItemKNN: items similar to those of the history."""

from functools import partial
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, vstack

from graphseq.models.linear import LinearModel, Product, sparse_product
from graphseq.schema import Size, Weight

ROWS = 1024  # items whose co-occurrences are computed at once


@final
class ItemKNN(LinearModel):
    r"""Deshpande & Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004.

    The score of item j is :math:`\sum_i s_{ij}` over the distinct items i of the
    history, with the cosine similarity

    .. math:: s_{ij} = \frac{c_{ij}}{\sqrt{n_i n_j} + λ}, \qquad s_{ii} = 0

    of :math:`c_{ij}` users of both items and :math:`n_i` users of item i, in the
    training events. Everything is sparse, and nothing is trained: seconds on Amazon
    Beauty. It and :class:`EASE` belong in every table of results: they ignore the order
    of events, and on Amazon Beauty they still rank above BPR-MF, LightGCN, and SASRec
    with binary cross-entropy.

    Departs from the paper:
        λ, which shrinks similarities that rest on few users, is of later practice
        (Bell & Koren, 2007); the paper also normalises the rows of s. All neighbours
        count by default.

    Args:
        num_users: U.
        num_items: V.
        shrink: λ; 10 was the best of 0, 10 and 100 for the validation NDCG@10 of
            Amazon Beauty.
        neighbours: Keep the K most similar items of each item i, ties by ascending id;
            ``None`` keeps all.
    """

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        shrink: Weight = 10.0,
        neighbours: Size | None = None,
    ) -> None:
        super().__init__(num_users, num_items)
        self.shrink = shrink
        self.neighbours = neighbours

    def item_matrix(self, events: csr_matrix) -> Product:
        """The similarities, (V, V), row by row."""
        roots = np.sqrt(np.asarray(events.sum(axis=0)).ravel())
        flipped = events.T.tocsr()
        blocks = [
            self._similarities(flipped, events, roots, start)
            for start in range(0, self.num_items, ROWS)
        ]
        return partial(sparse_product, vstack(blocks).tocsr())

    def _similarities(
        self,
        flipped: csr_matrix,
        events: csr_matrix,
        roots: NDArray[np.float64],
        start: int,
    ) -> csr_matrix:
        """The rows of some items."""
        common = (flipped[start : start + ROWS] @ events).tocoo()
        other = common.row + start != common.col
        row, column, count = common.row[other], common.col[other], common.data[other]
        value = count / (roots[row + start] * roots[column] + self.shrink)
        if self.neighbours is not None:
            order = np.lexsort((column, -value, row))
            first = np.searchsorted(row[order], row[order])
            order = order[np.arange(len(order)) - first < self.neighbours]
            row, column, value = row[order], column[order], value[order]
        return coo_matrix((value, (row, column)), common.shape).tocsr()
