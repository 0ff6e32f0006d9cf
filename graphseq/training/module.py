"""The one Lightning module: any model, on one graph.

Importing this file imports Lightning; :func:`graphseq.fit` does so when it is called.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader
from torch_geometric.data import HeteroData

from graphseq.errors import RunError
from graphseq.evaluation import evaluate
from graphseq.models import Model, Stage, Step
from graphseq.objectives import products_in
from graphseq.sequences import Batch, SequenceLoader
from graphseq.training.options import METRIC


class Training(LightningModule):
    """Runs a model's losses, and ranks the validation users after an epoch.

    Everything random in an epoch follows from (seed, epoch, rank), so that a run which
    goes on from the end of an epoch cannot be told from one that never stopped.

    Args:
        model: The model; its parameters are trained in place.
        graph: Where its sequences and relations come from; left on its device.
        options: Those of :func:`graphseq.fit`, resolved.

    Attributes:
        row: The epoch's row of the history, once the epoch has ended.
    """

    def __init__(
        self, model: Model, graph: HeteroData, options: dict[str, Any]
    ) -> None:
        super().__init__()
        self.model = model
        self.options = options
        self.home = graph  # batches are cut on the CPU
        self.graph = graph  # the device's own, once there is one
        self.plan = model.stages()
        self.compiled: dict[Step, Any] = {}
        self.loaders: dict[Stage, SequenceLoader] = {}
        self.automatic_optimization = len(self.turns()) == 1
        self.row: dict[str, Any] = {}
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    @property
    def stage(self) -> Stage:
        """The stage of the current epoch."""
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        return stage_of(self.plan, progress.processed)

    def turns(self) -> list[tuple[Stage, tuple[str, ...] | None]]:
        """What needs an optimiser of its own: each stage's sets of parameters."""
        sets = [(stage, step.parameters) for stage in self.plan for step in stage.steps]
        return list(dict.fromkeys(sets))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam, fused: on the CPU 9 times faster than torch's default there.

        The exception is clipping under 16-bit loss scaling, which a fused step cannot
        be given.
        """
        options = self.options
        scaled = options["precision"] == "16-mixed" and options["gradient_clip"]
        moved = [Step(self.model.losses, names).moves for _, names in self.turns()]
        return [
            torch.optim.Adam(
                [
                    weight
                    for name, weight in self.model.named_parameters()
                    if weight.requires_grad and moves(name)
                ],
                lr=options["lr"],
                weight_decay=options["weight_decay"],
                fused=not scaled,
            )
            for moves in moved
        ]

    def on_fit_start(self) -> None:
        """Give the device a graph of its own; the caller's stays where it is."""
        if self.device.type != "cpu":
            self.graph = copy.copy(self.home).to(self.device)
        with torch.no_grad():
            self.model.catalogue(self.graph)  # or it would not fit the graph's items

    def train_dataloader(self) -> DataLoader[Batch]:
        """The next epoch's batches. Lightning asks anew before every epoch."""
        options, model, stage = self.options, self.model, self.stage
        if stage not in self.loaders:
            self.loaders[stage] = SequenceLoader(
                self.home,
                stage.sampler or model.sampler,
                stage.batch_size or options["batch_size"],
                model.max_length,
                seed=options["seed"],
                num_negatives=model.num_negatives,
                rank=self.trainer.global_rank,
                world=self.trainer.world_size,
            )
        loader = self.loaders[stage]
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        loader.set_epoch(progress.processed)
        return DataLoader(
            loader,
            batch_size=None,  # an element is a batch already
            collate_fn=_as_is,
            num_workers=options["workers"],
            generator=torch.Generator(),  # or it would draw from the model's numbers
        )

    def on_train_epoch_start(self) -> None:
        """Start the epoch's own random numbers; let the model renew what it keeps."""
        key = (self.options["seed"], self.current_epoch, self.global_rank)
        state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(state) % 2**63)
        self.sums, self.counts = {}, {}
        self.model.eval()
        with torch.no_grad():
            self.model.refresh(self.graph, self.current_epoch)
        self.model.train()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate, which follows from the epoch and the step alone."""
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress
        rate = learning_rate(self.options, self.current_epoch, progress.total.completed)
        for optimiser in self.trainer.optimizers:
            for group in optimiser.param_groups:
                group["lr"] = rate

    def training_step(self, batch: Batch, index: int) -> Tensor | None:
        """The sum of the model's loss terms; each is also added to the epoch's.

        Where the model has several optimisers, the steps are taken here.
        """
        stage = self.stage
        if self.automatic_optimization:
            return self._loss(stage.steps[0], batch)
        optimisers: Any = self.optimizers()
        turns = self.turns()
        for step in stage.steps:
            optimiser = optimisers[turns.index((stage, step.parameters))]
            with _moving(self.model, step):
                optimiser.zero_grad()
                self.manual_backward(self._loss(step, batch))
                if self.options["gradient_clip"]:
                    self.clip_gradients(optimiser, self.options["gradient_clip"])
                optimiser.step()
        return None

    def _loss(self, step: Step, batch: Batch) -> Tensor:
        """The sum of a step's terms."""
        losses = step.losses
        if self.options["compile"]:
            compiled = self.compiled.get(step)
            losses = compiled or torch.compile(losses, dynamic=True)
            self.compiled[step] = losses
        low = self.options["precision"] == "bf16-softmax"
        with products_in(torch.bfloat16 if low else None):
            terms = losses(batch, self.graph)
        if not isinstance(terms, dict) or not terms:
            raise RunError(
                f"{type(self.model).__name__}.losses gives the terms of its loss by "
                f"name, such as {{'next_item': a number}}; found {terms!r}"
            )
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + term.detach()
            self.counts[name] = self.counts.get(name, 0) + 1
        return torch.stack([*terms.values()]).sum()

    def on_train_epoch_end(self) -> None:
        """Close the epoch's row: mean losses, and metrics if it is their turn."""
        epoch, options = self.current_epoch + 1, self.options
        last = epoch == options["max_epochs"]
        self.row = {"epoch": epoch, **self.mean_losses(reduce=True)}
        if not math.isfinite(self.row["loss"]):
            raise RunError(
                f"the loss became {self.row['loss']} in epoch {epoch}: "
                f"{self.row}. Lower lr (now {options['lr']}) or set gradient_clip"
            )
        due = last or epoch % options["evaluate_every"] == 0
        final = stage_of(self.plan, self.current_epoch) is self.plan[-1]
        if options["monitor"] and due and final:
            self.row |= self._validate()
        numbers = {name: value for name, value in self.row.items() if name != "epoch"}
        self.log_dict(numbers, sync_dist=True, batch_size=1)

    def mean_losses(self, *, reduce: bool = False) -> dict[str, float]:
        """Means over the epoch's batches so far: their sum, then each term.

        Args:
            reduce: Over all processes, too (then all must call).
        """
        if not self.sums:
            return {}
        each = [total / self.counts[name] for name, total in self.sums.items()]
        means = torch.stack(each)
        if reduce:
            means = self.trainer.strategy.reduce(means, reduce_op="mean")
        terms = dict(zip(self.sums, means.tolist(), strict=True))
        return {"loss": sum(terms.values()), **terms}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What the model keeps between epochs goes into the checkpoint."""
        checkpoint["memory"] = dict(self.model.epoch_state)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The model has again what it kept."""
        self.model.epoch_state = checkpoint["memory"]

    def _validate(self) -> dict[str, float]:
        """Validation metrics; the first process ranks, the others hear of it."""
        metrics: dict[str, float] = {}
        if self.trainer.is_global_zero:
            metrics = validate(self.model, self.graph, self.options)
        heard: dict[str, float] = self.trainer.strategy.broadcast(metrics)
        return heard


