"""What happens at the end of an epoch, and what is seen of it.

Importing this file imports Lightning; :func:`graphseq.fit` does so when it is called.
"""

import os
import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, TQDMProgressBar

from graphseq.training.journal import Journal
from graphseq.training.module import Training
from graphseq.training.run import CHECKPOINT


class Recorder(Checkpoint):
    """Writes a run's files at the end of an epoch, and says when to stop.

    The checkpoint is written last. A run that is killed before goes on from the
    checkpoint of the epoch before, trains the epoch again, and writes the same files
    again. Every process keeps the journal; the first one writes it.

    Stopping early is decided here and not by Lightning's ``EarlyStopping``, which would
    train one epoch more where a run is resumed that had just decided to stop.
    """

    def __init__(self, journal: Journal) -> None:
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
