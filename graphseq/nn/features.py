"""Item features: a vector for each item, by default a row of a table."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.schema import Configurable, Size, Weight

TargetEdges = Literal["kept", "left_out"]


class Features(Configurable, nn.Module, ABC):
    """A vector for each item; ``features(graph)`` is (V, D).

    Attributes:
        weight: The trainable table, (V, D); ``None``: there is none.
        dim: D.
        requires: Relations of the graph that it reads.
        target_edges: ``left_out`` if :meth:`forward` takes the edges that a training
            step must not read, as ``excluded``, (2, m): users and items.
    """

    weight: nn.Parameter | None
    dim: int
    requires: tuple[EdgeType, ...] = ()
    target_edges: TargetEdges = "kept"

    @property
    def num_items(self) -> int | None:
        """V, if the features were created for a number of items: rows of ``weight``."""
        weight = getattr(self, "weight", None)
        return None if weight is None else len(weight)

    def misfits(self, graph: HeteroData) -> Iterator[str]:
        """Why a graph that has the relations cannot be read; nothing if it can."""
        yield from ()

    @abstractmethod
    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The vectors of the V real items."""

    def in_training(
        self, graph: HeteroData, target_edges: Int[Tensor, "2 m"]
    ) -> Float[Tensor, "V D"]:
        """The vectors of a training step, which may leave out what it predicts.

        Args:
            graph: The graph.
            target_edges: Users and items that the step predicts.
        """
        if self.target_edges == "left_out":
            return self(graph, target_edges)  # type: ignore[no-any-return]
        return self(graph)  # type: ignore[no-any-return]

    @staticmethod
    def check_sampler(features: Any, sampler: str) -> Iterator[str]:
        """Why features cannot be trained with a sampler; nothing if they can.

        Args:
            features: The features, their specification in a file, or ``None``.
            sampler: How training examples are cut from the sequences.
        """
        if sampler != "prefix" and getattr(features, "target_edges", "") == "left_out":
            yield (
                "with a target at every position, target_edges='left_out' would leave "
                f"no edge of a user; set sampler='prefix' (found {sampler!r})"
            )


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
        assert self.weight is not None
        return self.weight


def other_users(part: Any, number: int, graph: HeteroData) -> Iterator[str]:
    """Why a part with a vector for each user cannot be used on a graph.

    Args:
        part: The part.
        number: Its number of users.
        graph: The graph.
    """
    found = graph["user"].num_nodes
    if found != number:
        name = type(part).__name__
        yield (
            f"its {name} was created for {number} users, and the graph has {found}: "
            f"use num_users={found}"
        )


def embed_items(
    table: Float[Tensor, "V D"], items: Int[Tensor, "B L"]
) -> Float[Tensor, "B L D"]:
    """The vectors of items; zero where ``items`` is the padding id V."""
    real = items < len(table)
    rows = nn.functional.embedding(items.clamp(max=len(table) - 1), table)
    return rows * real[..., None]