def _as_is(batch: Any) -> Any:
    return batch


def learning_rate(options: dict[str, Any], epoch: int, step: int) -> float:
    """Adam's learning rate in an epoch, and after so many steps of the run."""
    decayed = options["lr_decay"] ** (epoch // options["lr_decay_every"])
    risen = min(1.0, (step + 1) / max(1, options["lr_warmup"]))
    return float(options["lr"] * decayed * risen)


def stage_of(plan: tuple[Stage, ...], epoch: int) -> Stage:
    """The stage of an epoch; the first epoch is 0."""
    for stage in plan[:-1]:
        epoch -= stage.epochs or 0
        if epoch < 0:
            return stage
    return plan[-1]


@contextmanager
def _moving(model: Model, step: Step) -> Iterator[None]:
    """Let only a step's parameters have gradients; afterwards all that had."""
    still = [
        weight
        for name, weight in model.named_parameters()
        if weight.requires_grad and not step.moves(name)
    ]
    for weight in still:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in still:
            weight.requires_grad_(True)


def validate(
    model: Model, graph: HeteroData, options: dict[str, Any]
) -> dict[str, float]:
    """Metrics of the validation users, at the list length of the monitored one.

    Args:
        model: The model.
        graph: The graph, on the model's device.
        options: Of :func:`graphseq.fit`; ``monitor`` and ``history`` are read.
    """
    named = METRIC.fullmatch(options["monitor"])
    k = int(named[2]) if named and named[2] else 10
    history = options["history"]
    report = evaluate(model, graph, "validation", ks=(k,), history=history)
    return dict(report[history])
