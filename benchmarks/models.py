"""What an epoch of each model costs, as a multiple of SASRec's, and what explains it.

Beside each model, in turns, trains a SASRec with the same sampler and loss, on the
first users of Amazon Beauty, one thread, without validation. An *encoder pass* is one
row of the batch through an encoder, forward and backward; a pass without gradients
counts a third. A model that costs more times SASRec than it has passes spends its time
elsewhere. *Views* is the share of the functions of ``graphseq.sequences`` that crop,
mask, retrieve and otherwise alter batches; *between epochs*, that of ``refresh``.

Models that are trained in stages (one epoch each here), or that renew something now and
then, have a row for each kind of epoch.

    OMP_NUM_THREADS=1 python -m benchmarks.models path/to/Beauty.txt [--users 2000]
    OMP_NUM_THREADS=1 python -m benchmarks.models path/to/Beauty.txt --only CL4SRec
"""

import argparse
import functools
import importlib
import inspect
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

import graphseq as gs
from graphseq.models import MODELS, Model
from graphseq.nn.encoder import Encoder
from graphseq.sequences import Batch
from graphseq.training.module import Training

LOADING = ("batch", "examples", "loader", "negatives")  # modules that make no views
FORWARD_ALONE = 1 / 3  # of a pass with gradients
OPTIONS: dict[str, dict[str, Any]] = {"EC4SRec": {"updates": (0,)}}
EPOCHS = {"EC4SRec": 2}  # with an update, and after it


