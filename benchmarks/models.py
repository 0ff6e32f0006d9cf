"""The CPU time of one epoch of each model, as a multiple of SASRec's.

Each model is trained in turns with a SASRec of the same sampler and loss, on the first
users of Amazon Beauty, with one thread and without validation. An *encoder pass* is one
row of the batch through an encoder, forward and backward; a pass without gradients
counts as a third. If the time exceeds SASRec's by more than the number of passes, the
model spends it elsewhere. *Views* is the fraction of the time in the functions of
``graphseq.sequences`` that crop, mask, retrieve and otherwise change batches; *refresh*
is the fraction in ``refresh``, before the epochs.

Models that are trained in stages (one epoch each here), or that recompute something
before some epochs, have one row for each kind of epoch.

    OMP_NUM_THREADS=1 python -m benchmarks.models path/to/Beauty.txt [--users 2000]
    OMP_NUM_THREADS=1 python -m benchmarks.models path/to/Beauty.txt --only CL4SRec
"""

import argparse
import functools
import importlib
import inspect
import pkgutil
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
import graphseq.sequences
from graphseq.models import MODELS, Model, create
from graphseq.nn.encoder import Encoder
from graphseq.sequences import Batch
from graphseq.training.module import Training

LOADING = {"batch", "loader", "samplers"}  # modules that make no views
FORWARD_ONLY = 1 / 3  # of a pass with gradients
ONE_EPOCH = {"objective": {"pretrain_epochs": 1}}
OPTIONS: dict[str, dict[str, Any]] = {
    "EC4SRec": {"objective": {"updates": [0]}},
    "S3Rec": ONE_EPOCH,
    "SRMA": ONE_EPOCH,
}
EPOCHS = {"EC4SRec": 2}  # one with an update of the importances, one without


