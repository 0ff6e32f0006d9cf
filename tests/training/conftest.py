"""A graph and a model so small that an epoch takes milliseconds."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out, synthetic
from graphseq.graphs import build_graph
from graphseq.models import Model, create
from graphseq.training import Run, fit


@pytest.fixture(scope="session")
def graph() -> HeteroData:
    """A cycle of 12 items walked by 30 users."""
    return build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=0)))


@pytest.fixture
def tiny() -> Callable[..., Model]:
    """A SASRec with dropout and sampled negatives: everything random is in use."""

    def make(dropout: float = 0.5, **options: Any) -> Model:
        torch.manual_seed(7)
        encoder = {"Transformer": {"layers": 1, "heads": 1, "dropout": dropout}}
        given = {"dim": 8, "loss": "bce", "max_length": 8, "encoder": encoder}
        return create({"SASRec": {"backbone": given | options}}, 30, 12)

    return make


@pytest.fixture
def small() -> Callable[..., Model]:
    """A model by name, of width 8, for the graph."""

    def make(name: str, **options: Any) -> Model:
        backbone = {"backbone": {"dim": 8, "max_length": 8}}
        return create({name: backbone | options}, 30, 12)

    return make


@pytest.fixture
def short() -> Callable[..., Run]:
    """Trains for two epochs, without a progress bar."""

    def train(model: Model, graph: HeteroData, **options: Any) -> Run:
        given = {"max_epochs": 2, "batch_size": 30, "lr": 0.01, "progress": False}
        return fit(model, graph, **(given | {"threads": 1} | options))

    return train
