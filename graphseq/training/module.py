"""The one Lightning module: any model, on one graph.

Importing this file imports Lightning; :func:`graphseq.fit` does so when it is called.
"""

import copy
import math
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader
from torch_geometric.data import HeteroData

from graphseq.errors import RunError
from graphseq.models import Model
from graphseq.sequences import Batch, SequenceLoader
from graphseq.training.validation import validate


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
        self.losses = model.losses
        if options["compile"]:
            self.losses = torch.compile(model.losses, dynamic=True)
        self.loader: SequenceLoader | None = None
        self.row: dict[str, Any] = {}
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, fused: on the CPU 9 times faster than torch's default there.

        The exception is clipping under 16-bit loss scaling, which a fused step cannot
        be given.
        """
        options = self.options
        scaled = options["precision"] == "16-mixed" and options["gradient_clip"]
        return torch.optim.Adam(
            [weight for weight in self.parameters() if weight.requires_grad],
            lr=options["lr"],
            weight_decay=options["weight_decay"],
            fused=not scaled,
        )

    def on_fit_start(self) -> None:
        """Give the device a graph of its own; the caller's stays where it is."""
        if self.device.type != "cpu":
            self.graph = copy.copy(self.home).to(self.device)

    def train_dataloader(self) -> DataLoader[Batch]:
        """The next epoch's batches. Lightning asks anew before every epoch."""
        options, model = self.options, self.model
        if self.loader is None:
            self.loader = SequenceLoader(
                self.home,
                model.sampler,
                options["batch_size"],
                model.max_length,
                seed=options["seed"],
                num_negatives=model.num_negatives,
                rank=self.trainer.global_rank,
                world=self.trainer.world_size,
            )
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        self.loader.set_epoch(progress.processed)
        return DataLoader(
            self.loader,
            batch_size=None,  # an element is a batch already
            collate_fn=_as_is,
            num_workers=options["workers"],
            generator=torch.Generator(),  # or it would draw from the model's numbers
        )

    def on_train_epoch_start(self) -> None:
        """Start the epoch's own random numbers."""
        key = (self.options["seed"], self.current_epoch, self.global_rank)
        state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(state) % 2**63)
        self.sums, self.steps = {}, 0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The sum of the model's loss terms; each is also added to the epoch's."""
        terms = self.losses(batch, self.graph)
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + term.detach()
        self.steps += 1
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
        if options["monitor"] and (last or epoch % options["evaluate_every"] == 0):
            self.row |= self._validate()
        numbers = {name: value for name, value in self.row.items() if name != "epoch"}
        self.log_dict(numbers, sync_dist=True, batch_size=1)

    def mean_losses(self, *, reduce: bool = False) -> dict[str, float]:
        """Means over the epoch's batches so far: their sum, then each term.

        Args:
            reduce: Over all processes, too (then all must call).
        """
        if not self.steps:
            return {}
        means = torch.stack([*self.sums.values()]) / self.steps
        if reduce:
            means = self.trainer.strategy.reduce(means, reduce_op="mean")
        terms = dict(zip(self.sums, means.tolist(), strict=True))
        return {"loss": sum(terms.values()), **terms}

    def _validate(self) -> dict[str, float]:
        """Validation metrics; the first process ranks, the others hear of it."""
        metrics: dict[str, float] = {}
        if self.trainer.is_global_zero:
            metrics = validate(self.model, self.graph, self.options)
        heard: dict[str, float] = self.trainer.strategy.broadcast(metrics)
        return heard


def _as_is(batch: Any) -> Any:
    return batch
