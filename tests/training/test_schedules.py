"""Schedules: factors by hand, whole trainings, and files that name them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch_geometric.data import HeteroData

from graphseq.config import check, read_yaml
from graphseq.errors import ConfigError, RunError
from graphseq.models import Model
from graphseq.schema import describe
from graphseq.training import CosineDecay, LinearDecay, Run, Schedule, StepDecay

Make = Callable[..., Model]
Short = Callable[..., Run]
FILE = {
    "data": {"cycle": {"num_users": 20, "num_items": 6}},
    "split": {"leave_one_out": {}},
    "model": {"SASRec": {"backbone": {"dim": 8}}},
}


def test_factors_are_those_of_the_formulas() -> None:
    steps = [StepDecay(0.5, every=2).factor(epoch, epoch / 5) for epoch in range(5)]
    assert steps == [1, 1, 0.5, 0.5, 0.25]
    quarter = (1 + 0.5**0.5) / 2
    for progress, cosine in ((0.0, 1), (0.25, quarter), (0.5, 0.5), (1.0, 0)):
        assert LinearDecay().factor(0, progress) == 1 - progress
        assert CosineDecay().factor(0, progress) == pytest.approx(cosine)
        raised = 0.1 + 0.9 * cosine
        assert CosineDecay(end=0.1).factor(0, progress) == pytest.approx(raised)
    assert LinearDecay(end=0.25).factor(0, 1.0) == 0.25
    late = LinearDecay(end=0.2, start=0.6)
    for progress, factor in ((0.0, 1), (0.6, 1), (0.7, 0.8), (0.8, 0.6), (1.0, 0.2)):
        assert late.factor(0, progress) == pytest.approx(factor)
    assert LinearDecay(start=1.0).factor(0, 1.0) == 1


def test_factors_equal_those_of_torch() -> None:
    adam = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=40, eta_min=0.2)
    for step in range(40):
        ours = CosineDecay(end=0.2).factor(0, step / 40)
        assert ours == pytest.approx(adam.param_groups[0]["lr"])
        adam.step()
        theirs.step()


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rates of all steps of a training."""
    seen: list[float] = []
    step = torch.optim.Adam.step

    def record(self: torch.optim.Adam, *args: Any, **kwargs: Any) -> Any:
        seen.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", record)
    return seen


class Halved(Schedule):
    """A schedule of one's own."""

    def factor(self, epoch: int, progress: float) -> float:
        """Half the learning rate, then an eighth."""
        return 0.5 if progress < 0.5 else 0.125


@pytest.mark.parametrize(
    "schedule",
    [CosineDecay(), LinearDecay(end=0.5), LinearDecay(start=0.5), Halved()],
)
def test_every_step_has_its_rate(
    tiny: Make,
    short: Short,
    graph: HeteroData,
    rates: list[float],
    schedule: Schedule,
) -> None:
    options = {"monitor": None, "lr": 0.02, "lr_schedule": schedule, "batch_size": 40}
    short(tiny(), graph, max_epochs=3, **options)
    total = len(rates)
    assert total > 8
    for step, rate in enumerate(rates):
        assert rate == pytest.approx(0.02 * schedule.factor(0, step / total))


@pytest.mark.parametrize("factor", [-0.5, float("nan"), float("inf"), None])
def test_a_factor_is_no_rate_below_zero_or_unbounded(
    tiny: Make, short: Short, graph: HeteroData, factor: Any
) -> None:
    class Faulty(Schedule):
        def factor(self, epoch: int, progress: float) -> float:
            return factor  # type: ignore[no-any-return]

    with pytest.raises(ConfigError, match=rf"Faulty.factor\(0, 0\) returned {factor}"):
        short(tiny(), graph, max_epochs=1, monitor=None, lr_schedule=Faulty())


