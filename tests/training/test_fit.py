"""Training: the best weights win, a seed repeats, and what fits no run is told."""

import inspect
import logging
import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError, GraphError, RunError
from graphseq.evaluation import evaluate
from graphseq.graphs import build_graph, graph_hash
from graphseq.models import (
    BPRMF,
    POP,
    EC4SRec,
    LightGCN,
    MCLRec,
    Model,
    S3Rec,
    SASRec,
    Stage,
    Step,
)
from graphseq.sequences import SequenceLoader
from graphseq.training import Run, fit, load_state
from graphseq.training.run import CHECKPOINT

Make = Callable[..., SASRec]


def short(model: Any, graph: HeteroData, **options: Any) -> Run:
    """A quick run."""
    given = {"max_epochs": 2, "batch_size": 30, "lr": 0.01, "progress": False}
    return fit(model, graph, **(given | {"threads": 1} | options))


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_a_cycle_is_learned(tiny: Make, graph: HeteroData) -> None:
    model = tiny(loss="ce", dropout=0.1, dim=16)
    run = short(model, graph, max_epochs=30, lr=0.03)
    assert run.best["HR@10"] == 1
    assert run.best["NDCG@10"] > 0.9
    report = evaluate(model, graph, "test", ks=(1,), history="kept")
    assert report["kept"]["HR@1"] > 0.8


def test_the_same_seed_repeats_and_another_does_not(
    tiny: Make, graph: HeteroData
) -> None:
    first, again, other = tiny(), tiny(), tiny()
    one, two = short(first, graph, seed=3), short(again, graph, seed=3)
    short(other, graph, seed=4)
    assert same(first, again)
    assert one.history == two.history
    assert not same(first, other)


def test_workers_and_progress_change_no_weight(tiny: Make, graph: HeteroData) -> None:
    alone, helped = tiny(), tiny()
    short(alone, graph)
    short(helped, graph, workers=2, progress=True)
    assert same(alone, helped)


