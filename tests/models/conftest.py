"""Small graphs with a known answer, models to fit them, and a training loop."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import threads
from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.data import Interactions, leave_one_out, synthetic
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.models import MODELS, Model
from graphseq.sequences import Batch, SequenceLoader, histories

SMALL: dict[str, dict[str, Any]] = {
    "POP": {},
    "BPRMF": {"dim": 16},
    "LightGCN": {"dim": 16, "layers": 2},
    "SASRec": {"dim": 16, "layers": 1, "max_length": 4, "dropout": 0.1},
    "MCLSR": {"dim": 16, "max_length": 4},
}


def build(name: str, graph: HeteroData, *, seed: int = 0, **options: Any) -> Model:
    torch.manual_seed(seed)
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    return MODELS[name](*sizes, **(SMALL[name] | options))


def load(
    model: Model, graph: HeteroData, *, batch_size: int = 64, seed: int = 0
) -> SequenceLoader:
    return SequenceLoader(
        graph,
        model.sampler,
        batch_size,
        model.max_length,
        seed=seed,
        num_negatives=model.num_negatives,
    )


def train(
    model: Model,
    graph: HeteroData,
    epochs: int,
    *,
    lr: float = 0.01,
    batch_size: int = 64,
    seed: int = 0,
) -> list[float]:
    """Train with Adam, leave the model in evaluation mode, return every step's loss."""
    torch.manual_seed(seed)
    loader, values = load(model, graph, batch_size=batch_size, seed=seed), []
    parameters = [*model.parameters()]
    if not parameters:
        return []
    adam = torch.optim.Adam(parameters, lr)
    model.train()
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        for batch in loader:
            loss = torch.stack([*model.losses(batch, graph).values()]).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
            values.append(loss.item())
    model.eval()
    return values


def test_batch(model: Model, graph: HeteroData) -> Batch:
    rows = torch.arange(len(graph.test.user))
    return histories(graph.test, rows, model.max_length, model.num_items)


def hit_rate(model: Model, graph: HeteroData, k: int) -> float:
    """Share of test users whose target is among the k best, history kept."""
    best = model.score(test_batch(model, graph), graph).topk(k).indices
    return (best == graph.test.target[:, None]).any(dim=1).float().mean().item()


def graph_of(log: Interactions) -> HeteroData:
    return build_graph(leave_one_out(log), [CoOccurrence("user"), CoOccurrence("item")])


def shuffle(log: Interactions, seed: int = 0) -> Interactions:
    """The same users, items and times, but who took what when is left to chance."""
    items = np.random.default_rng(seed).permutation(log.item)
    return Interactions.from_arrays(
        log.user, items, log.time, users=log.users, items=log.items
    )


def homes(num_users: int, seed: int = 0) -> Interactions:
    """Users who draw 12 events from the six items of their own quarter of 24 items."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(num_users), 12)
    item = 6 * (user % 4) + rng.integers(6, size=len(user))
    return Interactions.from_arrays(user, item, np.tile(np.arange(12), num_users))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """These models are far too small to share out among threads."""
    with threads.limited(1):
        yield


@pytest.fixture(scope="session")
def cycle() -> HeteroData:
    """A ring of 12 items walked by 48 users; the next item is certain."""
    return graph_of(synthetic.cycle(48, 12, length=9, seed=0))


@pytest.fixture(scope="session")
def shuffled_cycle() -> HeteroData:
    """As many events of 240 users, but nothing tells the next item."""
    return graph_of(shuffle(synthetic.cycle(240, 12, length=9, seed=0)))


@pytest.fixture(scope="session")
def quarters() -> HeteroData:
    return graph_of(homes(100))


@pytest.fixture(scope="session")
def shuffled_quarters() -> HeteroData:
    return graph_of(shuffle(homes(400)))


@pytest.fixture
def t1() -> HeteroData:
    """T1 of the specification: 3 users, 4 items, the last one alone."""
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 3, 4
    pairs = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 1)]
    graph[INTERACTS].edge_index = torch.tensor(pairs).T.contiguous()
    graph[USER_CO_OCCURS].edge_index = torch.tensor(
        [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    )
    graph[ITEM_CO_OCCURS].edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    return graph


USERS = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=torch.float64)
ITEMS = torch.tensor([[1.0, 2], [3, 4], [5, 6], [7, 8]], dtype=torch.float64)


@pytest.fixture
def t1_tables() -> tuple[Tensor, Tensor]:
    """H^u and H^v of the specification."""
    return USERS.clone(), ITEMS.clone()


class Laboratory:
    """What a test of a model needs, in one fixture."""

    build = staticmethod(build)
    load = staticmethod(load)
    train = staticmethod(train)
    test_batch = staticmethod(test_batch)
    hit_rate = staticmethod(hit_rate)
    graph_of = staticmethod(graph_of)
    shuffle = staticmethod(shuffle)


@pytest.fixture(scope="session")
def lab() -> type[Laboratory]:
    return Laboratory
