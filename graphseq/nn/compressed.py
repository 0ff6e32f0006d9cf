"""Sparse times dense, differentiable in the dense factor.

The matrix is kept as compressed rows with 32-bit ids. On a CPU the product runs through
``embedding_bag``, which fetches the rows of X ahead of their use and was two to four
times as fast as ``torch.sparse_csr`` (``benchmarks/propagation.py``); elsewhere it is
``torch.sparse_csr`` itself.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor


class CompressedRows(NamedTuple):
    """A sparse matrix by rows: row i owns ``columns[pointers[i]:pointers[i + 1]]``."""

    pointers: Int[Tensor, "R1"]
    columns: Int[Tensor, "E"]
    values: Float[Tensor, "E"]

    def select(self, rows: Int[Tensor, "n"]) -> "CompressedRows":
        """The matrix of these rows alone, in the order asked for."""
        first = self.pointers[rows].long()
        counts = self.pointers[rows + 1].long() - first
        pointers = F.pad(counts.cumsum(0), (1, 0))
        shift = torch.repeat_interleave(first - pointers[:-1], counts)
        places = shift + torch.arange(len(shift), device=shift.device)
        pointers = pointers.to(self.columns.dtype)
        return CompressedRows(pointers, self.columns[places], self.values[places])

    def multiply(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "R D"]:
        """This matrix times a dense one; a row without entries gives exactly 0."""
        matrix = self._replace(values=self.values.to(x.dtype))
        if x.device.type != "cpu":
            return matrix.tensor(len(x)) @ x
        return F.embedding_bag(
            matrix.columns,
            x.contiguous(),
            matrix.pointers,
            mode="sum",
            per_sample_weights=matrix.values,
            include_last_offset=True,
        )

    def transpose(self, num_columns: int) -> "CompressedRows":
        """The matrix with rows and columns exchanged."""
        order, pointers = self.transposition(num_columns)
        lengths = self.pointers.diff()
        row = torch.arange(len(lengths), device=order.device, dtype=self.columns.dtype)
        row = torch.repeat_interleave(row, lengths)
        return CompressedRows(pointers, row[order], self.values[order])

    def transposition(
        self, num_columns: int
    ) -> tuple[Int[Tensor, "E"], Int[Tensor, "C1"]]:
        """Where each entry of the transpose stands here, and the transpose's pointers.

        On a CPU by scipy's counting, two to three times as fast as a sort.
        """
        if self.columns.device.type == "cpu":
            shape = len(self.pointers) - 1, num_columns
            parts = np.arange(len(self.columns)), self.columns, self.pointers
            counted = csr_matrix(tuple(map(np.asarray, parts)), shape).tocsc()
            order, pointers = map(torch.from_numpy, (counted.data, counted.indptr))
        else:
            order = torch.argsort(self.columns, stable=True)
            sizes = torch.bincount(self.columns, minlength=num_columns)
            pointers = F.pad(sizes.cumsum(0), (1, 0))
        return order, pointers.to(self.columns.dtype)

    def tensor(self, num_columns: int) -> Tensor:
        """The same matrix as a ``torch.sparse_csr`` tensor that shares its memory."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
            shape = (len(self.pointers) - 1, num_columns)
            return torch.sparse_csr_tensor(*self, size=shape, check_invariants=False)

    def to(self, **where: Any) -> "CompressedRows":
        """The same matrix on another device or with values of another type."""
        ids = {key: value for key, value in where.items() if key != "dtype"}
        return CompressedRows(
            self.pointers.to(**ids), self.columns.to(**ids), self.values.to(**where)
        )


Transpose = Callable[[], CompressedRows]


class Product(torch.autograd.Function):
    """A x, whose gradient is the transpose of A times that of the product."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: CompressedRows, transpose: Transpose
    ) -> Tensor:
        """Multiply; ``transpose`` is called only if a gradient is asked for."""
        ctx.matrix, ctx.transpose = matrix, transpose
        return matrix.multiply(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Multiply by the transpose, in a way that can be differentiated again."""
        matrix = ctx.matrix
        found = Product.apply(gradients[0], ctx.transpose(), lambda: matrix)
        return found, None, None
