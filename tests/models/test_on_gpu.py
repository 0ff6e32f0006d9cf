"""A GPU computes what a CPU does, within rounding, and no training step waits for it.

    python -m pytest -m gpu

With ``DEVICE=cpu`` the CPU is compared with itself, which only checks these tests.
"""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.models import MODELS, Model
from graphseq.models.base import Stage, Step
from graphseq.sequences import Batch

DEVICE = os.environ.get("DEVICE", "cuda")
WITHOUT = DEVICE == "cuda" and not torch.cuda.is_available()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(WITHOUT, reason="torch.cuda.is_available() is False: no GPU"),
]
UNTRAINED = {"POP", "Repeat", "ItemKNN", "EASE", "GFCF"}
TRAINED = [name for name in MODELS if name not in UNTRAINED]
WAITING = {"S3Rec", "SRGNN", "GCSAN", "EC4SRec"}  # see test_device.py
CLOSE = {"rtol": 1e-3, "atol": 1e-5}
FIT: dict[str, Any] = {"batch_size": 64, "lr": 0.01, "progress": False}
FIT |= {"accelerator": "gpu" if DEVICE == "cuda" else "cpu"}
DRAWN = (torch.rand, torch.randint, torch.randperm)
DRAWN_LIKE = {torch.rand_like: torch.rand, torch.randint_like: torch.randint}


class SameNumbers(TorchFunctionMode):
    """Random numbers for the GPU are drawn on the CPU, so that both see the same."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function in DRAWN:
            device = kwargs.pop("device", None)
            return function(*args, **kwargs).to(device or "cpu")
        if function in DRAWN_LIKE:
            like, *numbers = args
            kwargs |= {"dtype": like.dtype}
            drawn = DRAWN_LIKE[function](*numbers, tuple(like.shape), **kwargs)
            return drawn.to(like.device)
        return function(*args, **kwargs)


@pytest.fixture(scope="module")
def there(cycle: HeteroData) -> HeteroData:
    """The graph on the GPU."""
    return copy.copy(cycle).to(DEVICE)


def prepared(stage: Stage, batch: Batch, device: str) -> Batch:
    """A batch as a training moves it."""
    if stage.prepare and stage.on_host:
        batch = stage.prepare(batch)
    if device == "cuda":
        batch = batch.pin_memory()
    batch = batch.to(device, non_blocking=True)
    return stage.prepare(batch) if stage.prepare and not stage.on_host else batch


def losses(step: Step, batch: Batch, graph: HeteroData) -> Tensor:
    return torch.stack([*step.losses(batch, graph).values()]).sum()


def refreshed(model: Model, graph: HeteroData) -> Model:
    with torch.no_grad():
        model.eval().refresh(graph, 1)
    return model


@pytest.mark.parametrize("name", TRAINED)
def test_losses_gradients_and_scores_equal_those_of_the_cpu(
    lab, name: str, cycle: HeteroData, there: HeteroData
) -> None:
    model = lab.build(name, cycle)
    moved = refreshed(copy.deepcopy(model).to(DEVICE), there)
    refreshed(model, cycle)
    for part, buffer in model.epoch_state.items():  # clusters differ by their order
        moved.epoch_state = {part: buffer.to(DEVICE)}
    for own, other in zip(model.stages(), moved.stages(), strict=True):
        batch = lab.load(model, cycle, batch_size=16, sampler=own.sampler)[0]
        for a, b in zip(own.steps, other.steps, strict=True):
            found = []
            for step, stage, graph, device in (
                (a, own, cycle, "cpu"),
                (b, other, there, DEVICE),
            ):
                torch.manual_seed(0)
                with SameNumbers():
                    found.append(losses(step, prepared(stage, batch, device), graph))
                (model if step is a else moved).zero_grad()
                found[-1].backward()
            torch.testing.assert_close(found[1].cpu(), found[0], **CLOSE)
            for x, y in zip(model.parameters(), moved.parameters(), strict=True):
                assert (x.grad is None) == (y.grad is None)
                if x.grad is not None:
                    torch.testing.assert_close(y.grad.cpu(), x.grad, **CLOSE)
    rows = lab.test_batch(model, cycle)
    scores = moved.score(rows.to(DEVICE), there).cpu()
    torch.testing.assert_close(scores, model.score(rows, cycle), **CLOSE)


@pytest.fixture
def no_waiting() -> Iterator[Any]:
    """Sets whether an operation that waits is an error."""

    def set_mode(mode: str) -> None:
        if DEVICE == "cuda":
            torch.cuda.set_sync_debug_mode(mode)

    yield set_mode
    set_mode("default")


@pytest.mark.parametrize("name", [name for name in TRAINED if name not in WAITING])
def test_a_training_step_does_not_wait(
    lab, name: str, cycle: HeteroData, there: HeteroData, no_waiting: Any
) -> None:
    model = refreshed(lab.build(name, cycle).to(DEVICE), there).train()
    for stage in model.stages():
        loader = lab.load(model, cycle, batch_size=16, sampler=stage.sampler)
        adams = [
            torch.optim.Adam(step.trains(model), fused=True) for step in stage.steps
        ]
        for index in range(2):  # the first step builds matrices and states
            no_waiting("error" if index else "default")
            batch = prepared(stage, loader[index], DEVICE)
            for step, adam in zip(stage.steps, adams, strict=True):
                adam.zero_grad()
                losses(step, batch, there).backward()
                adam.step()
        no_waiting("default")


@pytest.mark.parametrize("name", ["SASRec", "LightGCN", "ComiRec", "MCLSR", "ItemKNN"])
def test_metrics_of_an_evaluation_equal_those_of_the_cpu(
    lab, name: str, noise: HeteroData
) -> None:
    model = lab.build(name, noise).eval()
    expected = gs.evaluate(model, noise)
    found = gs.evaluate(model.to(DEVICE), copy.copy(noise).to(DEVICE))
    for protocol in ("kept", "excluded"):
        assert found[protocol] == pytest.approx(expected[protocol], abs=1e-3)


@pytest.mark.parametrize("name", ["SASRec", "BERT4Rec", "MCLRec", "MCLSR"])
def test_a_run_is_resumed_and_recommends(
    lab, name: str, cycle: HeteroData, tmp_path: Path
) -> None:
    whole = gs.fit(lab.build(name, cycle), cycle, max_epochs=2, **FIT)
    folder = tmp_path / "run"
    gs.fit(lab.build(name, cycle), cycle, max_epochs=1, folder=folder, **FIT)
    again = lab.build(name, cycle)
    run = gs.fit(again, cycle, max_epochs=2, folder=folder, resume=True, **FIT)
    losses = [[row["loss"] for row in r.history] for r in (run, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    for index in ("exact", "hnsw"):
        recommender = gs.Recommender(again, cycle, index=index)
        assert len(recommender.recommend(["user-0", "user-1"], k=3)) >= 2