def test_the_model_ends_with_the_weights_that_validated_best(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    model = tiny()
    run = short(model, graph, folder=tmp_path, lr=0.3, max_epochs=6, patience=None)
    scores = [row["NDCG@10"] for row in run.history]
    assert run.best["NDCG@10"] == max(scores)
    assert run.best["epoch"] == 1 + scores.index(max(scores)) < 6, "choose another lr"
    report = evaluate(model, graph, "validation", ks=(10,), history="kept")
    assert report["kept"]["NDCG@10"] == max(scores)
    assert same(model, run.model(graph))


def test_it_stops_when_patience_is_over(tiny: Make, graph: HeteroData) -> None:
    run = short(tiny(), graph, lr=1e-12, max_epochs=50, patience=3)
    assert run.epochs == 4
    assert run.best["epoch"] == 1
    assert run.record["stopped_early"]


def test_patience_counts_evaluations(tiny: Make, graph: HeteroData) -> None:
    options = {"lr": 1e-12, "max_epochs": 50, "patience": 2, "evaluate_every": 3}
    run = short(tiny(), graph, **options)
    assert run.epochs == 9
    assert run.best["epoch"] == 3
    evaluated = [row["epoch"] for row in run.history if row["NDCG@10"]]
    assert evaluated == [3, 6, 9]


def test_the_last_epoch_is_evaluated_in_any_case(tiny: Make, graph: HeteroData) -> None:
    run = short(tiny(), graph, max_epochs=2, evaluate_every=5)
    assert run.best["epoch"] == 2


def test_without_a_monitor_the_last_epoch_is_kept(
    tiny: Make, graph: HeteroData
) -> None:
    run = short(tiny(), graph, monitor=None, patience=1, max_epochs=3)
    assert run.best["epoch"] == 3
    assert set(run.best) == {"epoch", "loss", "next_item"}


@pytest.mark.parametrize(
    ("monitor", "history"),
    [("HR@3", "excluded"), ("MRR", "kept"), ("Recall@5", "kept")],
)
def test_any_metric_of_either_protocol_can_be_monitored(
    tiny: Make, graph: HeteroData, monitor: str, history: Any
) -> None:
    model = tiny()
    run = short(model, graph, monitor=monitor, history=history)
    report = evaluate(model, graph, "validation", ks=(3, 5, 10), history=history)
    assert run.best[monitor] == report[history][monitor]


def test_the_history_holds_the_mean_of_every_loss_term(
    tiny: Make, graph: HeteroData, monkeypatch: pytest.MonkeyPatch
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


def test_adam_clipping_and_decay_are_torchs(graph: HeteroData) -> None:
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


@pytest.mark.parametrize(
    "option, told",
    [
        ({"max_epochs": 2.5}, "max_epochs must be a whole number; found 2.5"),
        ({"max_epochs": "3"}, "max_epochs must be a whole number; found '3'"),
        ({"lr": "1e-3"}, "lr must be a number; found '1e-3'"),
        ({"batch_size": 0}, "batch_size must be above 0; found 0"),
        ({"seed": None}, "seed must be a whole number; found None"),
        ({"lr_decay": 0.0}, "lr_decay must be above 0"),
        ({"lr_warmup": -1}, "lr_warmup must be 0 or above"),
        ({"precision": "bf16"}, "precision is one of 32-true, .*; found 'bf16'"),
    ],
)
def test_options_that_are_no_numbers_or_choices_are_refused(
    tiny: Make, graph: HeteroData, option: dict[str, Any], told: str
) -> None:
    given = {"max_epochs": 1, "progress": False} | option
    with pytest.raises(ConfigError, match=told):
        inspect.unwrap(fit)(tiny(), graph, **given)


def test_what_is_no_model_or_graph_is_refused(tiny: Make, graph: HeteroData) -> None:
    log = synthetic.cycle(30, 12, length=8)
    with pytest.raises(
        ConfigError, match=r"fit takes a model and a graph.*Interactions"
    ):
        inspect.unwrap(fit)(tiny(), log)
    with pytest.raises(ConfigError, match=r"evaluate takes.*HeteroData and SASRec"):
        inspect.unwrap(evaluate)(graph, tiny())


class Own(Model):
    """A model that does as it is told."""

    def __init__(self, terms: Any = None, rows: int = 12, step: str = "items") -> None:
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
        return (Stage((Step(self.losses, (self.step,)),)),)


def test_a_model_that_breaks_the_contract_is_told_how(graph: HeteroData) -> None:
    with pytest.raises(RunError, match=r"Own\.losses gives the terms .* by name.*{}"):
        short(Own({}), graph)
    with pytest.raises(GraphError, match=r"ranks 12 items, .* shape \(13, 4\)"):
        short(Own({}, rows=13), graph)
    with pytest.raises(GraphError, match=r"ranks 12 items, .* shape \(11, 4\)"):
        evaluate(Own({}, rows=11), graph)
    with pytest.raises(ConfigError, match=r"begin with \('table',\), and none does"):
        short(Own({}, step="table"), graph)
    model = Own({})
    del model.num_users
    with pytest.raises(GraphError, match=r"set self\.num_users"):
        short(model, graph)


def test_epochs_that_end_before_the_views_begin_are_told(graph: HeteroData) -> None:
    model = EC4SRec(30, 12, dim=8, max_length=8, updates=(5,))
    with pytest.warns(UserWarning, match="EC4SRec first trains 5 epochs without all"):
        short(model, graph, max_epochs=2)


def test_the_learning_rate_rises_and_falls_as_asked(graph: HeteroData) -> None:
    """Three epochs of several steps, against torch's own Adam set by hand."""

    def make() -> BPRMF:
        torch.manual_seed(7)
        return BPRMF(30, 12, dim=8)

    trained, model = make(), make()
    options = {"monitor": None, "max_epochs": 5, "batch_size": 30, "lr": 0.02}
    short(trained, graph, lr_warmup=8, lr_decay=0.5, lr_decay_every=2, **options)
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


@pytest.mark.parametrize("cls", [SASRec, MCLRec, S3Rec])
def test_a_resumed_run_goes_on_with_its_learning_rate(
    graph: HeteroData, cls: type[Model], tmp_path: Path
) -> None:
    schedule = {"lr_warmup": 30, "lr_decay": 0.5, "lr_decay_every": 2}
    stages = {"pretrain_epochs": 1} if cls is S3Rec else {}

    def trained(*epochs: int) -> dict[str, torch.Tensor]:
        folder = tmp_path / str(len(epochs))
        for number in epochs:
            torch.manual_seed(3)
            model = cls(30, 12, dim=8, max_length=8, **stages)
            options = schedule | {"max_epochs": number, "batch_size": 30}
            short(model, graph, folder=folder, resume=True, monitor=None, **options)
        return model.state_dict()

    whole, broken = trained(4), trained(2, 4)
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_the_callers_state_is_left_alone(
    tiny: Make, graph: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, digest = tiny(), graph_hash(graph)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads, filters = torch.get_num_threads(), list(warnings.filters)
    level = logging.getLogger("lightning.pytorch").level
    short(model, graph, threads=2)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.get_num_threads() == threads
    assert warnings.filters == filters
    assert logging.getLogger("lightning.pytorch").level == level
    assert graph_hash(graph) == digest
    assert not model.training
    assert os.listdir(tmp_path) == []


def test_a_temporary_folder_is_removed(
    tiny: Make, graph: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = short(tiny(), graph)
    assert run.folder is None
    assert os.listdir(tmp_path) == []
    with pytest.raises(RunError, match="kept no folder"):
        run.model()


def test_a_model_without_parameters_is_only_evaluated(
    graph: HeteroData, tmp_path: Path
) -> None:
    run = short(POP(30, 12), graph, folder=tmp_path)
    assert run.epochs == 0
    (row,) = run.history
    assert row["epoch"] == 0
    assert 0 < row["NDCG@10"] <= 1
    assert isinstance(run.model(graph), POP)
    assert run.finished


def test_no_epochs_leave_the_model_as_it_was(tiny: Make, graph: HeteroData) -> None:
    model = tiny()
    assert short(model, graph, max_epochs=0).epochs == 0
    assert same(model, tiny())


def test_a_graph_model_trains_too(graph: HeteroData) -> None:
    torch.manual_seed(7)
    run = short(LightGCN(30, 12, dim=8), graph, batch_size=60, max_epochs=3)
    assert run.history[-1]["loss"] < run.history[0]["loss"]


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-softmax"])
def test_bfloat16_trains_nearly_as_float32(
    tiny: Make, graph: HeteroData, precision: str
) -> None:
    full, half = (tiny(dropout=0.0, loss="ce") for _ in range(2))
    one = short(full, graph).history
    two = short(half, graph, precision=precision).history
    assert not same(full, half)
    assert two[-1]["loss"] == pytest.approx(one[-1]["loss"], rel=0.02)
    assert {weight.dtype for weight in half.parameters()} == {torch.float32}


def test_a_loss_that_is_not_finite_ends_the_run(
    tiny: Make, graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = SASRec.losses

    def diverged(self: SASRec, *arguments: Any) -> dict[str, torch.Tensor]:
        return {k: v * math.nan for k, v in losses(self, *arguments).items()}

    monkeypatch.setattr(SASRec, "losses", diverged)
    with pytest.raises(RunError, match=r"became nan in epoch 1.*Lower lr \(now 0.01\)"):
        short(tiny(), graph)


def test_missing_relations_and_wrong_sizes_are_told_together(
    tiny: Make, graph: HeteroData
) -> None:
    model = tiny()
    model.requires = (("item", "co_occurs", "item"),)
    model.num_items = 99
    with pytest.raises(GraphError) as told:
        short(model, graph)
    assert "('item', 'co_occurs', 'item')" in str(told.value)
    assert "made for 99 items, and the graph has 12" in str(told.value)


def test_a_graph_without_validation_users_is_told(tiny: Make) -> None:
    bare = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=0)))
    del bare["validation"]
    with pytest.raises(GraphError, match="pass monitor=None"):
        short(tiny(), bare)
    assert short(tiny(), bare, monitor=None).epochs == 2


def test_options_that_mean_nothing_are_told_together(
    tiny: Make, graph: HeteroData
) -> None:
    with pytest.raises(ConfigError) as told:
        short(tiny(), graph, lr=-1.0, monitor="loss", patience=0, max_epochs=-2)
    for name in ("lr", "monitor", "patience", "max_epochs"):
        assert f"\n  {name} " in str(told.value)


def test_a_folder_with_a_run_is_refused(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    with pytest.raises(RunError, match=r"holds a run already.*resume=True"):
        short(tiny(), graph, folder=tmp_path)


def test_a_finished_run_is_resumed_as_it_is(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    first, again = tiny(), tiny()
    run = short(first, graph, folder=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("[wch]*")}
    assert short(again, graph, folder=tmp_path, resume=True).history == run.history
    assert same(first, again)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.glob("[wch]*")}


def test_a_run_can_be_given_more_epochs(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    whole, parts = tiny(), tiny()
    expected = short(whole, graph, max_epochs=5)
    short(parts, graph, folder=tmp_path, max_epochs=2)
    run = short(tiny(), graph, folder=tmp_path, max_epochs=5, resume=True)
    assert run.history == expected.history
    assert same(run.model(), whole)
    assert run.record["resumed_after"] == [2]


def test_a_run_that_had_decided_to_stop_is_not_trained_on(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"lr": 1e-12, "max_epochs": 9, "patience": 2}
    options |= {"folder": tmp_path}
    short(tiny(), graph, **options)
    record = (tmp_path / "run.json").read_text()
    killed = record.replace('"finished": true', '"finished": false')
    assert killed != record
    (tmp_path / "run.json").write_text(killed)
    assert short(tiny(), graph, resume=True, **options).epochs == 3


def test_resuming_something_else_lists_every_difference(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    other = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=9)))
    with pytest.raises(RunError) as told:
        short(tiny(dim=4), other, folder=tmp_path, lr=0.02, seed=1, resume=True)
    lines = str(told.value)
    assert "model.SASRec.dim: the run has 8, asked for 4" in lines
    assert "train.lr: the run has 0.01, asked for 0.02" in lines
    assert "train.seed: the run has 0, asked for 1" in lines
    assert "graph.hash: the run has " in lines
    assert "progress" not in lines


def test_resuming_another_model_names_both(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(POP(30, 12), graph, folder=tmp_path)
    with pytest.raises(RunError) as told:
        short(tiny(), graph, folder=tmp_path, resume=True)
    _, line, *_ = str(told.value).splitlines()
    assert line == "  the run is of POP, this file of SASRec"


def test_a_truncated_checkpoint_is_told(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[:-10])
    with pytest.raises(RunError, match="damaged or foreign"):
        short(tiny(), graph, folder=tmp_path, max_epochs=4, resume=True)


def test_the_checkpoint_holds_no_pickle(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    state = load_state(tmp_path / CHECKPOINT)
    assert state["epoch"] == 1
    assert state["optimizer_states"][0]["state"][0]["exp_avg"].shape == (12, 8)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "checkpoint.safetensors",
        "experiment.yaml",
        "history.csv",
        "run.json",
        "weights.safetensors",
    }


def test_another_logger_hears_of_every_epoch(tiny: Make, graph: HeteroData) -> None:
    from lightning.pytorch.loggers.logger import DummyLogger

    heard: list[dict[str, float]] = []

    class Notes(DummyLogger):
        def log_metrics(
            self, metrics: dict[str, float], step: int | None = None
        ) -> None:
            heard.append(dict(metrics))

    run = short(tiny(), graph, loggers=[Notes()])
    assert [row["epoch"] for row in heard] == [0, 1]
    assert heard[1]["NDCG@10"] == pytest.approx(run.history[1]["NDCG@10"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accelerator": "gpux"}, "accelerator 'gpux' is not on this machine; there"),
        ({"strategy": "dpp"}, "there is no strategy 'dpp'; did you mean 'ddp'"),
        ({"devices": 0}, "nothing can be trained with accelerator 'auto', devices 0"),
        ({"loggers": ["tensorbord"]}, r"tensorboard.*found 'tensorbord'"),
    ],
)
def test_what_is_not_on_this_machine_is_told_before_a_run_folder_is_made(
    tiny: Make,
    graph: HeteroData,
    tmp_path: Path,
    options: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(ConfigError, match=words):
        short(tiny(), graph, folder=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_gpu_that_is_not_there_is_told(
    tiny: Make, graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lightning.pytorch.accelerators import CUDAAccelerator

    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: False))
    with pytest.raises(ConfigError) as told:
        short(tiny(), graph, accelerator="cuda")
    assert str(told.value).startswith(
        "accelerator 'cuda' is not on this machine; there are cpu"
    )
    assert str(told.value).endswith("; leave it out (auto)")


def test_a_file_where_the_folder_should_be_is_told(
    tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").touch()
    with pytest.raises(RunError, match=r"log\.csv, and no folder can be made there"):
        short(tiny(), graph, folder=tmp_path / "log.csv")


def test_each_epoch_is_a_line(
    tiny: Make, graph: HeteroData, capsys: pytest.CaptureFixture[str]
) -> None:
    short(tiny(), graph, progress=True)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch   1  loss ")
    assert first.endswith("best so far")
    assert second.startswith("epoch   2  loss ")


def test_on_a_terminal_there_is_a_bar_with_the_losses(
    tiny: Make,
    graph: HeteroData,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    short(tiny(), graph, progress=True)
    shown = capsys.readouterr().out
    assert "epoch   2: 100%" in shown
    assert "next_item=" in shown
    assert "NDCG@10=" in shown
