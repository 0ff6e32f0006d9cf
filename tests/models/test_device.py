"""A training step on a device: how often it waits, and that its results are equal.

There need be no GPU: :class:`Device` is a pretended one. Its tensors report the device
``meta`` and hold their numbers on the CPU. It refuses operations on tensors of two
devices, as CUDA does, and records what would make the process wait for the device:
numbers that Python reads, shapes that depend on numbers, and copies.
"""

import copy
from collections import Counter
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    return_and_correct_aliasing,
)
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten
from torch_geometric.data import HeteroData

from graphseq.models import MODELS, Model
from graphseq.models.base import Stage, Step
from graphseq.nn import adjacency
from graphseq.sequences import Batch

META = torch.device("meta")
SHAPES = {  # the shapes of their results depend on numbers
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "repeat_interleave",
    "equal",
    "_local_scalar_dense",
}


class OnDevice(Tensor):
    """A tensor of the pretended device; ``held`` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnDevice":
        dense = held.layout == torch.strided
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride() if dense else None,
            storage_offset=held.storage_offset() if dense else None,
            dtype=held.dtype,
            device=META,
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise RuntimeError(f"{function} outside of the pretended device")

    def __repr__(self) -> str:
        return f"OnDevice({self.held})"


class FromNumbers(TorchFunctionMode):
    """Copies of Python's numbers to the device."""

    def __init__(self, waits: Counter[str]) -> None:
        self.waits = waits

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        named = function in (torch.tensor, torch.as_tensor)
        if named and torch.device(kwargs.get("device") or "cpu") == META:
            self.waits["copy from Python"] += 1
            kwargs.pop("device")
            return OnDevice(function(*args, **kwargs))
        return function(*args, **kwargs)


