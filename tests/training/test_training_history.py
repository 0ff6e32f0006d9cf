"""The best epoch, early stopping and the monitored metric."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.evaluation import evaluate
from graphseq.models import Model
from graphseq.training import Run
from graphseq.training.history import TrainingHistory

Make = Callable[..., Model]
Short = Callable[..., Run]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_patience_counts_the_epochs_after_the_warmup(tmp_path: Path) -> None:
    """The first epoch is the best; those up to the warm-up do not count."""
    history = TrainingHistory(tmp_path, {}, monitor="NDCG@10", patience=2, warmup=3)
    stopped = []
    for epoch in range(1, 6):
        history.add({"epoch": epoch, "NDCG@10": 1.0 / epoch})
        stopped.append(history.stopped)
    assert stopped == [False, False, False, False, True]
    assert history.best_epoch == 1


def test_it_stops_when_patience_is_over(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    run = short(tiny(), graph, lr=1e-12, max_epochs=50, patience=3)
    assert run.epochs == 4
    assert run.best["epoch"] == 1
    assert run.record["stopped_early"]


def test_callbacks_see_each_epoch_and_can_end_the_training(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    seen: list[Any] = []

    def stop(row: Any) -> bool:
        return bool(row["epoch"] == 3)

    run = short(tiny(), graph, max_epochs=9, callbacks=[seen.append, stop])
    assert run.epochs == 3 and seen == run.history
    assert run.record["stopped_early"]
    seen.clear()
    run = short(tiny(), graph, max_epochs=2, callbacks=[seen.append])
    assert run.epochs == len(seen) == 2 and not run.record["stopped_early"]


def test_an_epoch_in_which_a_callback_ends_the_training_is_evaluated(
    short: Short, tiny: Make, small: Make, graph: HeteroData, tmp_path: Path
) -> None:
    model = tiny()
    options: dict[str, Any] = {"max_epochs": 9, "evaluate_every": 5, "folder": tmp_path}
    run = short(model, graph, callbacks=[lambda row: row["epoch"] == 2], **options)
    assert run.epochs == run.best["epoch"] == 2 and run.record["stopped_early"]
    report = evaluate(model, graph, "validation", ks=(10,), history="kept")
    assert run.best["NDCG@10"] == report["kept"]["NDCG@10"]
    again = short(tiny(), graph, resume=True, **options)
    assert again.epochs == 2 and again.best == run.best

    def end_pretraining(row: Any) -> bool:
        return bool(row["epoch"] == 1)

    staged = small("S3Rec", objective={"variant": "MIP", "pretrain_epochs": 2})
    run = short(staged, graph, max_epochs=4, callbacks=[end_pretraining])
    assert run.epochs == run.best["epoch"] == 1 and run.best["NDCG@10"] >= 0


def test_patience_counts_evaluations(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    options = {"lr": 1e-12, "max_epochs": 50, "patience": 2, "evaluate_every": 3}
    run = short(tiny(), graph, **options)
    assert run.epochs == 9
    assert run.best["epoch"] == 3
    evaluated = [row["epoch"] for row in run.history if row["NDCG@10"]]
    assert evaluated == [3, 6, 9]


def test_the_last_epoch_is_evaluated_in_any_case(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    run = short(tiny(), graph, max_epochs=2, evaluate_every=5)
    assert run.best["epoch"] == 2


def test_without_a_monitor_the_last_epoch_is_kept(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    run = short(tiny(), graph, monitor=None, patience=1, max_epochs=3)
    assert run.best["epoch"] == 3
    assert set(run.best) == {"epoch", "loss", "next_item"}


@pytest.mark.parametrize(
    ("monitor", "history"),
    [("HR@3", "excluded"), ("MRR", "kept"), ("Recall@5", "kept")],
)
def test_any_metric_of_either_protocol_can_be_monitored(
    short: Short, tiny: Make, graph: HeteroData, monitor: str, history: Any
) -> None:
    model = tiny()
    run = short(model, graph, monitor=monitor, history=history)
    report = evaluate(model, graph, "validation", ks=(3, 5, 10), history=history)
    assert run.best[monitor] == report[history][monitor]


def test_the_model_ends_with_the_weights_that_validated_best(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    model = tiny()
    run = short(model, graph, folder=tmp_path, lr=0.2, max_epochs=6, patience=None)
    scores = [row["NDCG@10"] for row in run.history]
    assert run.best["NDCG@10"] == max(scores)
    assert run.best["epoch"] == 1 + scores.index(max(scores)) < 6, "choose another lr"
    report = evaluate(model, graph, "validation", ks=(10,), history="kept")
    assert report["kept"]["NDCG@10"] == max(scores)
    assert same(model, run.model(graph))


def test_a_resumed_run_knows_that_a_callback_ended_it(tmp_path: Path) -> None:
    def make() -> TrainingHistory:
        return TrainingHistory(tmp_path, {}, monitor=None, patience=None)

    history = make()
    history.callbacks = [lambda row: np.bool_(row["epoch"] == 2)]
    for epoch in (1, 2):
        history.add({"epoch": epoch, "loss": 1.0})
    assert history.stopped
    again = make()
    again.restore(history.state())
    assert again.stopped
    older = {name: each for name, each in history.state().items() if name != "ended"}
    again.restore(older)
    assert not again.stopped
