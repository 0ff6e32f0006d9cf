"""Small graphs with a known answer, models to fit them, and a training loop."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from graphseq.sequences.examples import Sampler
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.data import Interactions, leave_one_out, synthetic
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.models import MODELS, Model, create
from graphseq.sequences import Batch, SequenceLoader, histories

ENCODER = {"Transformer": {"dim": 16, "max_length": 4, "layers": 1, "dropout": 0.1}}
SIZES: dict[str, Any] = {"dim": 16, "max_length": 4, "encoder": ENCODER}
SMALL: dict[str, dict[str, Any]] = {
    "LightGCN": {"layers": 2},
    "GRU4Rec": {"hidden": 32, "dropout": 0.1},
    "Caser": {"window": 3, "dropout": 0.1},
    "SASRec": {"layers": 1, "dropout": 0.1},
    "ComiRec": {"num_negatives": 6, "interests": 1},  # more: see test_comirec.py
    "BERT4Rec": {
        "layers": 1,
        "max_length": 5,
        "dropout": 0.1,
        "mask_rate": 0.3,
        "last_rate": 0.5,
        "sampler": "prefix",
    },
    "S3Rec": {
        "variant": "ISP",
        "pretrain_epochs": 2,
        "sampler": "targets",
        "loss": "ce",
    },
    "EC4SRec": {"updates": [1, 4], "view_weight": 0.02, "negative_weight": 0.01},
    "ICLRec": {"clusters": [4], "sampler": "targets"},
    "CL4SRec": {"sampler": "targets"},
    "CoSeRec": {"sampler": "targets", "threshold": 2, "offline_epochs": 1},
    "LMA4Rec": {"sampler": "targets", "threshold": 2, "offline_epochs": 1},
    "SRMA": {"sampler": "targets", "pretrain_epochs": 2, "pooling": "mean"},
    "MCLRec": {"sampler": "targets"},
    "DSSRec": {"sampler": "targets", "loss": "ce"},
}
"""What a small model needs besides what it takes of ``SIZES``."""


def small(name: str) -> dict[str, Any]:
    """The options that make a model small, as an experiment file spells them."""
    known = inspect.signature(MODELS[name]).parameters
    return {n: v for n, v in SIZES.items() if n in known} | SMALL.get(name, {})


def build(name: str, graph: HeteroData, *, seed: int = 0, **options: Any) -> Model:
    """A small model for a graph; its parts may be spelt ``{Name: options}``."""
    torch.manual_seed(seed)
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    return create({name: small(name) | options}, *sizes)


def load(
    model: Model,
    graph: HeteroData,
    *,
    batch_size: int = 64,
    seed: int = 0,
    sampler: Sampler | None = None,
) -> SequenceLoader:
    return SequenceLoader(
        graph,
        sampler or model.sampler,
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
    """Train with Adam as the model's stages say; return every step's loss.

    Stages before the last take half of the epochs together. The model is left in
    evaluation mode.
    """
    torch.manual_seed(seed)
    values: list[float] = []
    if not [*model.parameters()]:
        return values
    plan, epoch = model.stages(), 0
    for stage in plan:
        loader = load(
            model, graph, batch_size=batch_size, seed=seed, sampler=stage.sampler
        )
        adams = {
            step.parameters: torch.optim.Adam(
                [w for n, w in model.named_parameters() if step.moves(n)], lr
            )
            for step in stage.steps
        }
        for _ in range(epochs if len(plan) == 1 else max(1, epochs // 2)):
            loader.set_epoch(epoch)
            model.eval()
            with torch.no_grad():
                model.refresh(graph, epoch)
            model.train()
            for batch in loader:
                for step in stage.steps:
                    loss = torch.stack([*step.losses(batch, graph).values()]).sum()
                    model.zero_grad()
                    loss.backward()
                    adams[step.parameters].step()
                    values.append(loss.item())
            epoch += 1
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
    with runtime.limit_threads(1):
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
