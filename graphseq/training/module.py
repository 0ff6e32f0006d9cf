"""The Lightning module: trains any model on one graph.

Importing this file imports Lightning; :func:`graphseq.fit` does so when it is called.
"""

import copy
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn import Parameter
from torch.utils.data import ConcatDataset, DataLoader
from torch_geometric.data import HeteroData

from graphseq.errors import RunError
from graphseq.evaluation import evaluate
from graphseq.models import Model, Stage, Step
from graphseq.objectives import products_in
from graphseq.runtime import release_freed_memory
from graphseq.sequences import Batch, SequenceLoader
from graphseq.training.monitor import list_length, measured
from graphseq.training.options import FitOptions

STEPS_BETWEEN_RELEASES = 10


class Training(LightningModule):
    """Runs a model's losses, and ranks the validation users after an epoch.

    Everything random in an epoch follows from (seed, epoch, rank). So a run resumed
    after an epoch equals an uninterrupted one.

    Args:
        model: The model; its parameters are trained in place.
        graph: Source of its sequences and relations; remains on its device.
        options: Options of the run.

    Attributes:
        row: The epoch's row of the history, once the epoch has ended.
    """

    def __init__(self, model: Model, graph: HeteroData, options: FitOptions) -> None:
        super().__init__()
        self.model = model
        self.options = options
        self.cpu_graph = graph  # batches are made on the CPU
        self.graph = graph  # on_fit_start copies it to the device
        self.plan = model.stages()
        self.parameter_groups: list[list[Parameter]] = []  # one an optimiser
        self.group_of: dict[tuple[Stage, Step], int] = {}
        self._group_parameters()
        one_step = all(len(stage.steps) == 1 for stage in self.plan)
        self.automatic_optimization = one_step and len(self.parameter_groups) == 1
        self.compiled: dict[Step, Any] = {}
        self.loaders: dict[Stage, SequenceLoader] = {}
        self.row: dict[str, Any] = {}
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def _group_parameters(self) -> None:
        """One optimiser for every distinct set of parameters in a stage."""
        groups: dict[tuple[Stage, tuple[int, ...]], int] = {}
        for stage in self.plan:
            for step in stage.steps:
                parameters = step.trains(self.model)
                key = stage, tuple(map(id, parameters))
                if key not in groups:
                    groups[key] = len(groups)
                    self.parameter_groups.append(parameters)
                self.group_of[stage, step] = groups[key]

    @property
    def stage(self) -> Stage:
        """The stage of the current epoch."""
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        return stage_of(self.plan, progress.processed)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam, fused: on the CPU 9 times faster than torch's default there.

        The exception is clipping under 16-bit loss scaling, which fused steps do not
        support.
        """
        options = self.options
        scaled = options.precision == "16-mixed" and options.gradient_clip
        return [
            torch.optim.Adam(
                parameters,
                lr=options.lr,
                weight_decay=options.weight_decay,
                fused=not scaled,
            )
            for parameters in self.parameter_groups
        ]

    def on_fit_start(self) -> None:
        """Copy the graph to the device; the caller's graph stays where it is."""
        if self.device.type != "cpu":
            self.graph = copy.copy(self.cpu_graph).to(self.device)
        with torch.no_grad():
            self.model.catalogue(self.graph)  # checks the number of item vectors

    def train_dataloader(self) -> DataLoader[Batch]:
        """The next epoch's batches. Lightning calls this before every epoch."""
        options, model, stage = self.options, self.model, self.stage
        if stage not in self.loaders:
            self.loaders[stage] = SequenceLoader(
                self.cpu_graph,
                stage.sampler or model.sampler,
                stage.batch_size or options.batch_size,
                model.max_length,
                seed=options.seed,
                num_negatives=model.num_negatives,
                empty_history=model.empty_history,
                leaky_negatives=model.leaky_negatives,
                rank=self.trainer.global_rank,
                world=self.trainer.world_size,
            )
        loader = self.loaders[stage]
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        loader.set_epoch(progress.processed)
        return DataLoader(
            ConcatDataset([loader] * stage.passes),
            batch_size=None,  # the loader's elements are batches
            collate_fn=_identity,
            num_workers=options.workers,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
            generator=torch.Generator(),  # keeps the global generator unchanged
        )

    def on_train_epoch_start(self) -> None:
        """Seed the epoch, and let the model refresh its state if the stage reads it."""
        key = (self.options.seed, self.current_epoch, self.global_rank)
        state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(state) % 2**63)
        self.sums, self.counts = {}, {}
        if stage_of(self.plan, self.current_epoch).refreshed:
            self.model.eval()
            with torch.no_grad():
                self.model.refresh(self.graph, self.current_epoch)
        self.model.train()

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Prepare the batch on the CPU, where the stage does."""
        stage = self.stage
        return stage.prepare(batch) if stage.prepare and stage.on_host else batch

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Copy the batch while the device works on the last one."""
        return batch.to(device, non_blocking=True)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate, a function of the epoch and the step."""
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress
        step = progress.total.completed
        epoch, epochs = self.current_epoch, self.options.max_epochs
        stage = self.stage
        steps = stage.passes * len(self.loaders[stage])
        schedule = self.options.lr_schedule
        if schedule is not None and schedule.each_stage:
            first, after = span_of(self.plan, epoch, epochs)
            epoch, epochs = epoch - first, after - first
            step = epoch * steps + batch_idx
        rate = self.options.learning_rate(epoch, step, batch_idx / steps, epochs)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def training_step(self, batch: Batch, index: int) -> Tensor | None:
        """The sum of the loss terms; with several optimisers, take the steps here."""
        stage = self.stage
        if stage.prepare and not stage.on_host:
            batch = stage.prepare(batch)
        if self.automatic_optimization:
            return self._loss(stage.steps[0], batch)
        found: Any = self.optimizers()
        optimizers = found if isinstance(found, list) else [found]
        steps = stage.steps
        if stage.whole_passes:
            steps = (steps[index // len(self.loaders[stage])],)
        for step in steps:
            group = self.group_of[stage, step]
            optimizer = optimizers[group]
            with trainable_only(self.model, self.parameter_groups[group]):
                optimizer.zero_grad()
                self.manual_backward(self._loss(step, batch))
                if self.options.gradient_clip:
                    self.clip_gradients(optimizer, self.options.gradient_clip)
                optimizer.step()
        return None

    def _loss(self, step: Step, batch: Batch) -> Tensor:
        """The sum of a step's terms; each is also added to the epoch's sums."""
        losses = step.losses
        if self.options.compile:
            if step not in self.compiled:
                self.compiled[step] = torch.compile(losses, dynamic=True)
            losses = self.compiled[step]
        low = self.options.precision == "bf16-softmax"
        with products_in(torch.bfloat16 if low else None):
            terms = losses(batch, self.graph)
        if not isinstance(terms, dict) or not terms:
            raise RunError(
                f"{type(self.model).__name__}.losses must return loss terms by name, "
                f"such as {{'next_item': tensor}}; found {terms!r}"
            )
        for name, term in terms.items():
            if not (isinstance(term, Tensor) and not term.dim()):
                found = list(term.shape) if isinstance(term, Tensor) else repr(term)
                raise RunError(
                    f"the loss term {name!r} of {type(self.model).__name__} must be a "
                    f"tensor with one number, such as a mean; found {found}"
                )
        if taken := terms.keys() & {"epoch", "loss", self.options.monitor}:
            raise _taken_names(self.model, taken)
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + term.detach()
            self.counts[name] = self.counts.get(name, 0) + 1
        return torch.stack([*terms.values()]).sum()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Bound the memory that is kept but not used."""
        if batch_idx % STEPS_BETWEEN_RELEASES == 0:
            release_freed_memory()

    def on_train_epoch_end(self) -> None:
        """Complete the epoch's row: mean losses, and metrics if they are due."""
        epoch, options = self.current_epoch + 1, self.options
        self.row = {"epoch": epoch, **self.mean_losses(reduce=True)}
        if not math.isfinite(self.row["loss"]):
            raise RunError(
                f"the loss became {self.row['loss']} in epoch {epoch}: {self.row}. "
                f"Lower lr (now {options.lr}) or set gradient_clip"
            )
        is_due = epoch == options.max_epochs or epoch % options.evaluate_every == 0
        is_final = stage_of(self.plan, self.current_epoch) is self.plan[-1]
        if options.monitor and is_due and is_final:
            self.row |= self.metrics()
        if options.loggers:
            numbers = {
                name: value for name, value in self.row.items() if name != "epoch"
            }
            self.log_dict(numbers, sync_dist=True, batch_size=1)

    def mean_losses(self, *, reduce: bool = False) -> dict[str, float]:
        """Means over the epoch's batches so far: their sum, then each term.

        Args:
            reduce: Also over all processes; then all must call it.
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
        """Save the state that the model keeps between epochs."""
        checkpoint["epoch_state"] = dict(self.model.epoch_state)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state that the model keeps between epochs.

        Lightning loads the weights before it changes the precision of the module.

        Raises:
            RunError: The tensors have other names, so that the state of Adam is not
                theirs.
        """
        if checkpoint["state_dict"].keys() != self.state_dict().keys():
            raise RunError(
                f"this run of {type(self.model).__name__} cannot be resumed: an "
                "earlier version of graphseq began it, whose tensors have other names. "
                "Resume it with that version, or start another run from its best "
                "weights (start=RUN, --start RUN)"
            )
        if self.options.precision == "64-true":
            self.double()
        self.model.epoch_state = checkpoint["epoch_state"]

    def metrics(self) -> dict[str, float]:
        """Validation metrics: evaluated on rank 0, then broadcast.

        Raises:
            RunError: A term of the loss has the name of one.
        """
        metrics: dict[str, float] = {}
        if self.trainer.is_global_zero:
            metrics = validate(self.model, self.graph, self.options)
        metrics = self.trainer.strategy.broadcast(metrics)
        if taken := metrics.keys() & self.sums.keys():
            raise _taken_names(self.model, taken)
        return metrics


