"""A model that gives the scores one writes down, and a graph to evaluate it on."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import HeldOut
from graphseq.models.base import Model
from graphseq.sequences.batch import Batch


class Written(Model):
    """Scores are the rows of a table: (U, V), or (U, K, V) for K interests."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.num_users, self.num_items = scores.shape[0], scores.shape[-1]
        self.scores = scores
        self.part = torch.nn.Dropout(0.5)
        self.seen_training: set[bool] = set()
        self.longest = 0

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        self.seen_training |= {self.training, self.part.training}
        self.longest = max(self.longest, batch.items.shape[1])
        assert not torch.is_grad_enabled()
        return self.scores[batch.user]

    def item_vectors(self, graph: HeteroData) -> Tensor:
        return torch.eye(self.num_items, dtype=self.scores.dtype)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        return {}


def ragged(lists: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    flat = torch.tensor([item for row in lists for item in row], dtype=torch.int64)
    return flat, torch.tensor([0, *(len(row) for row in lists)]).cumsum(0)


def make(
    scores: Sequence | Tensor,
    histories: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    train: Sequence[tuple[int, int]] = ((0, 0),),
) -> tuple[Written, HeteroData]:
    if not isinstance(scores, Tensor):
        scores = torch.tensor(scores, dtype=torch.float32)
    model, graph = Written(scores), HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = scores.shape[0], scores.shape[-1]
    graph[INTERACTS].edge_index = torch.tensor(train).T
    users = torch.arange(len(targets))
    graph.test = HeldOut(users, *ragged(histories), *ragged(targets))
    return model, graph


@pytest.fixture(scope="session")
def written() -> Callable[..., tuple[Written, HeteroData]]:
    return make


@pytest.fixture
def small(
    written: Callable[..., tuple[Written, HeteroData]],
) -> tuple[Written, HeteroData]:
    """Six users and thirty items with random scores."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(6, 30, generator=generator)
    histories = [[i, i + 1] for i in range(6)]
    targets = [[i + 2, 20 + i] for i in range(6)]
    return written(scores, histories, targets, [(i, i) for i in range(6)])
