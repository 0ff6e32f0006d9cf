"""Training: the best weights win, and a seed repeats."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.data import synthetic
from graphseq.errors import ConfigError
from graphseq.evaluation import evaluate
from graphseq.models import (
    POP,
    LightGCN,
    Model,
)
from graphseq.training import Run, fit
from graphseq.training.schedules import StepDecay

Make = Callable[..., Model]
Short = Callable[..., Run]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_a_cycle_is_learned(short: Short, tiny: Make, graph: HeteroData) -> None:
    model = tiny(loss="ce", dropout=0.1, dim=16)
    run = short(model, graph, max_epochs=30, lr=0.03)
    assert run.best["HR@10"] == 1
    assert run.best["NDCG@10"] > 0.9
    report = evaluate(model, graph, "test", ks=(1,), history="kept")
    assert report["kept"]["HR@1"] > 0.8


def test_the_same_seed_repeats_and_another_does_not(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    first, again, other = tiny(), tiny(), tiny()
    one, two = short(first, graph, seed=3), short(again, graph, seed=3)
    short(other, graph, seed=4)
    assert same(first, again)
    assert one.history == two.history
    assert not same(first, other)


def test_workers_and_progress_change_no_weight(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    alone, helped = tiny(), tiny()
    short(alone, graph)
    short(helped, graph, workers=2, progress=True)
    assert same(alone, helped)


def test_what_is_no_model_or_graph_is_refused(tiny: Make, graph: HeteroData) -> None:
    log = synthetic.cycle(30, 12, length=8)
    with pytest.raises(ConfigError, match=r"graph: expected HeteroData, found Int"):
        fit(tiny(), log)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="model  expected Model"):
        evaluate(graph, tiny())  # type: ignore[arg-type]


def test_calls_in_threads_run_one_after_the_other(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    alone, models = tiny(), [tiny(), tiny()]
    short(alone, graph)
    threads = [threading.Thread(target=short, args=(m, graph)) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(alone, model) for model in models)


@pytest.mark.parametrize("name", ["SASRec", "MCLRec", "S3Rec"])
def test_a_resumed_run_goes_on_with_its_learning_rate(
    short: Short, small: Make, graph: HeteroData, name: str, tmp_path: Path
) -> None:
    schedule = {"lr_warmup": 30, "lr_schedule": StepDecay(0.5, every=2)}
    objective = {"MutualInformation": {"pretrain_epochs": 1}}
    stages = {"objective": objective} if name == "S3Rec" else {}

    def trained(*epochs: int) -> dict[str, torch.Tensor]:
        folder = tmp_path / str(len(epochs))
        for number in epochs:
            torch.manual_seed(3)
            model = small(name, **stages)
            options = schedule | {"max_epochs": number, "batch_size": 30}
            short(model, graph, folder=folder, resume=True, monitor=None, **options)
        return model.state_dict()

    whole, broken = trained(4), trained(2, 4)
    assert all(torch.equal(whole[key], broken[key]) for key in whole)


def test_a_model_without_parameters_is_only_evaluated(
    short: Short, graph: HeteroData, tmp_path: Path
) -> None:
    run = short(POP(30, 12), graph, folder=tmp_path)
    assert run.epochs == 0
    (row,) = run.history
    assert row["epoch"] == 0
    assert 0 < row["NDCG@10"] <= 1
    assert isinstance(run.model(graph), POP)
    assert run.finished


def test_no_epochs_leave_the_model_as_it_was(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    model = tiny()
    assert short(model, graph, max_epochs=0).epochs == 0
    assert same(model, tiny())


def test_a_graph_model_trains_too(short: Short, graph: HeteroData) -> None:
    torch.manual_seed(7)
    run = short(LightGCN(30, 12, dim=8), graph, batch_size=60, max_epochs=3)
    assert run.history[-1]["loss"] < run.history[0]["loss"]
