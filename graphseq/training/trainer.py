"""The Lightning trainer as graphseq uses it: no pickle, no litter, no noise."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.callbacks import Checkpoint, TQDMProgressBar
from lightning.pytorch.loggers import (
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.plugins.precision import DoublePrecision
from lightning.pytorch.strategies import StrategyRegistry

from graphseq.errors import ConfigError, suggest
from graphseq.training.checkpoint import load_state, save_state
from graphseq.training.history import TrainingHistory
from graphseq.training.module import Training
from graphseq.training.run import CHECKPOINT

LOGGERS: dict[str, Callable[[str], Logger]] = {
    "tensorboard": lambda folder: TensorBoardLogger(folder, name="tensorboard"),
    "wandb": lambda folder: WandbLogger(save_dir=folder),
    "mlflow": lambda folder: MLFlowLogger(tracking_uri=f"file:{folder}/mlflow"),
}
TALKERS = {
    "lightning.pytorch": logging.WARNING,
    "lightning.fabric": logging.WARNING,
    "torch._dynamo": logging.ERROR,  # which operations it leaves to eager mode
}
NOISE = (
    "The '.*dataloader' does not have many workers",  # a batch is cheap: none is right
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # Lightning 2.6 on torch 2.13
)


class Recorder(Checkpoint):
    """Writes a run's files at the end of an epoch, and says when to stop.

    The checkpoint is written last. A run that is killed before goes on from the
    checkpoint of the epoch before, trains the epoch again, and writes the same files
    again. Every process keeps the journal; the first one writes it.

    Stopping early is decided here and not by Lightning's ``EarlyStopping``, which would
    train one epoch more where a run is resumed that had just decided to stop.
    """

    def __init__(self, journal: TrainingHistory) -> None:
        self.journal = journal

    def state_dict(self) -> dict[str, Any]:
        """The journal goes into the checkpoint."""
        return self.journal.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The journal goes on from the checkpoint."""
        self.journal.restore(state_dict)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Tell every process where the run folder is."""
        self.journal.folder = trainer.strategy.broadcast(self.journal.folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the initial weights, so that a kill in the first epoch loses nothing."""
        if not self.journal.rows:
            trainer.save_checkpoint(self.journal.folder / CHECKPOINT)
        trainer.should_stop = self.journal.stopped

    def on_train_epoch_start(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> None:
        """Start the clocks."""
        self.journal.start()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch down, then the checkpoint."""
        assert isinstance(pl_module, Training)
        improved = self.journal.add(pl_module.row)
        if trainer.is_global_zero:
            self.journal.write(pl_module.model, improved=improved)
            if trainer.progress_bar_callback is not None:
                trainer.progress_bar_callback.print(self.journal.line())
        trainer.save_checkpoint(self.journal.folder / CHECKPOINT)
        trainer.should_stop = self.journal.stopped


class Bar(TQDMProgressBar):
    """A bar an epoch, with the mean losses so far and the last validation metric.

    Where the output is no terminal, only the lines of the epochs are printed.
    """

    @property
    def is_disabled(self) -> bool:
        """No bar in a file: each of its states would be a line there."""
        return super().is_disabled or not sys.stdout.isatty()

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar, or plainly."""
        try:
            if self.is_disabled:
                print(*args, flush=True)
            else:
                super().print(*args, **kwargs)
        except BrokenPipeError:  # whoever read the lines, such as head, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Losses by name, and the monitored metric."""
        assert isinstance(pl_module, Training)
        monitor = pl_module.options["monitor"]
        last = {k: v for k, v in pl_module.row.items() if k == monitor}
        shown = {**pl_module.mean_losses(), **last}
        return {name: f"{value:.4f}" for name, value in shown.items()}

    def init_train_tqdm(self) -> Any:
        """The bar vanishes when training ends; the lines of the epochs stay."""
        bar = super().init_train_tqdm()
        bar.leave = False
        return bar

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Count epochs from one."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1:>3}")


class Doubled(DoublePrecision):
    """Weights in float64; batches hold ids alone and stay as they are."""

    def convert_input(self, data: Any) -> Any:
        """The batch itself."""
        return data