class Device(TorchDispatchMode):
    """The pretended device.

    Attributes:
        waits: What made the process wait, and how often.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.numbers = FromNumbers(self.waits)

    def __enter__(self) -> "Device":
        self.numbers.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.numbers.__exit__(*error)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = function.overloadpacket.__name__
        flat, spec = tree_flatten((args, kwargs))
        tensors = [x for x in flat if isinstance(x, Tensor)]
        here = [x for x in tensors if isinstance(x, OnDevice)]
        there = [x for x in tensors if not isinstance(x, OnDevice)]
        target = kwargs.get("device")
        result_here = bool(here) if target is None else torch.device(target) == META
        if not here and not result_here:
            return function(*args, **kwargs)
        crossing = name in ("copy_", "_to_copy") and (
            bool(there) if name == "copy_" else bool(here) != result_here
        )
        if crossing and not (kwargs.get("non_blocking") and there):
            self.waits["copy"] += 1
        elif not crossing and any(x.dim() for x in there):
            if name not in ("index", "index_put", "index_put_", "_index_put_impl_"):
                raise RuntimeError(f"{name} of tensors on two devices")
            self.waits["index on the CPU"] += 1
        size = kwargs.get("output_size")
        if here and name in SHAPES and not (name == "repeat_interleave" and size):
            self.waits[name] += 1
        if name.startswith(("index", "_index_put")) and len(args) > 1:
            indices = args[1] if isinstance(args[1], list | tuple) else []
            masks = (torch.bool, torch.uint8)
            if any(i is not None and i.dtype in masks for i in indices):
                self.waits[f"{name} by a mask"] += 1
        held = [x.held if isinstance(x, OnDevice) else x for x in flat]
        own_args, own_kwargs = tree_unflatten(held, spec)
        if target is not None:
            own_kwargs["device"] = torch.device("cpu")
        out = function(*own_args, **own_kwargs)
        if name == "copy_":
            return args[0]
        if result_here:
            out = tree_map_only(Tensor, OnDevice, out)
        if not here or name == "_to_copy" or not dense(out):
            return out
        return return_and_correct_aliasing(function, args, kwargs, out)


def dense(out: Any) -> bool:
    found = [x for x in tree_flatten(out)[0] if isinstance(x, OnDevice)]
    return all(x.held.layout == torch.strided for x in found)


def on_device(x: Tensor) -> Tensor:
    return x if isinstance(x, OnDevice) else OnDevice(x.detach().clone())


def numbers(x: Any) -> Tensor:
    return x.held if isinstance(x, OnDevice) else x


def move(model: Model) -> Model:
    """A copy of a model on the device."""
    moved = copy.deepcopy(model)
    for module in moved.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                made = nn.Parameter(on_device(weight), weight.requires_grad)
                module._parameters[name] = made
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = on_device(buffer)
        if isinstance(module, nn.RNNBase):
            names = module._flat_weights_names
            module._flat_weights = [getattr(module, name) for name in names]
    return moved


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch knows no autocast for ``meta``."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind="cpu": False)


@pytest.fixture(scope="module")
def there(cycle: HeteroData) -> HeteroData:
    """The graph on the device."""
    return moved_graph(cycle)


def moved_graph(graph: HeteroData) -> HeteroData:
    """A copy of a graph on the device, without matrices of its relations."""
    moved = copy.copy(graph)
    for store in moved.edge_stores:
        store.pop("operator", None)
    return moved.apply(on_device)


def prepared(stage: Stage, batch: Batch, device: torch.device | str) -> Batch:
    """A batch as a training moves it."""
    if stage.prepare and stage.on_host:
        batch = stage.prepare(batch)
    batch = batch.to(device, non_blocking=True)
    return stage.prepare(batch) if stage.prepare and not stage.on_host else batch


def losses(step: Step, batch: Batch, graph: HeteroData) -> Tensor:
    return torch.stack([*step.losses(batch, graph).values()]).sum()


class Counted(NamedTuple):
    """What the second step of every stage waits for; what the first one builds."""

    waits: Counter[str]
    matrices: list[int]


def train_two_steps(lab, model: Model, graph: HeteroData, there: Any) -> Counted:
    """Two training steps of every stage on the device."""
    waits, matrices = Counter[str](), list[int]()
    build = adjacency._matrix
    with pytest.MonkeyPatch.context() as patch, Device() as device:
        patch.setattr(
            adjacency, "_matrix", lambda *a: matrices.append(len(waits)) or build(*a)
        )
        moved = move(model).eval()
        with torch.no_grad():
            moved.refresh(there, 1)
        moved.train()
        for stage in moved.stages():
            loader = lab.load(model, graph, batch_size=16, sampler=stage.sampler)
            steps = [
                (step, torch.optim.Adam(step.trains(moved), foreach=False))
                for step in stage.steps
            ]
            for index in range(2):
                device.waits.clear()
                batch = prepared(stage, loader[index], META)
                built = len(matrices)
                for step, adam in steps:
                    loss = losses(step, batch, there)
                    moved.zero_grad()
                    loss.backward()
                    adam.step()
            assert len(matrices) == built, "a matrix is built in every step"
            waits += device.waits
    return Counted(waits, matrices)


GRAPHS_OF_SESSIONS = "the nodes and edges of its session graphs are counted"
WAITS = {
    "S3Rec": (4, "masked positions of its pre-training, whose number is random"),
    "SRGNN": (9, GRAPHS_OF_SESSIONS),
    "GCSAN": (9, GRAPHS_OF_SESSIONS),
    "EC4SRec": (2, "after an update: the number of candidates with the same target"),
}
"""Models whose step waits for the device: how often, and for what."""
TRAINED = [name for name in MODELS if name not in {"POP", "Repeat", "ItemKNN"}]
TRAINED = [name for name in TRAINED if name not in {"EASE", "GFCF"}]


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_step_does_not_wait_for_the_device(
    lab, name: str, cycle: HeteroData, there: HeteroData
) -> None:
    found = train_two_steps(lab, lab.build(name, cycle), cycle, there)
    most, reason = WAITS.get(name, (0, ""))
    assert found.waits.total() == most, f"{dict(found.waits)}; expected: {reason}"


SOFTMAXES = ("uniform", "log_uniform", "in_batch")


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_sampled_softmaxes_do_not_wait(
    lab, softmax: str, cycle: HeteroData, there: HeteroData
) -> None:
    model = lab.build("MCLSR", cycle, softmax=softmax, num_negatives=5)
    assert not train_two_steps(lab, model, cycle, there).waits


def test_matrices_of_relations_are_built_once(lab, cycle: HeteroData) -> None:
    fresh = moved_graph(cycle)
    found = train_two_steps(lab, lab.build("MCLSR", cycle), cycle, fresh)
    assert len(found.matrices) == 3 and not found.waits  # for three relations
    again = train_two_steps(lab, lab.build("LightGCN", cycle), cycle, fresh)
    assert not again.matrices


@pytest.mark.parametrize("name", TRAINED)
def test_losses_gradients_and_scores_equal_those_of_the_cpu(
    lab, name: str, cycle: HeteroData, there: HeteroData
) -> None:
    """Without dropout, whose masks follow the width of a batch."""
    model = lab.build(name, cycle).eval()
    with torch.no_grad():
        model.refresh(cycle, 1)
    with Device():
        moved = move(model)
        with torch.no_grad():
            moved.refresh(there, 1)
    for own, other in zip(model.stages(), moved.stages(), strict=True):
        batch = lab.load(model, cycle, batch_size=16, sampler=own.sampler)[0]
        for a, b in zip(own.steps, other.steps, strict=True):
            model.zero_grad()
            torch.manual_seed(0)
            expected = losses(a, prepared(own, batch, "cpu"), cycle)
            expected.backward()
            with Device():
                moved.zero_grad()
                torch.manual_seed(0)
                found = losses(b, prepared(other, batch, META), there)
                found.backward()
            torch.testing.assert_close(numbers(found), expected)
            for x, y in zip(model.parameters(), moved.parameters(), strict=True):
                assert (x.grad is None) == (y.grad is None)
                if x.grad is not None:
                    torch.testing.assert_close(numbers(y.grad), x.grad)
    rows = lab.test_batch(model, cycle)
    with Device():
        scores = moved.score(rows.to(META), there)
    torch.testing.assert_close(numbers(scores), model.score(rows, cycle))


def test_the_device_records_what_waits() -> None:
    with Device() as device:
        x, mask = on_device(torch.arange(3.0)), on_device(torch.tensor([True, False]))
        assert x[1].item() == 1 and x.cpu().tolist() == [0, 1, 2]
        assert len(x[:2][mask]) == 1 and len(x.unique()) == 3
        assert torch.tensor([1.0], device=META) + x[:1] > 0
        x.copy_(torch.zeros(3))
    assert device.waits == {
        "_local_scalar_dense": 2,  # item, and the truth of the comparison
        "copy": 2,  # cpu and copy_
        "index by a mask": 1,
        "_unique2": 1,
        "copy from Python": 1,
    }


def test_the_device_refuses_tensors_of_another() -> None:
    with Device() as device, pytest.raises(RuntimeError, match="on two devices"):
        on_device(torch.zeros(2)) + torch.zeros(2)
    assert not device.waits


def test_the_device_lets_work_that_is_known_to_fit_pass() -> None:
    with Device() as device:
        x = torch.zeros(2, device=META)
        x += torch.arange(2).to(META, non_blocking=True) + 1
        total = (x * 2).sum()
        rows = x[torch.tensor([0]).to(META, non_blocking=True)]
    assert numbers(total) == 6 and numbers(rows) == 1 and not device.waits
