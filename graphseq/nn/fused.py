"""Item features over several relations of a graph, from one shared table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, final

import torch
from annotated_types import MinLen
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.nn.features import Features
from graphseq.nn.pretrained import Pretrained
from graphseq.nn.propagated import Propagated
from graphseq.schema import InvalidOption, Size, Weight

Fusion = Literal["mean", "weights", "gate"]


@final
class Fused(Features):
    r"""One vector for each item, propagated over several relations and fused.

    With the table :math:`X_0 = E` and :math:`X_r` of each part, the item vectors are

    * ``mean``: :math:`\sum_r X_r / (m + 1)`;
    * ``weights``: :math:`\sum_r \mathrm{softmax}(θ)_r X_r`, θ trained from 0, so that
      training starts from the mean. :attr:`fractions` is the softmax;
    * ``gate``, of one part: :math:`g ⊙ X_0 + (1 - g) ⊙ X_1` with
      :math:`g = σ([X_0; X_1] W^\top + b)`; of several: a softmax over r of
      :math:`X_r \cdot a_r` for each item. All start from 0, the mean.

    A part with ``readout="last"`` adds its relation alone, one with ``mean`` also E
    once more. A training step costs the sum of the parts, and m + 1 operations on
    (V, D).

    Args:
        num_items: V.
        parts: What is propagated over each relation. Their own tables are dropped.
        dim: D; ``None`` is that of the parts.
        table: The vectors E; ``None`` is a trainable vector for each item.
        how: How the m + 1 vectors of an item become one.
        std: Standard deviation of the table's initial values.
    """

    def __init__(
        self,
        num_items: Size,
        *,
        parts: Annotated[Sequence[Propagated], MinLen(1)],
        dim: Size | None = None,
        table: Pretrained | None = None,
        how: Fusion = "weights",
        std: Weight = 0.02,
    ) -> None:
        super().__init__()
        self.dim = parts[0].dim if dim is None else dim
        self.how: Fusion = how
        self.parts = nn.ModuleList(parts)
        relations = [relation for part in parts for relation in part.requires]
        self.requires = tuple(dict.fromkeys(relations))
        if any(part.target_edges == "left_out" for part in parts):
            self.target_edges = "left_out"
        for part in parts:
            part.release_table()
        self.table = table
        self.weight = None
        if table is None:
            self.weight = nn.Parameter(torch.empty(num_items, self.dim))
            nn.init.normal_(self.weight, std=std)
        self.theta = (
            nn.Parameter(torch.zeros(len(parts) + 1)) if how == "weights" else None
        )
        self.gate: nn.Linear | None = None
        self.attention: nn.Parameter | None = None
        if how == "gate" and len(parts) == 1:
            self.gate = nn.Linear(2 * self.dim, self.dim)
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)
        elif how == "gate":
            self.attention = nn.Parameter(torch.zeros(len(parts) + 1, self.dim))

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """All parts have one width, and rows for the same items."""
        parts, table = options["parts"], options["table"]
        if any(part.table is not None for part in parts):
            yield InvalidOption(
                "parts", "they share one table; set the table of Fused, not of a part"
            )
        owners = parts if table is None else [*parts, table]
        sizes = {part.dim for part in owners} | {options["dim"]} - {None}
        if len(sizes) > 1:
            found = " and ".join(map(str, sorted(sizes)))
            yield InvalidOption(
                "dim", f"expected one width of all parts, found {found}"
            )
        built = [part for part in owners if isinstance(part, Features)]
        rows = {part.options["num_items"] for part in built}
        if built and rows != {options["num_items"]}:
            found = " and ".join(map(str, sorted(rows)))
            message = (
                f"expected num_items={options['num_items']} in each, found {found}"
            )
            yield InvalidOption("parts", message)

    def forward(
        self, graph: HeteroData, excluded: Int[Tensor, "2 m"] | None = None
    ) -> Float[Tensor, "V D"]:
        """The fused vectors; arguments as for :class:`Propagated`."""
        table: Tensor | None = self.weight
        if self.table is not None:
            table = self.table(graph)
        assert table is not None
        smoothed = [part.smooth(table, graph, excluded) for part in self._parts]
        vectors = torch.stack([table, *smoothed])
        if self.theta is not None:
            return torch.einsum("r,rvd->vd", self.theta.softmax(dim=0), vectors)
        if self.gate is not None:
            own, other = vectors.unbind()
            gate = torch.sigmoid(self.gate(torch.cat([own, other], dim=1)))
            return other + gate * (own - other)
        if self.attention is not None:
            logits = torch.einsum("rvd,rd->rv", vectors, self.attention)
            return torch.einsum("rv,rvd->vd", logits.softmax(dim=0), vectors)
        return vectors.mean(dim=0)

    @property
    def num_items(self) -> int | None:
        """V."""
        return super().num_items if self.table is None else self.table.num_items

    def misfits(self, graph: HeteroData) -> Iterator[str]:
        """Why the table cannot be read."""
        yield from () if self.table is None else self.table.misfits(graph)

    @property
    def fractions(self) -> Float[Tensor, "m1"]:
        """The softmax of ``weights``: of the table, then of each part.

        Raises:
            ValueError: The vectors are fused in another way.
        """
        if self.theta is None:
            raise ValueError(f"how={self.how!r} has no fractions; 'weights' has")
        return self.theta.detach().softmax(dim=0)

    @property
    def _parts(self) -> list[Propagated]:
        return [part for part in self.parts if isinstance(part, Propagated)]

    def extra_repr(self) -> str:
        """How the vectors are fused; with ``weights``, the fraction of each."""
        if self.theta is None:
            return f"how={self.how!r}"
        names = ["table", *(part.relation[1] for part in self._parts)]
        pairs = zip(names, self.fractions.tolist(), strict=True)
        return "how='weights', " + ", ".join(f"{n} {value:.3f}" for n, value in pairs)