class SafeCheckpointIO(CheckpointIO):
    """Checkpoints as safetensors and JSON (:mod:`graphseq.training.checkpoint`)."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint, replacing the last one at once."""
        save_state(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; its tensors are on the CPU."""
        return load_state(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def make_trainer(folder: Path, recorder: Recorder, options: dict[str, Any]) -> Trainer:
    """A trainer for options of :func:`graphseq.fit`."""
    return Trainer(
        **_machine(options),
        max_epochs=options["max_epochs"],
        gradient_clip_val=options["gradient_clip"],
        callbacks=[recorder, *([Bar(refresh_rate=10)] if options["progress"] else [])],
        plugins=[SafeCheckpointIO(), *([Doubled()] * _doubled(options))],
        logger=_loggers(options["loggers"], folder) or False,
        log_every_n_steps=1,
        enable_progress_bar=options["progress"],
        enable_model_summary=False,
        use_distributed_sampler=False,  # the loader takes its rank's share
        reload_dataloaders_every_n_epochs=1,  # an epoch has its own number of batches
        default_root_dir=folder,
    )


def try_trainer(options: Mapping[str, Any]) -> None:
    """Learn whether there can be a trainer for options of :func:`graphseq.fit`.

    Raises:
        ConfigError: There is no such device, strategy, precision or logger here.
    """
    accelerator, strategy = options["accelerator"], options["strategy"]
    here = _here()
    if accelerator not in ("auto", *here):
        raise ConfigError(
            f"accelerator {accelerator!r} is not on this machine; there are "
            f"{', '.join(here)}; leave it out (auto)"
        )
    if strategy != "auto" and strategy not in StrategyRegistry:
        known = ["auto", *StrategyRegistry.available_strategies()]
        raise ConfigError(
            f"there is no strategy {strategy!r}; {suggest(strategy, known)}"
        )
    with tempfile.TemporaryDirectory(prefix="graphseq-") as folder, quiet():
        _loggers(options["loggers"], Path(folder))
        try:
            Trainer(
                **_machine(options),
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=folder,
            )
        except (MisconfigurationException, ValueError, TypeError) as error:
            named = ("accelerator", "devices", "strategy", "precision")
            said = ", ".join(f"{name} {options[name]!r}" for name in named)
            raise ConfigError(f"nothing can be trained with {said}: {error}") from error


def _machine(options: Mapping[str, Any]) -> dict[str, Any]:
    """On what to train, in Lightning's words."""
    accelerator = options["accelerator"]
    if accelerator == "auto":  # Lightning's picks MPS, which has no sparse products
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    return {
        "accelerator": accelerator,
        "devices": options["devices"],
        "strategy": options["strategy"],
        "precision": None
        if _doubled(options)
        else options["precision"].replace("bf16-softmax", "32-true"),
    }


def _doubled(options: Mapping[str, Any]) -> bool:
    return bool(options["precision"] == "64-true")


def _here() -> list[str]:
    """The accelerators of this machine; ``gpu`` is Lightning's word for two kinds."""
    kinds = AcceleratorRegistry.available_accelerators()
    here = [k for k in kinds if AcceleratorRegistry[k]["accelerator"].is_available()]
    return sorted([*here, *["gpu"] * bool({"cuda", "mps"} & {*here})])


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is said about matters that are settled here."""
    loggers = [logging.getLogger(name) for name in TALKERS]
    levels = [logger.level for logger in loggers]
    for logger, least in zip(loggers, TALKERS.values(), strict=True):
        logger.setLevel(max(logger.level, least))
    try:
        with warnings.catch_warnings():
            for message in NOISE:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _loggers(asked: Sequence[Any], folder: Path) -> list[Logger]:
    """Lightning loggers, by name or ready made."""
    return [
        _named(logger, folder) if isinstance(logger, str) else logger
        for logger in asked
    ]


def _named(name: str, folder: Path) -> Logger:
    if name not in LOGGERS:
        raise ConfigError(
            f"loggers are {[*LOGGERS]} or Lightning logger objects; found {name!r}. "
            "history.csv is written in any case"
        )
    try:
        return LOGGERS[name](str(folder))
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the logger {name!r} needs a package that is not installed: "
            f"pip install {name}"
        ) from error
