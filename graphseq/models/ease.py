"""EASE: a linear autoencoder in closed form."""

from collections.abc import Iterator
from functools import partial
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.errors import GraphError
from graphseq.models.linear import LinearModel, Product, dense_product
from graphseq.schema import Positive, Size

BYTES = 8 + 4  # of an entry: the inverse in float64, and the weights in float32
ROWS = 1024  # rows that are computed or moved at once


@final
class EASE(LinearModel):
    r"""Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.

    The matrix B with a zero diagonal that minimises :math:`‖R - RB‖^2 + λ ‖B‖^2`, for
    the users' distinct training items R:

    .. math:: P = (R^\top R + λ I)^{-1}, \qquad B_{ij} = -P_{ij} / P_{jj}, \qquad
        B_{ii} = 0

    P is computed by a Cholesky decomposition in float64, in place; B is stored in
    float32. Time grows with V³ (36 CPU seconds for the 12,101 items of Amazon Beauty,
    on one thread) and memory with 12 V² bytes, so that large catalogues are refused.
    It and :class:`ItemKNN` belong in every table of results.

    Args:
        num_users: U.
        num_items: V.
        l2: λ; 100 was the best of 20, 100 and 500 for the validation NDCG@10 of Amazon
            Beauty. Larger logs need more.
        max_gigabytes: Memory that may be used; graphs that need more are refused.
    """

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        l2: Positive = 100.0,
        max_gigabytes: Positive = 8.0,
    ) -> None:
        super().__init__(num_users, num_items)
        self.l2 = l2
        self.max_gigabytes = max_gigabytes

    def _misfits(self, graph: HeteroData) -> Iterator[str]:
        yield from super()._misfits(graph)
        needed = BYTES * self.num_items**2 / 1e9
        if needed > self.max_gigabytes:
            yield (
                f"it inverts a matrix of {self.num_items:,} by {self.num_items:,} "
                f"items, which takes {needed:.3g} GB, and max_gigabytes is "
                f"{self.max_gigabytes:g}: raise it, filter rare items (k_core), or use "
                "ItemKNN"
            )

    def item_matrix(self, events: csr_matrix) -> Product:
        """B, (V, V), in float32."""
        gram = np.empty((self.num_items, self.num_items))
        flipped = events.T.tocsr()
        for start in range(0, self.num_items, ROWS):
            rows = slice(start, start + ROWS)
            (flipped[rows] @ events).toarray(out=gram[rows])
        gram[np.diag_indices_from(gram)] += self.l2
        inverse = _inverse(gram)
        weights = np.empty(gram.shape, np.float32)
        np.divide(inverse, -inverse.diagonal(), out=weights, casting="same_kind")
        np.fill_diagonal(weights, 0)
        return partial(dense_product, weights)


def _inverse(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a positive definite matrix, in its own memory.

    Raises:
        GraphError: Rounding made it indefinite.
    """
    columns = gram.T  # in Fortran's order, which LAPACK overwrites
    factor, failed = dpotrf(columns, lower=0, overwrite_a=1, clean=0)
    if not failed:
        _, failed = dpotri(factor, lower=0, overwrite_c=1)
    if failed:
        raise GraphError(
            "EASE: the matrix of co-occurrences is not positive definite after "
            "rounding; raise l2"
        )
    for start in range(0, len(gram), ROWS):  # LAPACK fills one triangle of it
        stop = start + ROWS
        gram[start:stop, stop:] = gram[stop:, start:stop].T
        block = gram[start:stop, start:stop]
        block[:] = np.tril(block) + np.tril(block, -1).T
    return gram
