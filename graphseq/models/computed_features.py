"""Item features that are computed once for a graph, where nothing changes them."""

import copy
from typing import TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.nn.features import Embedding, Features

M = TypeVar("M", bound=nn.Module)


@final
class Computed(Features):
    """Vectors that were computed before; the graph is not used.

    Args:
        vectors: One row an item.
    """

    def __init__(self, vectors: Float[Tensor, "V D"]) -> None:
        super().__init__()
        self.dim = vectors.shape[1]
        self.weight = nn.Parameter(vectors, requires_grad=False)

    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The vectors."""
        assert self.weight is not None
        return self.weight


def with_computed_features(module: M, graph: HeteroData) -> M:
    """The module with the item features of all its parts computed once.

    A propagation over the graph would otherwise be repeated for every batch of an
    evaluation. The module stays as it is; the copies of the parts that hold features
    share everything else with it.

    Args:
        module: A model or part, in the mode in which the features are needed.
        graph: The graph.
    """
    parts = {name: _computed(part, graph) for name, part in module.named_children()}
    if all(parts[name] is part for name, part in module.named_children()):
        return module
    same = copy.copy(module)
    same.__dict__["_modules"] = {**module._modules, **parts}
    return same


def _computed(part: nn.Module, graph: HeteroData) -> nn.Module:
    if isinstance(part, Embedding):  # as fast as what would replace it
        return part
    if isinstance(part, Features):
        with torch.no_grad():
            return Computed(part(graph))
    return with_computed_features(part, graph)