@dataclass
class Meter:
    """Counts rows and CPU seconds of each epoch while a model is trained."""

    rows: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    passes: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    seconds: dict[tuple[int, str], float] = field(
        default_factory=lambda: defaultdict(float)
    )
    epoch: int = 0
    active: set[str] = field(default_factory=set)

    @contextmanager
    def outermost(self, kind: str) -> Iterator[bool]:
        """Whether this call is not nested in another of its kind, or in a refresh."""
        counts = kind not in self.active and "refresh" not in self.active
        nested = kind in self.active
        self.active.add(kind)
        try:
            yield counts
        finally:
            if not nested:
                self.active.discard(kind)

    def timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        """The function; its CPU seconds are added up."""

        @functools.wraps(function)
        def measured(*args: Any, **options: Any) -> Any:
            with self.outermost(kind) as counts:
                start = time.process_time()
                result = function(*args, **options)
                if counts:
                    spent = time.process_time() - start
                    self.seconds[self.epoch, kind] += spent
                return result

        return measured

    def counting_passes(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A method of an encoder; the rows of its inputs are added up."""

        @functools.wraps(function)
        def counted(encoder: Encoder, x: torch.Tensor, *a: Any, **k: Any) -> Any:
            with self.outermost("pass") as counts:
                if counts:
                    weight = 1.0 if torch.is_grad_enabled() else FORWARD_ONLY
                    self.passes[self.epoch] += weight * len(x)
                return function(encoder, x, *a, **k)

        return counted

    def counting_rows(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A training step; the rows of its batch are added up."""

        @functools.wraps(step)
        def counted(training: Training, batch: Batch, index: int) -> Any:
            self.epoch = training.current_epoch
            self.rows[self.epoch] += len(batch.items)
            return step(training, batch, index)

        return counted


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Wrap encoders, views, steps and refreshes; restore them at the end."""
    originals: list[tuple[Any, str, Any]] = []

    def wrap(owner: Any, name: str, value: Any) -> None:
        originals.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    for encoder in _with_subclasses(Encoder):
        for name in {"forward", "last"} & set(vars(encoder)):
            wrap(encoder, name, meter.counting_passes(vars(encoder)[name]))
    wrap(Training, "training_step", meter.counting_rows(Training.training_step))
    for model in _with_subclasses(Model):
        if "refresh" in vars(model):
            wrap(model, "refresh", meter.timed(model.refresh, "refresh"))
    for owner, name, function in list(_views()):
        wrap(owner, name, meter.timed(function, "views"))
    try:
        yield
    finally:
        for owner, name, value in reversed(originals):
            setattr(owner, name, value)


def _with_subclasses(base: type) -> list[type]:
    return [base, *(c for sub in base.__subclasses__() for c in _with_subclasses(sub))]


def _views() -> Iterator[tuple[Any, str, Any]]:
    """Every function of ``graphseq.sequences`` that makes views, wherever imported."""
    folder = graphseq.sequences
    names = {module.name for module in pkgutil.iter_modules(folder.__path__)} - LOADING
    sources = {f"{folder.__name__}.{name}" for name in names}
    for source in sources:
        importlib.import_module(source)
    package = [name for name in sys.modules if name.startswith("graphseq.")]
    for module in package:
        for name, value in list(vars(sys.modules[module]).items()):
            if getattr(value, "__module__", None) not in sources:
                continue
            if inspect.isfunction(value):
                yield sys.modules[module], name, value
            elif inspect.isclass(value) and value.__module__ == module:
                for method, function in list(vars(value).items()):
                    if inspect.isfunction(function) and not method.startswith("__"):
                        yield value, method, function


@dataclass(frozen=True)
class Epoch:
    """CPU seconds, encoder passes per row, and fractions of the time."""

    seconds: float
    passes: float
    views: float
    refresh: float


def build(name: str, graph: Any, options: dict[str, Any]) -> Model:
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    return create({name: options}, *sizes)


def train(name: str, graph: Any, options: dict[str, Any]) -> list[Epoch]:
    """One epoch of each kind."""
    meter = Meter()
    with metered(meter):
        torch.manual_seed(0)
        model = build(name, graph, options)
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


def references(name: str, graph: Any) -> list[dict[str, str]]:
    """For each kind of epoch, the backbone options of the SASRec to compare with."""
    model = build(name, graph, OPTIONS.get(name, {}))
    samplers = [stage.sampler or model.sampler for stage in model.stages()]
    samplers += samplers[-1:] * (EPOCHS.get(name, 1) - len(samplers))
    loss = getattr(getattr(model, "backbone", None), "loss", "ce")
    return [
        {"sampler": "targets" if sampler == "pairs" else sampler, "loss": loss}
        for sampler in samplers
    ]


def lines(name: str, graph: Any, repeat: int) -> Iterator[str]:
    """The rows of the table for a model: one for each kind of epoch."""
    backbones = references(name, graph)
    rounds = []
    for _ in range(repeat):
        sasrec = {
            str(backbone): train("SASRec", graph, {"backbone": backbone})[0]
            for backbone in backbones
        }
        own = train(name, graph, OPTIONS.get(name, {}))
        rounds.append(([sasrec[str(backbone)] for backbone in backbones], own))
    for number, backbone in enumerate(backbones):
        epochs = [own[number] for _, own in rounds]
        ratio = statistics.median(
            own[number].seconds / sasrec[number].seconds for sasrec, own in rounds
        )
        median = {
            part: statistics.median(getattr(epoch, part) for epoch in epochs)
            for part in ("seconds", "passes", "views", "refresh")
        }
        passes = median["passes"]
        last = number == len(backbones) - 1
        cells = [
            name if last else f"{name}, epoch {number + 1}",
            f"{backbone['sampler']}, {backbone['loss']}",
            f"{median['seconds']:.2f}",
            f"{ratio:.2f}",
            f"{passes:.2f}" if passes else "–",
            f"{ratio / passes:.2f}" if passes else "–",
            f"{median['views']:.1%}",
            f"{median['refresh']:.1%}",
        ]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="Beauty.txt")
    parser.add_argument("--users", type=int, default=2000, help="use the first N users")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=[*MODELS])
    options = parser.parse_args()
    log = gs.read_log(options.path, format="sequences")
    log = log.select(log.user < options.users)
    relations = [gs.CoOccurrence("user", top_k=50), gs.CoOccurrence("item", top_k=50)]
    graph = gs.build_graph(gs.leave_one_out(log), relations)
    print(f"{log.num_users:,} users, {log.num_items:,} items, {len(log):,} events\n")
    print(
        "| model | SASRec with | CPU s per epoch | times SASRec | encoder passes | "
        "times per pass | views | refresh |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in options.only:
        if name != "POP":
            for line in lines(name, graph, options.repeat):
                print(line, flush=True)


if __name__ == "__main__":
    main()
