"""Stages and steps: what moves when, seen through a run."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import Model, Stage, Step
from graphseq.sequences import Batch
from graphseq.training.module import stage_of

OPTIONS = {"progress": False, "accelerator": "cpu", "batch_size": 64}


class Turns(Model):
    """Two parameters whose gradients are known, moved as the plan says."""

    log: ClassVar[list[tuple[str, float, float]]]

    def __init__(self, num_users: int, num_items: int, plan: str = "turns") -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items
        self.first = nn.Parameter(torch.zeros(()))
        self.second = nn.Parameter(torch.zeros(()))
        self.items = nn.Parameter(torch.zeros(num_items, 1), requires_grad=False)
        self.plan = plan
        self.epochs: list[int] = []
        type(self).log = []

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return torch.ones(len(batch), 1)

    def item_vectors(self, graph: HeteroData) -> Tensor:
        return self.items

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.epochs.append(epoch)
        self.epoch_state["epochs"] = torch.tensor(self.epochs)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        self.log.append(("both", self.first.item(), self.second.item()))
        return {"both": self.first + self.second}

    def other(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        self.log.append(("other", self.first.item(), self.second.item()))
        return {"other": self.first + self.second}

    def stages(self) -> tuple[Stage, ...]:
        one = Step(self.losses, ("first",))
        two = Step(self.other, ("second",))
        if self.plan == "turns":
            return (Stage((one, two, one)),)
        before = Stage((two,), epochs=2, sampler="user", batch_size=1)
        return before, Stage((one,))


def test_a_step_moves_its_own_parameters_and_leaves_the_others(
    cycle: HeteroData,
) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes)
    run = fit(model, cycle, max_epochs=1, monitor=None, lr=0.5, **OPTIONS)
    for (_, a, b), (_, c, d), (_, e, f), (_, g, h) in zip(
        model.log[::3], model.log[1::3], model.log[2::3], model.log[3::3], strict=False
    ):
        assert (c < a, d == b) == (True, True), "the first step moved the first"
        assert (e == c, f < d) == (True, True), "the second step moved the second"
        assert (g < e, h == f) == (True, True), "the third step moved the first again"
    assert [name for name, *_ in model.log[:4]] == ["both", "other", "both", "both"]
    assert model.first.requires_grad
    assert model.second.requires_grad
    assert {"both", "other", "loss"} <= set(run.history[0])


def test_stages_follow_one_another_and_only_the_last_is_evaluated(
    cycle: HeteroData,
) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes, "order")
    run = fit(model, cycle, max_epochs=4, patience=5, **OPTIONS)
    names = ("both", "other", "NDCG@10")
    known = [{n for n in names if row.get(n) is not None} for row in run.history]
    assert known == [{"other"}, {"other"}, {"both", "NDCG@10"}, {"both", "NDCG@10"}]
    assert model.epochs == [0, 1, 2, 3]


def test_an_earlier_stage_may_cut_its_examples_otherwise(cycle: HeteroData) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes, "order")
    fit(model, cycle, max_epochs=3, patience=5, **OPTIONS)
    steps = [name for name, *_ in model.log]
    users = cycle["user"].num_nodes
    assert steps.count("other") == 2 * users, "a row a user, one row a batch"
    assert steps.count("both") < users


def test_fewer_epochs_than_the_stages_take_are_refused(cycle: HeteroData) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes, "order")
    with pytest.raises(ConfigError, match="trains 2 epochs before its last stage"):
        fit(model, cycle, max_epochs=2, **OPTIONS)


def test_patience_is_not_tried_before_the_warmup_is_over(cycle: HeteroData) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes)
    model.warmup = 3
    run = fit(model, cycle, max_epochs=9, patience=2, lr=1e-9, **OPTIONS)
    assert run.epochs == 5, "nothing ever improves: 3 of warm-up, 2 of patience"


def test_an_epoch_finds_its_stage() -> None:
    def losses(batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        return {}

    plan = (
        Stage((Step(losses),), 2),
        Stage((Step(losses),), 1),
        Stage((Step(losses),)),
    )
    assert [plan.index(stage_of(plan, epoch)) for epoch in range(5)] == [0, 0, 1, 2, 2]
