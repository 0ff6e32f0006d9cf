"""Item features: an embedding table, or one propagated over an item graph."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS, PRECEDES, EdgeType
from graphseq.nn.propagation import Readout, operator, propagate
from graphseq.schema import Configurable, Count, Size, Weight

RELATIONS = {"item": ITEM_CO_OCCURS, "precedes": PRECEDES}


class Features(Configurable, nn.Module, ABC):
    """A vector for each item; ``features(graph)`` is (V, D)."""

    weight: nn.Parameter
    dim: int
    requires: tuple[EdgeType, ...] = ()

    @abstractmethod
    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The vectors of the V real items."""


@final
class Embedding(Features):
    """A trainable vector for each item, initially from N(0, std²).

    Padding has no vector: :func:`embed_items` returns zeros for it.

    Args:
        num_items: V.
        dim: D.
        std: Standard deviation of the initial values; ``xavier`` is
            sqrt(2 / (V + D)), ``1/dim`` is 1 / D.
    """

    def __init__(
        self,
        num_items: Size,
        *,
        dim: Size = 64,
        std: Weight | Literal["xavier", "1/dim"] = 0.02,
    ) -> None:
        super().__init__()
        self.dim = dim
        named = {"xavier": (2 / (num_items + dim)) ** 0.5, "1/dim": 1 / dim}
        std = named[std] if isinstance(std, str) else std
        self.weight = nn.Parameter(torch.empty(num_items, dim))
        nn.init.normal_(self.weight, std=std)

    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The table; the graph is not used."""
        return self.weight


@final
class Propagated(Features):
    r"""A trainable vector for each item, propagated over a graph of the items.

    With :math:`\hat A = D^{-1/2} A D^{-1/2}` of the relation, the vectors are the last
    of :math:`E, \hat A E, …, \hat A^l E`, or their mean.

    Source:
        The propagation of He et al., LightGCN, SIGIR 2020, Eqs. (3)-(8), as the input
        of a sequence encoder.

    Args:
        num_items: V.
        dim: D.
        relation: The graph: co-occurrence of items (``item``), or transitions between
            them (``precedes``, from ``Transitions``).
        layers: Propagation steps, l.
        readout: ``mean`` of the layers 0 … l, or the ``last`` one.
        std: Standard deviation of the initial values.
    """

    def __init__(
        self,
        num_items: int,
        *,
        dim: Size = 64,
        relation: Literal["item", "precedes"] = "item",
        layers: Count = 1,
        readout: Readout = "mean",
        std: Weight = 0.02,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.relation = RELATIONS[relation]
        self.requires = self.required_relations(self.options)
        self.layers = layers
        self.readout: Readout = readout
        self.weight = nn.Parameter(torch.empty(num_items, dim))
        nn.init.normal_(self.weight, std=std)

    @classmethod
    def required_relations(cls, options: Mapping[str, Any]) -> tuple[EdgeType, ...]:
        """The graph of the items."""
        return (RELATIONS[options["relation"]],)

    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The table after propagation."""
        step = operator(graph, self.relation)
        return propagate(self.weight, step, self.layers, self.readout)


def embed_items(
    table: Float[Tensor, "V D"], items: Int[Tensor, "B L"]
) -> Float[Tensor, "B L D"]:
    """The vectors of items; zero where ``items`` is the padding id V."""
    real = items < len(table)
    rows = nn.functional.embedding(items.clamp(max=len(table) - 1), table)
    return rows * real[..., None]
