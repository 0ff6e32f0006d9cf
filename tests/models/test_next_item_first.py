"""The next item alone in the first epochs, then all objectives."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import (
    Auxiliary,
    Backbone,
    ExplainedViews,
    IntentContrast,
    MutualInformation,
    NextItemFirst,
    SequenceModel,
    TargetContrast,
)
from graphseq.nn import Transformer
from graphseq.training import Run


def train(
    graph: HeteroData, *auxiliaries: Auxiliary, epochs: int = 3, **options: Any
) -> Run:
    torch.manual_seed(0)
    encoder = Transformer(8, layers=1, heads=1)
    model = SequenceModel(48, Backbone(12, encoder=encoder), auxiliaries)
    given: dict[str, Any] = {"progress": False, "batch_size": 64, "lr": 0.01}
    return fit(model, graph, max_epochs=epochs, **(given | options))


def test_the_first_epochs_are_those_without_objectives(cycle: HeteroData) -> None:
    alone = train(cycle)
    run = train(cycle, NextItemFirst(epochs=2), TargetContrast())
    assert [row.get("same_target") is None for row in run.history] == [
        True,
        True,
        False,
    ]
    losses = [[row["next_item"] for row in each.history[:2]] for each in (alone, run)]
    assert losses[0] == losses[1]
    assert run.history[2]["loss"] > run.history[2]["next_item"]


def test_adam_restarts_when_the_objectives_join(cycle: HeteroData) -> None:
    alone = train(cycle, Nothing(), epochs=3)
    run = train(cycle, NextItemFirst(epochs=2), Nothing())
    losses = [[row["next_item"] for row in each.history] for each in (alone, run)]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]


class Nothing(Auxiliary):
    """No term."""

    def terms(self, encoding: Any, graph: HeteroData) -> dict[str, Any]:
        return {}


class Refreshed(Nothing):
    """Lists the epochs that it is refreshed for."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []

    def refresh(self, backbone: Backbone, graph: HeteroData, epoch: int) -> None:
        self.epochs.append(epoch)


def test_objectives_are_refreshed_once_they_have_joined(cycle: HeteroData) -> None:
    objective = Refreshed()
    train(cycle, NextItemFirst(epochs=2), objective, epochs=4)
    assert objective.epochs == [2, 3]


def test_an_update_before_the_objectives_join_is_made_up_for(cycle: HeteroData) -> None:
    views = ExplainedViews(updates=[0])
    run = train(cycle, NextItemFirst(epochs=1), views, epochs=2)
    assert [row.get("views") is None for row in run.history] == [True, False]


def test_a_later_update_that_was_missed_is_made_up_for(cycle: HeteroData) -> None:
    first = MutualInformation(pretrain_epochs=1)
    views = ExplainedViews(updates=[0, 2])
    train(cycle, first, NextItemFirst(epochs=2), views, epochs=4)
    assert views.scored_in is not None
    assert int(views.scored_in) == 3


def test_stages_follow_the_order_of_the_objectives(cycle: HeteroData) -> None:
    intents = IntentContrast(clusters=[3], sequence_weight=0.1, warm_up=1)
    rows = train(cycle, NextItemFirst(epochs=1), intents).history
    terms = ("next_item", "sequence", "intent")
    found = [[name for name in terms if row.get(name) is not None] for row in rows]
    assert found == [["next_item"], ["sequence"], [*terms]]


def test_a_run_needs_more_epochs_and_never_stops_before(cycle: HeteroData) -> None:
    with pytest.raises(ConfigError, match="max_epochs"):
        train(cycle, NextItemFirst(epochs=3))
    run = train(cycle, NextItemFirst(epochs=2), patience=1, lr=1e-9, epochs=4)
    assert len(run.history) >= 3
    assert all(row.get("NDCG@10") is None for row in run.history[:2])


def test_it_has_no_weights() -> None:
    assert not [*NextItemFirst(epochs=2).parameters()]