@pytest.mark.parametrize("schedule", [CosineDecay, LinearDecay])
def test_a_schedule_starts_anew_with_each_stage(
    graph: HeteroData,
    small: Make,
    short: Short,
    rates: list[float],
    schedule: type[CosineDecay],
) -> None:
    """The pre-training of S3-Rec has other batches, so another number of steps."""
    tasks = {"variant": "MIP", "pretrain_epochs": 2, "pretrain_sampler": "user"}
    objective = {"MutualInformation": tasks | {"pretrain_batch_size": 8}}
    model = small("S3Rec", objective=objective)
    options = {"monitor": None, "lr": 0.02, "batch_size": 4, "max_epochs": 5}
    one_pass = schedule(each_stage=True)
    short(model, graph, lr_schedule=one_pass, lr_warmup=3, **options)
    first = -(-graph["user"].num_nodes // 8) * 2
    stages = rates[:first], rates[first:]
    assert len(stages[1]) > len(stages[0]) > 4
    for stage in stages:
        for step, rate in enumerate(stage):
            factor = one_pass.factor(0, step / len(stage)) * min(1, (step + 1) / 3)
            assert rate == pytest.approx(0.02 * factor)
    assert one_pass.options["each_stage"] is True
    assert "each_stage" not in schedule().options


def test_a_file_names_a_schedule_and_the_run_records_it(tmp_path: Path) -> None:
    train = {"max_epochs": 2, "lr_schedule": {"CosineDecay": {"end": 0.1}}}
    experiment = check({**FILE, "train": {**train, "progress": False}})
    schedule = experiment.resolved()["train"]["lr_schedule"]
    assert schedule == {"CosineDecay": {"end": 0.1, "each_stage": False}}
    graph = experiment.graph()
    run = experiment.fit(experiment.model(graph), graph, folder=tmp_path / "run")
    assert run.experiment["train"]["lr_schedule"] == train["lr_schedule"]
    with pytest.raises(ConfigError, match=r"lr_schedule.Cosine: unknown name; did you"):
        check({**FILE, "train": {"lr_schedule": {"Cosine": {}}}})
    with pytest.raises(ConfigError, match=r"CosineDecay.end: expected a number from 0"):
        check({**FILE, "train": {"lr_schedule": {"CosineDecay": {"end": 2}}}})


def test_a_schedule_that_ends_keeps_the_number_of_epochs(
    tiny: Make, short: Short, graph: HeteroData, tmp_path: Path
) -> None:
    """An interrupted run ends as an uninterrupted one; a longer one is another."""
    options = {"monitor": None, "lr_schedule": CosineDecay(), "batch_size": 40}

    def interrupt(row: Any) -> None:
        if row["epoch"] == 2:
            raise RuntimeError

    whole, first, second = tiny(), tiny(), tiny()
    short(whole, graph, max_epochs=4, **options)
    options |= {"folder": tmp_path, "resume": True}
    with pytest.raises(RuntimeError):
        short(first, graph, max_epochs=4, callbacks=[interrupt], **options)
    with pytest.raises(RunError, match=r"train.max_epochs: the run has 4, requested"):
        short(tiny(), graph, max_epochs=6, **options)
    short(second, graph, max_epochs=4, **options)
    for name, weight in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], weight), name


@pytest.mark.parametrize(("gamma", "every"), [(1.0, 1), (0.5, 2)])
def test_runs_and_files_of_the_former_release_are_read(
    tiny: Make,
    short: Short,
    graph: HeteroData,
    tmp_path: Path,
    gamma: float,
    every: int,
) -> None:
    schedule = None if gamma == 1.0 else StepDecay(gamma, every)
    short(tiny(), graph, folder=tmp_path, monitor=None, lr_schedule=schedule)
    path = tmp_path / "experiment.yaml"
    sections = read_yaml(path)
    sections["train"].pop("lr_schedule")
    sections["train"] |= {"lr_decay": gamma, "lr_decay_every": every}
    path.write_text(yaml.safe_dump(dict(sections)))
    options = {"resume": True, "monitor": None, "max_epochs": 3}
    run = short(tiny(), graph, folder=tmp_path, lr_schedule=schedule, **options)
    assert run.epochs == 3
    file = check({**FILE, "train": {"lr_decay": gamma, "lr_decay_every": every}})
    expected = describe(schedule)
    assert file.resolved()["train"]["lr_schedule"] == expected
