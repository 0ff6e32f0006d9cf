"""The Lightning trainer: no pickle, no files outside the run folder, no noise.

Importing this file imports Lightning; :func:`graphseq.fit` does so when it is called.
"""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry, CPUAccelerator
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

from graphseq.drafts import temporary_folder
from graphseq.errors import ConfigError, suggest
from graphseq.runtime import is_quiet
from graphseq.training.checkpoint import load_state, save_state
from graphseq.training.history import TrainingHistory
from graphseq.training.module import Training
from graphseq.training.options import FitOptions
from graphseq.training.run import CHECKPOINT

LOGGERS: dict[str, Callable[[str], Logger]] = {
    "tensorboard": lambda folder: TensorBoardLogger(folder, name="tensorboard"),
    "wandb": lambda folder: WandbLogger(save_dir=folder),
    "mlflow": lambda folder: MLFlowLogger(  # MLflow 3 refuses files
        tracking_uri=f"sqlite:///{Path(folder).resolve()}/mlflow.db",
        artifact_location=f"{Path(folder).resolve()}/mlflow",
    ),
}
LOG_LEVELS = {
    "lightning.pytorch": logging.WARNING,
    "lightning.fabric": logging.WARNING,
    "torch._dynamo": logging.ERROR,  # reports operations that remain in eager mode
}
IGNORED_WARNINGS = (
    "The '.*dataloader' does not have many workers",  # batches are cheap to make
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # Lightning 2.6 on torch 2.13
)


class Recorder(Checkpoint):
    """Writes a run's files at the end of an epoch, and stops early.

    The checkpoint is written last. A run killed before that resumes from the checkpoint
    of the previous epoch, trains the epoch again, and writes the same files again.
    Every process keeps the history; the first one writes it.

    Early stopping is decided here, since Lightning's ``EarlyStopping`` would train one
    more epoch if a run is resumed that had just decided to stop.
    """

    def __init__(self, history: TrainingHistory) -> None:
        self.history = history

    def state_dict(self) -> dict[str, Any]:
        """Save the history in the checkpoint."""
        return self.history.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the history from a checkpoint."""
        self.history.restore(state_dict)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Broadcast the run folder to every process."""
        self.history.folder = trainer.strategy.broadcast(self.history.folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the initial weights, so that a run killed in epoch 1 can resume."""
        if not self.history.rows:
            trainer.save_checkpoint(self.history.folder / CHECKPOINT)
        trainer.should_stop = self.history.stopped

    def on_train_epoch_start(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> None:
        """Start the clocks."""
        self.history.start()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's row, then the checkpoint."""
        assert isinstance(pl_module, Training)
        improved = self.history.add(pl_module.row)
        if self.history.lacks_metrics:  # the last epoch is always evaluated
            improved = self.history.complete(pl_module.metrics())
        if trainer.is_global_zero:
            self.history.write(pl_module.model, improved=improved)
            if trainer.progress_bar_callback is not None:
                trainer.progress_bar_callback.print(self.history.line())
        trainer.save_checkpoint(self.history.folder / CHECKPOINT)
        trainer.should_stop = self.history.stopped


class ProgressBar(TQDMProgressBar):
    """A bar for each epoch, with the mean losses and the last validation metric.

    If the output is not a terminal, only a line for each epoch is printed.
    """

    @property
    def is_disabled(self) -> bool:
        """No bar in a file, where each update would add a line."""
        return super().is_disabled or not sys.stdout.isatty()

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar, or without one."""
        try:
            if self.is_disabled:
                print(*args, flush=True)
            else:
                super().print(*args, **kwargs)
        except BrokenPipeError:  # the reader, such as head, has exited
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError:  # the disk of a file is full; training goes on without the line
            pass

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Losses by name, and the monitored metric."""
        assert isinstance(pl_module, Training)
        monitor = pl_module.options.monitor
        last = {k: v for k, v in pl_module.row.items() if k == monitor}
        shown = {**pl_module.mean_losses(), **last}
        return {name: f"{value:.4f}" for name, value in shown.items()}

    def init_train_tqdm(self) -> Any:
        """Remove the bar when training ends; the lines of the epochs remain."""
        bar = super().init_train_tqdm()
        bar.leave = False
        return bar

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Count epochs from one."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1:>3}")


class Float64(DoublePrecision):
    """Weights in float64; batches, which hold only ids, are not converted."""

    def convert_input(self, data: Any) -> Any:
        """The batch itself."""
        return data


