"""GF-CF: a linear and an ideal low-pass filter of the history."""

from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import svds

from graphseq.models.linear import LinearModel, Product, inverse_roots, sparse_product
from graphseq.schema import Size, Weight

SMALLEST = 1e-10  # singular values below are rounding: the matrix has no such direction


@final
class GFCF(LinearModel):
    r"""Shen et al., "How Powerful is Graph Convolution for Recommendation?", CIKM 2021.

    With the users' distinct training items R and their degrees,
    :math:`\tilde R = D_u^{-1/2} R D_i^{-1/2}`, the scores of a history x are

    .. math:: x \left(\tilde R^\top \tilde R
        + α D_i^{-1/2} V_k V_k^\top D_i^{1/2}\right)

    where :math:`V_k` holds the k first right singular vectors of :math:`\tilde R`. The
    matrix :math:`V_k V_k^\top` is never formed. :math:`\tilde R^\top \tilde R` keeps
    its diagonal, so that with the history kept, its own items rank first. Items
    without training events score 0.

    Args:
        num_users: U.
        num_items: V.
        rank: k; a matrix of lower rank has fewer.
        alpha: α, the weight of the ideal low-pass filter.
    """

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        rank: Size = 256,
        alpha: Weight = 0.3,
    ) -> None:
        super().__init__(num_users, num_items)
        self.rank = rank
        self.alpha = alpha

    def item_matrix(self, events: csr_matrix) -> Product:
        """Both filters: a sparse matrix, and two factors."""
        degree = np.asarray(events.sum(axis=0)).ravel()
        users = inverse_roots(np.asarray(events.sum(axis=1)).ravel())
        items = inverse_roots(degree)
        scaled = (diags(users) @ events @ diags(items)).tocsr()
        linear = (scaled.T @ scaled).tocsr()
        if not self.alpha:
            return partial(sparse_product, linear)
        vectors = _singular_vectors(scaled, self.rank)
        into = items[:, None] * vectors
        back = self.alpha * vectors.T * np.sqrt(degree)
        return partial(_filter, linear, into, back)


def _filter(
    linear: csr_matrix,
    into: NDArray[np.float64],
    back: NDArray[np.float64],
    histories: csr_matrix,
) -> NDArray[Any]:
    """Histories times the sum of a sparse matrix and a product of two factors."""
    return sparse_product(linear, histories) + histories @ into @ back  # type: ignore[no-any-return]


def _singular_vectors(matrix: csr_matrix, rank: int) -> NDArray[np.float64]:
    """The right singular vectors of the largest singular values, (V, k)."""
    shortest = min(matrix.shape)
    if rank < shortest:
        start = np.random.default_rng(0).standard_normal(shortest)
        _, values, rows = svds(matrix, k=rank, v0=start)
    else:
        _, values, rows = np.linalg.svd(matrix.toarray(), full_matrices=False)
    found: NDArray[np.float64] = rows[values > SMALLEST].T
    return found