@dataclass
class Meter:
    """Counts rows and CPU seconds, while a model trains, by epoch."""

    rows: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    passes: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    seconds: dict[tuple[int, str], float] = field(
        default_factory=lambda: defaultdict(float)
    )
    epoch: int = 0
    inside: set[str] = field(default_factory=set)

    @contextmanager
    def once(self, what: str) -> Iterator[bool]:
        """Whether this call is not inside another of its kind."""
        outermost = what not in self.inside
        self.inside.add(what)
        try:
            yield outermost
        finally:
            if outermost:
                self.inside.discard(what)

    def timed(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """The function, its seconds added up."""

        @functools.wraps(function)
        def measured(*args: Any, **options: Any) -> Any:
            with self.once(what) as outermost:
                start = time.process_time()
                found = function(*args, **options)
                if outermost:
                    spent = time.process_time() - start
                    self.seconds[self.epoch, what] += spent
                return found

        return measured

    def passing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A method of an encoder, the rows that it reads in training added up."""

        @functools.wraps(function)
        def counted(encoder: Encoder, x: torch.Tensor, *a: Any, **k: Any) -> Any:
            with self.once("pass") as outermost:
                if outermost and "refresh" not in self.inside:
                    weight = 1.0 if torch.is_grad_enabled() else FORWARD_ALONE
                    self.passes[self.epoch] += weight * len(x)
                return function(encoder, x, *a, **k)

        return counted

    def stepping(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A training step, the rows of its batch added up."""

        @functools.wraps(step)
        def counted(training: Training, batch: Batch, index: int) -> Any:
            self.epoch = training.current_epoch
            self.rows[self.epoch] += len(batch.items)
            return step(training, batch, index)

        return counted


@contextmanager
def watched(meter: Meter) -> Iterator[None]:
    """Put the meter around encoders, views, steps and refreshes; then take it away."""
    undo: list[tuple[Any, str, Any]] = []

    def put(home: Any, name: str, value: Any) -> None:
        undo.append((home, name, vars(home)[name]))
        setattr(home, name, value)

    for encoder in _below(Encoder):
        for name in {"forward", "last"} & set(vars(encoder)):
            put(encoder, name, meter.passing(vars(encoder)[name]))
    put(Training, "training_step", meter.stepping(Training.training_step))
    for model in _below(Model):
        if "refresh" in vars(model):
            put(model, "refresh", meter.timed(model.refresh, "refresh"))
    for home, name, function in list(_views()):
        put(home, name, meter.timed(function, "views"))
    try:
        yield
    finally:
        for home, name, value in reversed(undo):
            setattr(home, name, value)


def _below(base: type) -> list[type]:
    """A class and all that are derived from it."""
    return [base, *(c for below in base.__subclasses__() for c in _below(below))]


def _views() -> Iterator[tuple[Any, str, Any]]:
    """Every name of the package that stands for something that makes views."""
    package = importlib.import_module("graphseq.sequences")
    homes = {
        value.__module__
        for module in list(sys.modules.values())
        if (getattr(module, "__name__", "") or "").startswith(f"{package.__name__}.")
        for value in vars(module).values()
        if inspect.isfunction(value)
    }
    homes = {h for h in homes if h.startswith(package.__name__)}
    homes = {h for h in homes if h.rpartition(".")[2] not in LOADING}
    for module in list(sys.modules.values()):
        if not (getattr(module, "__name__", "") or "").startswith("graphseq."):
            continue
        for name, value in list(vars(module).items()):
            made_there = getattr(value, "__module__", None) in homes
            if made_there and inspect.isfunction(value):
                yield module, name, value
            elif (
                made_there
                and inspect.isclass(value)
                and value.__module__ == (module.__name__)
            ):
                for inner, method in list(vars(value).items()):
                    if inspect.isfunction(method) and not inner.startswith("__"):
                        yield value, inner, method


@dataclass(frozen=True)
class Epoch:
    """What an epoch took: CPU seconds, encoder passes a row, and shares of the time."""

    seconds: float
    passes: float
    views: float
    refresh: float


def train(name: str, graph: Any, options: dict[str, Any]) -> list[Epoch]:
    """One epoch of each kind."""
    meter = Meter()
    with watched(meter):
        torch.manual_seed(0)
        sizes = graph["user"].num_nodes, graph["item"].num_nodes
        model = MODELS[name](*sizes, **options)
        epochs = max(len(model.stages()), EPOCHS.get(name, 1))
        run = gs.fit(
            model,
            graph,
            max_epochs=epochs,
            monitor=None,
            patience=None,
            progress=False,
            accelerator="cpu",
            threads=1,
        )
    return [
        Epoch(
            spent["cpu_seconds"],
            meter.passes[epoch] / meter.rows[epoch],
            meter.seconds[epoch, "views"] / spent["cpu_seconds"],
            meter.seconds[epoch, "refresh"] / spent["cpu_seconds"],
        )
        for epoch, spent in enumerate(run.times)
    ]


def zeros_of(name: str, graph: Any, options: dict[str, Any]) -> list[dict[str, str]]:
    """For each kind of epoch, the SASRec of the same examples and the same loss."""
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    model = MODELS[name](*sizes, **options)
    samplers = [stage.sampler or model.sampler for stage in model.stages()]
    samplers += samplers[-1:] * (EPOCHS.get(name, 1) - len(samplers))
    loss = model.options.get("loss", "ce")
    return [
        {"sampler": "targets" if sampler == "pairs" else sampler, "loss": loss}
        for sampler in samplers
    ]


def one_each(name: str) -> dict[str, int]:
    """Options that give every stage before the last one epoch."""
    parameters = inspect.signature(MODELS[name].__init__).parameters.values()
    return {p.name: 1 for p in parameters if p.name.endswith("_epochs") and p.default}


def lines(name: str, graph: Any, repeat: int) -> Iterator[str]:
    """The rows of the table for a model: one a stage."""
    options = OPTIONS.get(name, {}) | one_each(name)
    zeros = zeros_of(name, graph, options)
    rounds = []
    for _ in range(repeat):
        bases = {str(zero): train("SASRec", graph, zero)[0] for zero in zeros}
        rounds.append(([bases[str(z)] for z in zeros], train(name, graph, options)))
    for place, zero in enumerate(zeros):
        found = [epochs[place] for _, epochs in rounds]
        times = statistics.median(
            epochs[place].seconds / bases[place].seconds for bases, epochs in rounds
        )
        middle = {
            what: statistics.median(getattr(epoch, what) for epoch in found)
            for what in ("seconds", "passes", "views", "refresh")
        }
        passes = middle["passes"]
        last = place == len(zeros) - 1
        cells = [
            name if last else f"{name}, epoch {place + 1}",
            f"{zero['sampler']}, {zero['loss']}",
            f"{middle['seconds']:.2f}",
            f"{times:.2f}",
            f"{passes:.2f}" if passes else "–",
            f"{times / passes:.2f}" if passes else "–",
            f"{middle['views']:.1%}",
            f"{middle['refresh']:.1%}",
        ]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="Beauty.txt")
    parser.add_argument("--users", type=int, default=2000, help="the first so many")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=[*MODELS])
    given = parser.parse_args()
    log = gs.read_log(given.path, format="sequences")
    log = log.select(log.user < given.users)
    relations = [gs.CoOccurrence("user", top_k=50), gs.CoOccurrence("item", top_k=50)]
    graph = gs.build_graph(gs.leave_one_out(log), relations)
    print(f"{log.num_users:,} users, {log.num_items:,} items, {len(log):,} events\n")
    print(
        "| model | SASRec beside it | CPU s an epoch | times SASRec | encoder passes | "
        "times a pass | views | between epochs |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in given.only:
        if name != "POP":
            for line in lines(name, graph, given.repeat):
                print(line, flush=True)


if __name__ == "__main__":
    main()