def _taken_names(model: Model, names: Collection[Any]) -> RunError:
    listed = ", ".join(sorted(map(str, names)))
    return RunError(
        f"the history of a run has columns epoch, loss and the validation metrics, and "
        f"{type(model).__name__}.losses has a term of the same name: {listed}. Rename "
        "the term"
    )


def _identity(batch: Any) -> Any:
    return batch


def validate(model: Model, graph: HeteroData, options: FitOptions) -> dict[str, float]:
    """Metrics of the validation users, at the list length of the monitored metric.

    Args:
        model: The model.
        graph: The graph, on the model's device.
        options: Options of the run; ``monitor`` and ``history`` are used.
    """
    ks = (list_length(options.monitor),)
    report = evaluate(model, graph, "validation", ks=ks, history=options.history)
    metrics = dict(report[options.history])
    if options.measure is not None:
        assert options.monitor is not None
        metrics[options.monitor] = measured(options.measure, options.monitor, report)
    return metrics


def stage_of(plan: tuple[Stage, ...], epoch: int) -> Stage:
    """The stage of an epoch; the first epoch is 0."""
    for stage in plan[:-1]:
        epoch -= stage.epochs or 0
        if epoch < 0:
            return stage
    return plan[-1]


def span_of(plan: tuple[Stage, ...], epoch: int, max_epochs: int) -> tuple[int, int]:
    """The first epoch of an epoch's stage, and the first after the stage."""
    first = 0
    for stage in plan[:-1]:
        after = first + (stage.epochs or 0)
        if epoch < after:
            return first, after
        first = after
    return first, max_epochs


@contextmanager
def trainable_only(model: Model, parameters: list[Parameter]) -> Iterator[None]:
    """Let only the given parameters have gradients; restore the others afterwards."""
    chosen = set(map(id, parameters))
    frozen = [
        weight
        for weight in model.parameters()
        if weight.requires_grad and id(weight) not in chosen
    ]
    for weight in frozen:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(True)
