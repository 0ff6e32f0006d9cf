"""Items linked by shared attributes, without storing the links.

An attribute of n items links n² pairs of items. Two products with the item-attribute
matrix give the same sums at the cost of twice its entries.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graphseq.nn.sparse import CompressedRows, Product


class TwoHops:
    r"""The adjacency of items that share attributes, over two hops.

    With the item-attribute matrix H (1 for each pair) and the numbers of items of the
    attributes, :math:`D_a`,

    .. math:: M = H D_a^{-1} H^\top - \mathrm{diagonal}, \qquad
        \hat M = R^{-1/2} M R^{-1/2}

    where R holds the row sums of M. Each attribute thus shares a weight of about 1
    among its items. With the diagonal, an item with one attribute of two items would
    read itself as much as the other one. An item that shares no attribute has an empty
    row.

    Attributes:
        up: :math:`B = H D_a^{-1/2}`, (V, A), by items.
        down: Its transpose, by attributes.
        scale: :math:`R^{-1/2}`, 0 for an empty row, (V,).
        diagonal: That of :math:`B B^\top`, (V,).
    """

    def __init__(
        self,
        up: CompressedRows,
        down: CompressedRows,
        scale: Float[Tensor, "V"],
        diagonal: Float[Tensor, "V"],
    ) -> None:
        self.up, self.down = up, down
        self.scale, self.diagonal = scale, diagonal

    @classmethod
    def of(cls, up: CompressedRows, num_attributes: int) -> "TwoHops":
        """The normalised operator.

        Args:
            up: :math:`B`, (V, A), by items.
            num_attributes: A.
        """
        lengths = up.pointers.diff()
        rows = torch.arange(len(lengths), device=lengths.device)
        item, column = torch.repeat_interleave(rows, lengths), up.columns.long()
        values = up.values.double()
        zeros = values.new_zeros
        sums = zeros(num_attributes).index_add(0, column, values)
        others = sums[column] - values  # of an attribute of one item: exactly 0
        reached = zeros(len(lengths)).index_add(0, item, values * others)
        own = zeros(len(lengths)).index_add(0, item, values.square())
        scale = reached.rsqrt().where(reached > 0, 0.0).to(up.values)
        down = up.transpose(num_attributes)
        return cls(up, down, scale, own.to(up.values))

    @property
    def num_nodes(self) -> int:
        """V."""
        return len(self.scale)

    @property
    def transpose(self) -> "TwoHops":
        """The operator itself, which is symmetric."""
        return self

    def __matmul__(self, x: Float[Tensor, "V D"]) -> Float[Tensor, "V D"]:
        return self.multiply(x)

    def multiply(
        self, x: Float[Tensor, "V D"], rows: Int[Tensor, "n"] | None = None
    ) -> Float[Tensor, "n D"]:
        """``(operator @ x)[rows]``; ``None``: all rows."""
        scale = self.scale.to(x)[:, None]
        x = scale * x
        attributes = Product.apply(x, self.down, lambda: self.up)
        items: Tensor = Product.apply(attributes, self.up, lambda: self.down)
        found = scale * (items - self.diagonal.to(x)[:, None] * x)
        return found if rows is None else found.index_select(0, rows)

    def dropout(self, p: float, generator: torch.Generator | None = None) -> "TwoHops":
        """The operator with random item-attribute pairs dropped, normalised again.

        Args:
            p: Probability of dropping a pair, in [0, 1).
            generator: Source of randomness; ``None``: torch's global one.
        """
        values = self.up.values
        drawn = torch.rand(len(values), generator=generator, device=values.device)
        kept = self.up._replace(values=values * (drawn >= p))
        return TwoHops.of(kept, len(self.down.pointers) - 1)

    def to(
        self,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
    ) -> "TwoHops":
        """The operator on another device, or with values of another type."""
        target: dict[str, Any] = {
            "device": device,
            "dtype": dtype,
            "non_blocking": non_blocking,
        }
        vectors = self.scale.to(**target), self.diagonal.to(**target)
        return TwoHops(self.up.to(**target), self.down.to(**target), *vectors)

    def __repr__(self) -> str:
        return (
            f"TwoHops({self.num_nodes} items, {len(self.down.pointers) - 1} attributes)"
        )
