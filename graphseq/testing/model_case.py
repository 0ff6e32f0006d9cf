"""A model, the graphs on which it is checked, and its training."""

import shutil
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.models import Model
from graphseq.schema import Count, Positive
from graphseq.sequences import Batch
from graphseq.testing.samples import (
    RELATIONS,
    batches,
    communities,
    graph_of,
    ring,
    shuffled,
    test_batch,
)
from graphseq.testing.suite import Suite
from graphseq.training.fit import fit

Learns = Literal["order", "communities", "nothing"]
NUM_USERS, NUM_ITEMS = 48, 12


@dataclass(frozen=True)
class ModelCase:
    """A model, and graphs with a known answer.

    Attributes:
        make: Returns a new model for a number of users and of items.
        learns: The structure that it must find: the next item of a ring (``order``),
            the items of a user's community (``communities``), or ``nothing``.
        epochs: Epochs in which it learns.
        lr: Learning rate.
        steps: The steps of the graph.
    """

    make: Callable[[int, int], Model]
    learns: Learns = "order"
    epochs: Count = 12
    lr: Positive = 0.03
    steps: Sequence[BaseTransform] = RELATIONS

    @cached_property
    def graph(self) -> HeteroData:
        """48 users who walk a ring of 12 items."""
        return graph_of(ring(NUM_USERS, NUM_ITEMS), self.steps)

    def new(self, graph: HeteroData | None = None, seed: int = 0) -> Model:
        """A new model in evaluation mode."""
        graph = self.graph if graph is None else graph
        torch.manual_seed(seed)
        sizes = graph["user"].num_nodes, graph["item"].num_nodes
        return self.make(*sizes).eval()

    @cached_property
    def model(self) -> Model:
        """The model that most checks read."""
        return self.new()

    @cached_property
    def batch(self) -> Batch:
        """Histories of 1 to 4 items, so that there is padding."""
        full = test_batch(self.model, self.graph)
        width = min(4, full.items.shape[1])
        lengths = (torch.arange(len(full)) % width + 1).minimum(full.lengths)
        mask = torch.arange(width) < lengths[:, None]
        items = full.items[:, :width].masked_fill(~mask, full.num_items)
        return replace(full, items=items, lengths=lengths)

    def training_batch(self, model: Model) -> Batch:
        """The first training batch."""
        return batches(model, self.graph)[0]

    def train(self, model: Model, graph: HeteroData, **options: Any) -> Any:
        """Train a model on one thread, without validation; returns the run."""
        given = {
            "max_epochs": self.epochs,
            "lr": self.lr,
            "batch_size": 64 if self.learns == "order" else 256,
            "monitor": None,
            "progress": False,
            "accelerator": "cpu",
            "threads": 1,
            **options,
        }
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* epochs before all of its losses")
            return fit(model, graph, **given)

    @cached_property
    def structured(self) -> HeteroData:
        """The graph from which it must learn."""
        if self.learns == "communities":
            return graph_of(communities(), self.steps)
        return self.graph

    @cached_property
    def structureless(self) -> HeteroData:
        """The same users with shuffled items, more of them."""
        if self.learns == "communities":
            return graph_of(shuffled(communities(400)), self.steps)
        return graph_of(shuffled(ring(120)), self.steps)

    @cached_property
    def folder(self) -> Path:
        """A temporary folder, removed with the case."""
        folder = mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    @cached_property
    def trained(self) -> Model:
        """The model after its training, whose run is in the folder ``run``.

        The folder ``killed`` is a copy of it from the end of the last epoch, before its
        checkpoint.
        """
        folder = self.folder
        model = self.new(self.structured)

        def copy_folder(row: Any) -> None:
            if row["epoch"] == self.epochs and self.epochs > 1:
                shutil.copytree(folder / "run", folder / "killed")

        options = {"folder": folder / "run", "callbacks": [copy_folder]}
        self.train(model, self.structured, **options)
        return model


MODEL = Suite(ModelCase)


def hit_rate(model: Model, graph: HeteroData, k: int = 3) -> float:
    """Fraction of test users whose target is among the k best, history kept."""
    best = model.score(test_batch(model, graph), graph).topk(k).indices
    found = (best == graph.test.target[:, None]).any(dim=1)
    return float(found.float().mean())