class SafeCheckpointIO(CheckpointIO):
    """Checkpoints as safetensors and JSON (:mod:`graphseq.training.checkpoint`)."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Replace the checkpoint atomically."""
        save_state(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; its tensors are on the CPU."""
        return load_state(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def make_trainer(folder: Path, recorder: Recorder, training: Training) -> Trainer:
    """A trainer for a module, with the module's options."""
    options = training.options
    clips = training.automatic_optimization  # otherwise the module clips
    progress = options.progress and not is_quiet()
    bar = [ProgressBar(refresh_rate=10)] if progress else []
    float64 = [Float64()] if options.precision == "64-true" else []
    return Trainer(
        **_machine(options),
        max_epochs=options.max_epochs,
        gradient_clip_val=options.gradient_clip if clips else None,
        callbacks=[recorder, *bar],
        plugins=[SafeCheckpointIO(), *float64],
        logger=_loggers(options.loggers, folder) or False,
        log_every_n_steps=1,
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,  # the loader yields the batches of its rank
        reload_dataloaders_every_n_epochs=1,  # the number of batches varies
        default_root_dir=folder,
    )


def try_trainer(options: FitOptions) -> None:
    """Check that this machine has the devices, strategy, precision and loggers.

    Raises:
        ConfigError: It does not.
    """
    available = _accelerators()
    if options.accelerator not in ("auto", *available):
        raise ConfigError(
            f"accelerator {options.accelerator!r} is not on this machine; there are "
            f"{', '.join(available)}; leave it out (auto)"
        )
    strategy = options.strategy
    if strategy != "auto" and strategy not in StrategyRegistry:
        known = ["auto", *StrategyRegistry.available_strategies()]
        raise ConfigError(f"unknown strategy {strategy!r}; {suggest(strategy, known)}")
    machine = _machine(options)
    if machine["accelerator"] == "cpu" and options.precision == "16-mixed":
        raise ConfigError(
            "precision '16-mixed' needs a GPU, and this run is on the CPU. Choose "
            "32-true, or bf16-mixed on a processor with bfloat16 instructions"
        )
    with temporary_folder() as folder, quiet():
        _loggers(options.loggers, folder)
        try:
            found = Trainer(
                **machine,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=folder,
            )
        except (MisconfigurationException, ValueError, TypeError) as error:
            names = ("accelerator", "devices", "strategy", "precision")
            shown = ", ".join(f"{name} {getattr(options, name)!r}" for name in names)
            raise ConfigError(f"cannot train with {shown}: {error}") from error
    cores = max(2, os.cpu_count() or 1)
    if isinstance(found.accelerator, CPUAccelerator) and found.num_devices > cores:
        raise ConfigError(
            f"devices {options.devices!r} would start {found.num_devices:,} processes "
            f"on the {cores} cores of this machine. Lower devices, or leave it out (1)"
        )


def _machine(options: FitOptions) -> dict[str, Any]:
    """Devices and precision as arguments of Lightning's trainer."""
    accelerator = options.accelerator
    if accelerator == "auto":  # Lightning would pick MPS, without sparse products
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    precision = {"64-true": None, "bf16-softmax": "32-true"}
    return {
        "accelerator": accelerator,
        "devices": options.devices,
        "strategy": options.strategy,
        "precision": precision.get(options.precision, options.precision),
    }


def _accelerators() -> list[str]:
    """The accelerators of this machine; ``gpu`` is Lightning's name for two kinds."""
    kinds = AcceleratorRegistry.available_accelerators()
    here = [k for k in kinds if AcceleratorRegistry[k]["accelerator"].is_available()]
    return sorted([*here, *["gpu"] * bool({"cuda", "mps"} & {*here})])


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress messages of Lightning and torch about matters that are handled here."""
    loggers = [logging.getLogger(name) for name in LOG_LEVELS]
    former = [logger.level for logger in loggers]
    for logger, level in zip(loggers, LOG_LEVELS.values(), strict=True):
        logger.setLevel(max(logger.level, level))
    try:
        with warnings.catch_warnings():
            for message in IGNORED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, former, strict=True):
            logger.setLevel(level)


def _loggers(loggers: Sequence[Any], folder: Path) -> list[Logger]:
    """Lightning loggers; those given by name are created.

    Raises:
        ConfigError: They are not a list of names and loggers.
    """
    if isinstance(loggers, str):
        raise ConfigError(f"loggers is a list, as in [{loggers!r}]")
    others = [each for each in loggers if not isinstance(each, str | Logger)]
    if others:
        raise ConfigError(
            f"loggers are {[*LOGGERS]} or Lightning logger objects; found "
            f"{type(others[0]).__name__}"
        )
    return [
        _make_logger(logger, folder) if isinstance(logger, str) else logger
        for logger in loggers
    ]


def _make_logger(name: str, folder: Path) -> Logger:
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
