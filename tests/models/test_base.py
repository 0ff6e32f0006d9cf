"""The base of all models: scores, options, graphs that do not fit, stages, state."""

import inspect
import re
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.constants import ITEM_CO_OCCURS
from graphseq.data import by_user, synthetic
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import build_graph
from graphseq.models import BPRMF, MODELS, Backbone, Model, SASRec, Stage, Step
from graphseq.models.user_context import UserContext
from graphseq.nn import Propagated
from graphseq.sequences import Batch
from graphseq.training.module import stage_of

OPTIONS = {"progress": False, "accelerator": "cpu", "batch_size": 64}


class Interests(Model):
    """Two vectors for each user, two items."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[-1.0, 0.0], [-3.0, -1.0]]])

    def item_vectors(self, graph: HeteroData) -> Tensor:
        return torch.eye(2)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        return {}


def batch() -> Batch:
    return Batch(
        torch.tensor([0, 1]), torch.tensor([[2], [2]]), torch.tensor([0, 0]), 2
    )


def test_an_item_is_scored_by_the_best_interest() -> None:
    model = Interests(2, 2)
    scores = model.score(batch(), HeteroData())
    assert scores.tolist() == [[1.0, 2.0], [-1.0, 0.0]]


def test_scoring_uses_the_given_item_vectors() -> None:
    model = Interests(2, 2)
    scores = model.score(batch(), HeteroData(), 2 * torch.eye(2))
    assert scores.tolist() == [[2.0, 4.0], [-2.0, 0.0]]


def test_a_model_without_losses_cannot_be_built() -> None:
    class Half(Model):
        def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
            return torch.ones(1, 1)

    with pytest.raises(TypeError, match="abstract"):
        Half()


@pytest.mark.parametrize("name", MODELS)
def test_every_option_of_a_model_is_explained_and_has_a_default(name: str) -> None:
    cls = MODELS[name]
    page = inspect.getdoc(cls) or ""
    for option, parameter in inspect.signature(cls).parameters.items():
        assert f"\n    {option}: " in page, f"{name} does not explain {option}"
        if option not in ("num_users", "num_items", "backbone"):
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert parameter.default is not parameter.empty
    model = cls(3, 4)
    assert (model.num_users, model.num_items) == (3, 4)


@pytest.mark.parametrize("name", MODELS)
def test_a_graph_without_a_required_relation_is_refused(
    lab, name: str, t1: HeteroData
) -> None:
    model = lab.build(name, t1)
    for relation in model.requires:
        less = t1.clone()
        del less[relation]
        with pytest.raises(GraphError, match=re.escape(str(relation))):
            model.check(less)


def test_missing_relations_and_wrong_sizes_are_reported_together(
    cycle: HeteroData,
) -> None:
    model = SASRec(48, Backbone(99, dim=8, max_length=8))
    model.backbone.requires = (ITEM_CO_OCCURS,)
    less = cycle.clone()
    del less[ITEM_CO_OCCURS]
    with pytest.raises(GraphError) as error:
        model.check(less)
    assert str(ITEM_CO_OCCURS) in str(error.value)
    assert "built for 99 items, and the graph has 12" in str(error.value)
    SASRec(48, 12).check(cycle)


def test_a_graph_that_was_cut_is_refused(cycle: HeteroData) -> None:
    """Its raw ids, or its held-out rows, are those of other nodes."""
    less = cycle.subgraph({"user": torch.arange(10)})
    with pytest.raises(GraphError, match="has 10 user nodes and raw ids of 48, as aft"):
        SASRec(10, 12).check(less)
    del less["user"].vocabulary
    with pytest.raises(GraphError, match="test part of this split cannot be evaluated"):
        SASRec(10, 12).check(less)


def test_parts_with_vectors_of_other_users_are_named(cycle: HeteroData) -> None:
    features = Propagated(12, 50, dim=8, relation="interacts")
    users = UserContext(49, dim=8, source="graph")
    for backbone, name in (
        (Backbone(12, features=features), "Propagated was created for 50"),
        (Backbone(12, dim=8, users=users), "UserContext was created for 49"),
    ):
        with pytest.raises(GraphError, match=f"its {name} users, and the graph has 48"):
            SASRec(48, backbone).check(cycle)


def test_users_without_events_need_a_model_that_reads_the_history() -> None:
    graph = build_graph(by_user(synthetic.cycle(40, 12, length=9, seed=0)))
    with pytest.raises(GraphError, match="has a vector for each user"):
        BPRMF(40, 12).check(graph)
    SASRec(40, 12).check(graph)


def test_item_vectors_of_other_items_are_not_ranked() -> None:
    with pytest.raises(GraphError, match="ranks 3 items, and its item vectors have"):
        Interests(2, 3).catalogue(HeteroData())


class Turns(Model):
    """Two parameters whose gradients are known, trained as the plan has it."""

    log: ClassVar[list[tuple[str, float, float]]]

    def __init__(self, num_users: int, num_items: int, plan: str = "turns") -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items
        self.first = nn.ParameterList([torch.zeros(())])
        self.second = nn.ParameterList([torch.zeros(())])
        self.items = nn.Parameter(torch.zeros(num_items, 1), requires_grad=False)
        self.plan = plan
        self.register_buffer("epochs", torch.zeros(0), persistent=False)
        type(self).log = []

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return torch.ones(len(batch), 1)

    def item_vectors(self, graph: HeteroData) -> Tensor:
        return self.items

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.epochs = torch.cat([self.epochs, torch.tensor([float(epoch)])])

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        self.log.append(("both", self.first[0].item(), self.second[0].item()))
        return {"both": self.first[0] + self.second[0]}

    def other(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        self.log.append(("other", self.first[0].item(), self.second[0].item()))
        return {"other": self.first[0] + self.second[0]}

    def stages(self) -> tuple[Stage, ...]:
        one = Step(self.losses, (self.first,))
        two = Step(self.other, (self.second,))
        if self.plan == "turns":
            return (Stage((one, two, one)),)
        before = Stage((two,), epochs=2, sampler="user", batch_size=1)
        return before, Stage((one,))


def test_a_step_trains_its_own_modules_only(
    cycle: HeteroData,
) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes)
    run = fit(model, cycle, max_epochs=1, monitor=None, lr=0.5, **OPTIONS)
    for (_, a, b), (_, c, d), (_, e, f), (_, g, h) in zip(
        model.log[::3], model.log[1::3], model.log[2::3], model.log[3::3], strict=False
    ):
        assert (c < a, d == b) == (True, True), "the first step trains the first"
        assert (e == c, f < d) == (True, True), "the second step trains the second"
        assert (g < e, h == f) == (True, True), "the third step trains the first"
    assert [name for name, *_ in model.log[:4]] == ["both", "other", "both", "both"]
    assert all(weight.requires_grad for weight in (*model.first, *model.second))
    assert {"both", "other", "loss"} <= set(run.history[0])


def test_stages_follow_one_another_and_only_the_last_is_evaluated(
    cycle: HeteroData,
) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes, "order")
    run = fit(model, cycle, max_epochs=4, patience=5, **OPTIONS)
    names = ("both", "other", "NDCG@10")
    known = [{n for n in names if row.get(n) is not None} for row in run.history]
    assert known == [{"other"}, {"other"}, {"both", "NDCG@10"}, {"both", "NDCG@10"}]
    assert model.epochs.tolist() == [0, 1, 2, 3]


def test_an_earlier_stage_has_its_own_sampler_and_batch_size(cycle: HeteroData) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes, "order")
    fit(model, cycle, max_epochs=3, patience=5, **OPTIONS)
    steps = [name for name, *_ in model.log]
    users = cycle["user"].num_nodes
    assert steps.count("other") == 2 * users, "one row per user, one row per batch"
    assert steps.count("both") < users


def test_too_few_epochs_for_the_stages_are_refused(cycle: HeteroData) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes, "order")
    with pytest.raises(ConfigError, match="trains 2 epochs before its last stage"):
        fit(model, cycle, max_epochs=2, **OPTIONS)


def test_patience_counts_from_the_end_of_the_warmup(cycle: HeteroData) -> None:
    model = Turns(cycle["user"].num_nodes, cycle["item"].num_nodes)
    model.warmup = 3
    run = fit(model, cycle, max_epochs=9, patience=2, lr=1e-9, **OPTIONS)
    assert run.epochs == 5, "nothing improves: 3 epochs of warm-up, 2 of patience"


def test_every_epoch_has_its_stage() -> None:
    def losses(batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        return {}

    plan = (
        Stage((Step(losses),), 2),
        Stage((Step(losses),), 1),
        Stage((Step(losses),)),
    )
    assert [plan.index(stage_of(plan, epoch)) for epoch in range(5)] == [0, 0, 1, 2, 2]


def test_a_stage_prepares_every_batch_once_for_all_its_steps(
    cycle: HeteroData,
) -> None:
    prepared: list[Batch] = []
    seen: list[Batch] = []

    class Prepared(Turns):
        def prepare(self, batch: Batch) -> Batch:
            prepared.append(replace(batch, views=batch))
            return prepared[-1]

        def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
            seen.append(batch)
            return super().losses(batch, graph)

        def stages(self) -> tuple[Stage, ...]:
            step = Step(self.losses)
            return (Stage((step, step), prepare=self.prepare),)

    model = Prepared(cycle["user"].num_nodes, cycle["item"].num_nodes)
    fit(model, cycle, max_epochs=1, monitor=None, **OPTIONS)
    assert len(seen) == 2 * len(prepared) > 0
    assert all(a is b for a, b in zip(seen[::2], prepared, strict=True))
    assert all(a is b for a, b in zip(seen[1::2], prepared, strict=True))


def test_a_step_trains_parameters_that_require_a_gradient() -> None:
    model = Turns(3, 4)
    first, second = *model.first, *model.second
    assert [id(p) for p in Step(model.losses).trains(model)] == [id(first), id(second)]
    assert [id(p) for p in Step(model.losses, (model.second,)).trains(model)] == [
        id(second)
    ]


def test_a_step_without_parameters_is_refused() -> None:
    class Untrained(Turns):
        def stages(self) -> tuple[Stage, ...]:
            return (Stage((Step(self.losses), Step(self.other, (nn.Identity(),)))),)

    with pytest.raises(ConfigError, match=r"step 2 of a stage .* trains no parameter"):
        Untrained(3, 4).check_stages()
    Turns(3, 4).check_stages()


def test_epoch_state_is_what_the_weights_leave_out() -> None:
    model = Turns(3, 4)
    model.eval()
    with torch.no_grad():
        model.refresh(HeteroData(), 7)
    assert set(model.epoch_state) == {"epochs"}
    assert "epochs" not in model.state_dict()
    other = Turns(3, 4)
    other.epoch_state = model.epoch_state
    assert other.epochs.tolist() == [7]
    assert "epochs" not in other.state_dict()
