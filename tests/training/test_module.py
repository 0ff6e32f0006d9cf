"""The Lightning module: losses, optimisers and learning rate, against torch."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError, GraphError, RunError
from graphseq.evaluation import evaluate
from graphseq.models import (
    BPRMF,
    Model,
    SASRec,
    Stage,
    Step,
)
from graphseq.sequences import SequenceLoader
from graphseq.training import Run
from graphseq.training import options as training_options
from graphseq.training.schedules import StepDecay

Make = Callable[..., Model]
Short = Callable[..., Run]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_the_history_holds_the_mean_of_every_loss_term(
    short: Short, tiny: Make, graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: list[float] = []
    losses = SASRec.losses

    def doubled(self: SASRec, *arguments: Any) -> dict[str, torch.Tensor]:
        (term,) = losses(self, *arguments).values()
        values.append(float(term.detach()))
        return {"near": term, "far": 0.5 * term}

    monkeypatch.setattr(SASRec, "losses", doubled)
    run = short(tiny(), graph, max_epochs=1)
    mean = sum(values) / len(values)
    assert len(values) > 1
    assert run.history[0]["near"] == pytest.approx(mean, rel=1e-5)
    assert run.history[0]["far"] == pytest.approx(mean / 2, rel=1e-5)
    assert run.history[0]["loss"] == pytest.approx(1.5 * mean, rel=1e-5)


def test_adam_clipping_and_decay_are_torchs(short: Short, graph: HeteroData) -> None:
    def make() -> BPRMF:
        torch.manual_seed(7)
        return BPRMF(30, 12, dim=8)

    trained, model = make(), make()
    options = {"monitor": None, "max_epochs": 2, "batch_size": 30}
    short(trained, graph, weight_decay=0.5, gradient_clip=0.1, **options)
    adam = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.5)
    loader = SequenceLoader(
        graph, model.sampler, 30, model.max_length, seed=0, num_negatives=1
    )
    for epoch in range(2):
        loader.set_epoch(epoch)
        for step in range(len(loader)):
            adam.zero_grad()
            sum(model.losses(loader[step], graph).values()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            adam.step()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], tensor)


class Own(Model):
    """A model with configurable faults."""

    def __init__(self, terms: Any = None, rows: int = 12, step: Any = ()) -> None:
        super().__init__()
        self.num_users, self.num_items = 30, 12
        self.items = torch.nn.Parameter(torch.randn(rows, 4))
        self.terms, self.step = terms, step

    def represent(self, batch: Any, graph: HeteroData) -> torch.Tensor:
        return torch.ones(len(batch), 4)

    def item_vectors(self, graph: HeteroData) -> torch.Tensor:
        return self.items

    def losses(self, batch: Any, graph: HeteroData) -> Any:
        return self.terms

    def stages(self) -> tuple[Stage, ...]:
        return (Stage((Step(self.losses, self.step),)),)


def test_a_model_that_breaks_the_contract_is_refused(
    short: Short, graph: HeteroData
) -> None:
    with pytest.raises(RunError, match=r"Own\.losses must return loss terms.*{}"):
        short(Own({}), graph)
    for term in (torch.ones(1), torch.ones(3), 0.5, None):
        model = Own({})
        model.terms = {"next": term}
        with pytest.raises(RunError, match=r"'next' of Own must be a tensor with one"):
            short(model, graph)
    with pytest.raises(GraphError, match=r"ranks 12 items, .* shape \(13, 4\)"):
        short(Own({}, rows=13), graph)
    with pytest.raises(GraphError, match=r"ranks 12 items, .* shape \(11, 4\)"):
        evaluate(Own({}, rows=11), graph)
    with pytest.raises(ConfigError, match=r"trains no parameter. .* are items"):
        short(Own({}, step=(torch.nn.ReLU(),)), graph)
    model = Own({})
    del model.num_users
    with pytest.raises(GraphError, match=r"set self\.num_users"):
        short(model, graph)


def test_the_learning_rate_rises_and_falls(short: Short, graph: HeteroData) -> None:
    """Three epochs of several steps, against torch's own Adam set by hand."""

    def make() -> BPRMF:
        torch.manual_seed(7)
        return BPRMF(30, 12, dim=8)

    trained, model = make(), make()
    options = {"monitor": None, "max_epochs": 5, "batch_size": 30, "lr": 0.02}
    short(trained, graph, lr_warmup=8, lr_schedule=StepDecay(0.5, every=2), **options)
    adam = torch.optim.Adam(model.parameters())
    loader = SequenceLoader(
        graph, model.sampler, 30, model.max_length, seed=0, num_negatives=1
    )
    assert len(loader) > 2
    rates, done = [], 0
    for epoch in range(5):
        loader.set_epoch(epoch)
        for step in range(len(loader)):
            rate = 0.02 * 0.5 ** (epoch // 2) * min(1, (done + 1) / 8)
            adam.param_groups[0]["lr"] = rate
            rates.append(rate)
            adam.zero_grad()
            sum(model.losses(loader[step], graph).values()).backward()
            adam.step()
            done += 1
    assert rates[0] == 0.02 / 8 and max(rates) == 0.02 and rates[-1] == 0.005
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], tensor)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-softmax"])
def test_bfloat16_trains_nearly_as_float32(
    short: Short,
    tiny: Make,
    graph: HeteroData,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also on a processor that emulates it, where fit would take float32."""
    monkeypatch.setattr(training_options, "has_bfloat16", lambda: True)
    full, half = (tiny(dropout=0.0, loss="ce") for _ in range(2))
    one = short(full, graph).history
    two = short(half, graph, precision=precision).history
    assert not same(full, half)
    assert two[-1]["loss"] == pytest.approx(one[-1]["loss"], rel=0.02)
    assert {weight.dtype for weight in half.parameters()} == {torch.float32}


def test_a_loss_that_is_not_finite_ends_the_run(
    short: Short, tiny: Make, graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = SASRec.losses

    def diverged(self: SASRec, *arguments: Any) -> dict[str, torch.Tensor]:
        return {k: v * math.nan for k, v in losses(self, *arguments).items()}

    monkeypatch.setattr(SASRec, "losses", diverged)
    with pytest.raises(RunError, match=r"became nan in epoch 1.*Lower lr \(now 0.01\)"):
        short(tiny(), graph)


@pytest.mark.parametrize("name", ["loss", "epoch", "NDCG@10", "MRR"])
def test_a_term_with_the_name_of_a_column_of_the_history_is_refused(
    name: str,
    short: Short,
    tiny: Make,
    graph: HeteroData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = SASRec.losses

    def renamed(self: SASRec, *arguments: Any) -> dict[str, torch.Tensor]:
        (term,) = losses(self, *arguments).values()
        return {name: term}

    monkeypatch.setattr(SASRec, "losses", renamed)
    with pytest.raises(RunError, match=f"a term of the same name: {name}. Rename"):
        short(tiny(), graph)
