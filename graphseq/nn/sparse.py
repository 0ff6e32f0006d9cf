"""The normalised adjacency of a graph as a sparse operator, differentiable in x.

Matrices are stored as compressed rows with 32-bit ids. On a CPU the product runs
through ``embedding_bag``, which prefetches the rows of X and was two to four times as
fast as ``torch.sparse_csr`` (``benchmarks/propagation.py``); on other devices it is
``torch.sparse_csr``.
"""

import warnings
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor

from graphseq.constants import INTERACTS
from graphseq.errors import GraphError


class CompressedRows(NamedTuple):
    """A sparse matrix by rows: row i owns ``columns[pointers[i]:pointers[i + 1]]``."""

    pointers: Int[Tensor, "R1"]
    columns: Int[Tensor, "E"]
    values: Float[Tensor, "E"]

    def select(self, rows: Int[Tensor, "n"]) -> "CompressedRows":
        """The matrix of the given rows, in the given order."""
        first = self.pointers[rows].long()
        counts = self.pointers[rows + 1].long() - first
        pointers = F.pad(counts.cumsum(0), (1, 0))
        shift = torch.repeat_interleave(first - pointers[:-1], counts)
        entries = shift + torch.arange(len(shift), device=shift.device)
        pointers = pointers.to(self.columns.dtype)
        return CompressedRows(pointers, self.columns[entries], self.values[entries])

    def multiply(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "R D"]:
        """The product with a dense matrix; a row without entries gives exactly 0."""
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
        """The transposed matrix."""
        order, pointers = self.transposition(num_columns)
        lengths = self.pointers.diff()
        row = torch.arange(len(lengths), device=order.device, dtype=self.columns.dtype)
        row = torch.repeat_interleave(row, lengths)
        return CompressedRows(pointers, row[order], self.values[order])

    def transposition(
        self, num_columns: int
    ) -> tuple[Int[Tensor, "E"], Int[Tensor, "C1"]]:
        """The index here of each entry of the transpose, and the transpose's pointers.

        On a CPU by scipy's counting sort, two to three times as fast as torch's sort.
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
        """The matrix as a ``torch.sparse_csr`` tensor that shares its memory."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
            shape = (len(self.pointers) - 1, num_columns)
            return torch.sparse_csr_tensor(*self, size=shape, check_invariants=False)

    def to(self, **target: Any) -> "CompressedRows":
        """The matrix on another device or with values of another type."""
        ids = {key: value for key, value in target.items() if key != "dtype"}
        return CompressedRows(
            self.pointers.to(**ids), self.columns.to(**ids), self.values.to(**target)
        )


Transpose = Callable[[], CompressedRows]


class Product(torch.autograd.Function):
    """A x; the gradient is the transpose of A times that of the product."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: CompressedRows, transpose: Transpose
    ) -> Tensor:
        """Multiply; ``transpose`` is only called when a gradient is needed."""
        ctx.matrix, ctx.transpose = matrix, transpose
        return matrix.multiply(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Multiply by the transpose; can be differentiated again."""
        matrix = ctx.matrix
        product = Product.apply(gradients[0], ctx.transpose(), lambda: matrix)
        return product, None, None


class Entries:
    """Rows, keys and mirrors of the entries of a square matrix, computed on first use.

    Shared by the operators on one graph, which differ only in their values.
    """

    def __init__(self, matrix: CompressedRows) -> None:
        self.matrix = matrix

    @cached_property
    def row(self) -> Int[Tensor, "E"]:
        """The row of each entry."""
        lengths = self.matrix.pointers.diff()
        rows = torch.arange(len(lengths), device=lengths.device)
        return torch.repeat_interleave(rows, lengths)

    @cached_property
    def key(self) -> Int[Tensor, "E"]:
        """A number for each entry, ascending: its row times N, plus its column."""
        return self.row * (len(self.matrix.pointers) - 1) + self.matrix.columns

    @cached_property
    def mirror(self) -> Int[Tensor, "E"]:
        """The index here of each entry of the transpose."""
        return self.matrix.transposition(len(self.matrix.pointers) - 1)[0]


