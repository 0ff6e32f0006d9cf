"""Sparse times dense, differentiable in the dense factor.

The matrix is kept as compressed rows with 32-bit ids. On a CPU the product runs through
``embedding_bag``, which fetches the rows of X ahead of their use and was two to four
times as fast as ``torch.sparse_csr`` (``benchmarks/propagation.py``); elsewhere it is
``torch.sparse_csr`` itself.
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


class Places:
    """Where the entries of a square matrix stand, found out when it is first asked.

    Operators on one graph that differ in their values share it.
    """

    def __init__(self, matrix: CompressedRows) -> None:
        self.matrix = matrix

    @cached_property
    def row(self) -> Int[Tensor, "E"]:
        """The row of every entry."""
        lengths = self.matrix.pointers.diff()
        rows = torch.arange(len(lengths), device=lengths.device)
        return torch.repeat_interleave(rows, lengths)

    @cached_property
    def key(self) -> Int[Tensor, "E"]:
        """A number for every entry, ascending: its row times N, plus its column."""
        return self.row * (len(self.matrix.pointers) - 1) + self.matrix.columns

    @cached_property
    def mirror(self) -> Int[Tensor, "E"]:
        """Where entry e of the transpose stands among the entries."""
        return self.matrix.transposition(len(self.matrix.pointers) - 1)[0]


class SymmetricOperator:
    """The normalised adjacency D^-1/2 A D^-1/2 of one relation, D being A's row sums.

    Row i of ``operator @ x`` is the weighted sum over the edges (i, j) of x_j; a node
    without edges gives exactly 0. Products are differentiable in x, more than once too.

    "Symmetric" names the normalisation. A matrix that is not symmetric itself, such as
    one whose rows were pruned apart (``symmetrize="none"``), keeps its transpose for
    the backward pass, and costs twice the memory.

    Attributes:
        rows: The matrix by rows.
        columns: The transpose by rows; the same object where the matrix is symmetric.
        places: Where the entries of ``rows`` stand.
    """

    def __init__(
        self,
        rows: CompressedRows,
        columns: CompressedRows | None = None,
        places: Places | None = None,
    ) -> None:
        self.rows = rows
        self.columns = rows if columns is None else columns
        self.places = places or Places(rows)

    @property
    def num_nodes(self) -> int:
        """N, the number of rows and of columns."""
        return len(self.rows.pointers) - 1

    @property
    def is_symmetric(self) -> bool:
        """Whether the backward pass reuses the matrix of the forward pass."""
        return self.columns is self.rows

    @property
    def transpose(self) -> "SymmetricOperator":
        """The operator with rows and columns exchanged; itself where symmetric."""
        return self if self.is_symmetric else SymmetricOperator(self.columns, self.rows)

    def __matmul__(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        return self.multiply(x)

    def multiply(
        self, x: Float[Tensor, "N D"], rows: Int[Tensor, "n"] | None = None
    ) -> Float[Tensor, "n D"]:
        """``(operator @ x)[rows]``, computing these rows only; ``None`` means all.

        Raises:
            GraphError: If x does not have one row for each node.
        """
        if len(x) != self.num_nodes:
            raise GraphError(
                f"this operator joins {self.num_nodes} nodes and needs one row of x "
                f"for each; got x of shape {tuple(x.shape)}. Give all nodes of the "
                f"relation: for {INTERACTS} the users first, then the items."
            )
        if rows is None:
            matrix, transpose = self.rows, lambda: self.columns
        else:
            matrix = self.rows.select(rows)
            transpose = partial(matrix.transpose, self.num_nodes)
        product: Tensor = Product.apply(x, matrix, transpose)
        return product

    def to(
        self,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
    ) -> "SymmetricOperator":
        """The same operator on another device, or with values of another type."""
        where = {"device": device, "dtype": dtype, "non_blocking": non_blocking}
        rows = self.rows.to(**where)
        return SymmetricOperator(
            rows, None if self.is_symmetric else self.columns.to(**where)
        )

    def dropout(
        self, p: float, generator: torch.Generator | None = None
    ) -> "SymmetricOperator":
        """The operator without a random share p of its entries, the rest over 1 - p.

        An entry (i, j) falls independently of its mirror (j, i), so a symmetric
        operator does not stay so; the backward pass uses the transpose of what is left.
        Only the first call finds out where each entry's mirror stands.

        Source:
            The public reimplementations of MCLSR, which drop entries of the normalised
            matrix, anew in each training step, and do not normalise again.

        Args:
            p: Probability of leaving an entry out, at least 0 and below 1.
            generator: Of the draws, on the operator's device; ``None`` is torch's own.
        """
        values = self.rows.values
        drawn = torch.rand(len(values), generator=generator, device=values.device)
        values = values * (drawn >= p) / (1 - p)
        rows = self.rows._replace(values=values)
        columns = self.columns._replace(values=values[self.places.mirror])
        return SymmetricOperator(rows, columns)

    def without(
        self, first: Int[Tensor, "n"], second: Int[Tensor, "n"]
    ) -> "SymmetricOperator":
        """The operator of the graph without some edges, normalised by what is left.

        Of a symmetric relation whose edges all weigh 1, such as the user-item edges. A
        node that loses all of its edges gives 0; repeats, and pairs that are no edges,
        change nothing.

        Args:
            first: One end of each edge.
            second: Its other end.
        """
        nodes, places = self.num_nodes, self.places
        if not len(places.key):
            return self
        asked = torch.cat([first * nodes + second, second * nodes + first]).unique()
        found = torch.searchsorted(places.key, asked).clamp(max=len(places.key) - 1)
        found = found[places.key[found] == asked]
        before = self.rows.pointers.diff()
        after = before - torch.bincount(places.row[found], minlength=nodes)
        scale = (before / after.clamp(min=1)).sqrt().to(self.rows.values)
        values = self.rows.values * scale[places.row] * scale[self.rows.columns]
        rows = self.rows._replace(values=values.index_fill(0, found, 0.0))
        return SymmetricOperator(rows, places=places)

    def __repr__(self) -> str:
        kind = "symmetric" if self.is_symmetric else "not symmetric"
        entries = len(self.rows.columns)
        return f"SymmetricOperator({self.num_nodes} nodes, {entries} entries, {kind})"
