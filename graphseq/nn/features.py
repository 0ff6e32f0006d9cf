"""What an encoder reads of an item: a table's rows, or the same rows on a graph."""

from abc import ABC, abstractmethod
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS, PRECEDES, EdgeType
from graphseq.nn.propagation import operator, propagate
from graphseq.schema import Configurable, check_ranges

RELATIONS = {"item": ITEM_CO_OCCURS, "precedes": PRECEDES}


class Features(Configurable, nn.Module, ABC):
    """A vector for every item; ``features(graph)`` is (V, D)."""

    weight: nn.Parameter
    dim: int
    requires: tuple[EdgeType, ...] = ()

    @abstractmethod
    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The vectors of the V real items."""


@final
class Embedding(Features):
    """A trainable row per item.

    The padding has no row: :func:`embed_items` returns zeros for it. Rows start as
    draws from N(0, std²).

    Args:
        num_items: V.
        dim: D.
        std: Standard deviation of the initial rows.

    Raises:
        OptionError: An option is out of its range.
    """

    def __init__(self, num_items: int, *, dim: int = 64, std: float = 0.02) -> None:
        super().__init__()
        check_ranges(sizes={"dim": dim}, amounts={"std": std})
        self.dim = dim
        self.weight = nn.Parameter(torch.empty(num_items, dim))
        nn.init.normal_(self.weight, std=std)

    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The table; the graph is not read."""
        return self.weight


@final
class Propagated(Features):
    r"""A trainable row per item, smoothed over a graph of the items.

    With :math:`\hat A = D^{-1/2} A D^{-1/2}` of the relation, the vectors are the last
    of :math:`E, \hat A E, …, \hat A^l E`, or their mean.

    Source:
        The propagation of He et al., LightGCN, SIGIR 2020, Eqs. (3)-(8), as the input
        of a sequence encoder.

    Args:
        num_items: V.
        dim: D.
        relation: The graph: the items' co-occurrence (``item``), or what follows what
            (``precedes``, from ``Transitions``).
        layers: Steps of propagation, l.
        readout: ``mean`` of the layers 0 … l, or the ``last`` one.
        std: Standard deviation of the initial rows.

    Raises:
        OptionError: An option is out of its range.
    """

    def __init__(
        self,
        num_items: int,
        *,
        dim: int = 64,
        relation: Literal["item", "precedes"] = "item",
        layers: int = 1,
        readout: Literal["mean", "last"] = "mean",
        std: float = 0.02,
    ) -> None:
        super().__init__()
        check_ranges(
            sizes={"dim": dim}, counts={"layers": layers}, amounts={"std": std}
        )
        self.dim = dim
        self.relation = RELATIONS[relation]
        self.requires = (self.relation,)
        self.layers = layers
        self.readout: Literal["mean", "last"] = readout
        self.weight = nn.Parameter(torch.empty(num_items, dim))
        nn.init.normal_(self.weight, std=std)

    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The table's rows after the propagation."""
        step = operator(graph, self.relation)
        return propagate(self.weight, step, self.layers, readout=self.readout)


def embed_items(
    table: Float[Tensor, "V D"], items: Int[Tensor, "B L"]
) -> Float[Tensor, "B L D"]:
    """The rows of a table, zero where ``items`` holds the padding id V."""
    real = items < len(table)
    rows = nn.functional.embedding(items.clamp(max=len(table) - 1), table)
    return rows * real[..., None]