class SymmetricOperator:
    """The normalised adjacency R^-1/2 A C^-1/2 of one relation.

    R holds the row sums of A and C its column sums: the degrees, if A is symmetric.

    Row i of ``operator @ x`` is the weighted sum over the edges (i, j) of x_j; a node
    without edges gives exactly 0. Products can be differentiated in x repeatedly.

    "Symmetric" is the normalisation. A matrix that is not symmetric, such as one whose
    rows were pruned separately (``symmetrize="none"``), also stores its transpose for
    the backward pass, at twice the memory.

    Attributes:
        rows: The matrix by rows.
        columns: The transpose by rows; the same object where the matrix is symmetric.
        entries: Index of the entries of ``rows``.
    """

    def __init__(
        self,
        rows: CompressedRows,
        columns: CompressedRows | None = None,
        entries: Entries | None = None,
    ) -> None:
        self.rows = rows
        self.columns = rows if columns is None else columns
        self.entries = entries or Entries(rows)

    @property
    def num_nodes(self) -> int:
        """N, the number of rows and columns."""
        return len(self.rows.pointers) - 1

    @property
    def is_symmetric(self) -> bool:
        """Whether the backward pass reuses the matrix of the forward pass."""
        return self.columns is self.rows

    @property
    def transpose(self) -> "SymmetricOperator":
        """The transposed operator; this one if it is symmetric."""
        return self if self.is_symmetric else SymmetricOperator(self.columns, self.rows)

    def __matmul__(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        return self.multiply(x)

    def multiply(
        self, x: Float[Tensor, "N D"], rows: Int[Tensor, "n"] | None = None
    ) -> Float[Tensor, "n D"]:
        """``(operator @ x)[rows]``; ``None``: all.

        On a CPU, only these rows are computed. On a GPU all are, as the process would
        have to wait for the number of entries of some rows.

        Raises:
            GraphError: x does not have one row per node.
        """
        if len(x) != self.num_nodes:
            raise GraphError(
                f"this operator needs one row of x for each of its {self.num_nodes} "
                f"nodes; found x of shape {tuple(x.shape)}; pass all nodes of the "
                f"relation (for {INTERACTS} users first, then items)"
            )
        on_cpu = x.device.type == "cpu"
        if rows is None or not on_cpu:  # the entries of some rows are counted on a CPU
            matrix, transpose = self.rows, lambda: self.columns
        else:
            matrix = self.rows.select(rows)
            transpose = partial(matrix.transpose, self.num_nodes)
        product: Tensor = Product.apply(x, matrix, transpose)
        return product if rows is None or on_cpu else product.index_select(0, rows)

    def to(
        self,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
    ) -> "SymmetricOperator":
        """The operator on another device, or with values of another type."""
        target = {"device": device, "dtype": dtype, "non_blocking": non_blocking}
        columns = None if self.is_symmetric else self.columns.to(**target)
        return SymmetricOperator(self.rows.to(**target), columns)

    def dropout(
        self, p: float, generator: torch.Generator | None = None
    ) -> "SymmetricOperator":
        """The operator with random entries dropped, and the others divided by 1 - p.

        An entry (i, j) is dropped independently of (j, i), so the result is not
        symmetric; its backward pass uses its own transpose. The index of mirrored
        entries is computed by the first call only.

        Source:
            The public reimplementations of MCLSR, which drop entries of the normalised
            matrix in each training step, without normalising again.

        Args:
            p: Probability of dropping an entry, in [0, 1).
            generator: Source of randomness, on the operator's device; ``None``:
                torch's global one.
        """
        values = self.rows.values
        drawn = torch.rand(len(values), generator=generator, device=values.device)
        values = values * (drawn >= p) / (1 - p)
        rows = self.rows._replace(values=values)
        columns = self.columns._replace(values=values[self.entries.mirror])
        return SymmetricOperator(rows, columns)

    def without_edges(
        self, first: Int[Tensor, "n"], second: Int[Tensor, "n"]
    ) -> "SymmetricOperator":
        """The operator of the graph without some edges, normalised again.

        For a symmetric relation whose edges all have weight 1, such as the user-item
        edges. A node without remaining edges gives 0; repeated pairs, and pairs that
        are not edges, are ignored.

        Args:
            first: One end of each edge.
            second: The other end.
        """
        nodes, entries = self.num_nodes, self.entries
        if not len(entries.key):
            return self
        keys = torch.cat([first * nodes + second, second * nodes + first]).unique()
        found = torch.searchsorted(entries.key, keys).clamp(max=len(entries.key) - 1)
        found = found[entries.key[found] == keys]
        before = self.rows.pointers.diff()
        after = before - torch.bincount(entries.row[found], minlength=nodes)
        scale = (before / after.clamp(min=1)).sqrt().to(self.rows.values)
        values = self.rows.values * scale[entries.row] * scale[self.rows.columns]
        rows = self.rows._replace(values=values.index_fill(0, found, 0.0))
        return SymmetricOperator(rows, entries=entries)

    def __repr__(self) -> str:
        kind = "symmetric" if self.is_symmetric else "not symmetric"
        entries = len(self.rows.columns)
        return f"SymmetricOperator({self.num_nodes} nodes, {entries} entries, {kind})"
