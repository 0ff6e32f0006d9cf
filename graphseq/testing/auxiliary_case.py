"""An auxiliary objective, and the models that have it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models import Auxiliary, Backbone, SequenceModel
from graphseq.nn import GRU, Encoder
from graphseq.sequences import Batch
from graphseq.sequences.samplers import SequenceSampler
from graphseq.testing.samples import (
    batches,
    graph_of,
    ring,
)
from graphseq.testing.suite import Suite

Terms = dict[str, Tensor]
NUM_USERS, NUM_ITEMS, DIM, LENGTH = 24, 12, 8, 6


@dataclass(frozen=True)
class AuxiliaryCase:
    """An objective, and models that have it.

    Attributes:
        make: Returns a new objective on each call.
        encoder: Returns the encoder of width 8 that it needs.
        sampler: The sampler of the backbone.
    """

    make: Callable[[], Auxiliary]
    encoder: Callable[[], Encoder] | None = None
    sampler: SequenceSampler = "targets"

    @cached_property
    def graph(self) -> HeteroData:
        """24 users who walk a ring of 12 items, with three relations."""
        return graph_of(ring(NUM_USERS, NUM_ITEMS, 8))

    def model(
        self,
        *auxiliaries: Auxiliary,
        seed: int = 0,
        encoder: Callable[[], Encoder] | None = None,
        sampler: SequenceSampler | None = None,
    ) -> SequenceModel:
        """A model in evaluation mode; the seed decides the weights of its backbone."""
        torch.manual_seed(seed)
        make_encoder = encoder or self.encoder or (lambda: GRU(DIM, hidden=DIM))
        backbone = Backbone(
            NUM_ITEMS,
            encoder=make_encoder(),
            max_length=LENGTH,
            sampler=sampler or self.sampler,
        )
        return SequenceModel(NUM_USERS, backbone, auxiliaries).eval()

    def refreshed(self, model: SequenceModel) -> SequenceModel:
        """The model as in the first epoch in which all of its terms count."""
        with torch.no_grad():
            for epoch in range(max(model.warmup, 1) + 1):
                model.eval().refresh(self.graph, epoch)
        return model

    @cached_property
    def own(self) -> SequenceModel:
        """The model with the objective that most checks read, refreshed."""
        return self.refreshed(self.model(self.make()))

    def batch(self, model: SequenceModel) -> Batch:
        """The first training batch."""
        return batches(model, self.graph, batch_size=32)[0]

    def terms(
        self, model: SequenceModel, graph: HeteroData | None = None, seed: int = 1
    ) -> Terms:
        """The terms of the first batch in training mode, without the next item."""
        graph = self.graph if graph is None else graph
        model.train()
        torch.manual_seed(seed)
        terms = model.losses(self.batch(model), graph)
        return {name: term for name, term in terms.items() if name != "next_item"}

    def all_terms(self, model: SequenceModel) -> Terms:
        """The terms of all stages, without the next item."""
        model.train()
        torch.manual_seed(1)
        found: Terms = {}
        for number, stage in enumerate(model.stages()):
            sampler = stage.sampler or model.sampler
            batch = batches(model, self.graph, sampler=sampler)[0]
            batch = stage.prepare(batch) if stage.prepare else batch
            for step in stage.steps:
                for name, term in step.losses(batch, self.graph).items():
                    if name != "next_item":
                        found[f"{number} {name}"] = term
        return found


AUXILIARY = Suite(AuxiliaryCase)


def gap(found: Terms, expected: Terms) -> str:
    """How terms differ, as text; empty if they are equal."""
    if found.keys() != expected.keys():
        return f"terms {[*found]}, expected {[*expected]}"
    for name, term in expected.items():
        if not torch.equal(found[name], term):
            return f"{name} is {found[name].item():.8g}, expected {term.item():.8g}"
    return ""
