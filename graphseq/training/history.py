"""The history of a run: metrics of every epoch, the best one, and early stopping."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from torch import nn

from graphseq.atomic import write_text
from graphseq.folders import RUN
from graphseq.training.checkpoint import write_tensors
from graphseq.training.run import HISTORY, WEIGHTS

STATE = ("rows", "times", "best_epoch", "best", "since", "ended")


class TrainingHistory:
    """Collects the row of each epoch, and selects the best.

    Args:
        folder: The run folder.
        record: Content of ``run.json``; times and the best epoch are added to it.
        monitor: Metric that selects the best epoch; ``None``: the newest is the best.
        patience: Evaluations without improvement before training stops.
        callbacks: Called with the row of each epoch; True ends the training.
        warmup: Epochs that do not count against patience.
    """

    def __init__(
        self,
        folder: Path,
        record: dict[str, Any],
        *,
        monitor: str | None,
        patience: int | None,
        callbacks: Sequence[Callable[[Mapping[str, Any]], object]] = (),
        warmup: int = 0,
    ) -> None:
        self.folder = folder
        self.record = record
        self.monitor = monitor
        self.patience = patience
        self.callbacks = callbacks
        self.ended = False
        self.warmup = warmup
        self.rows: list[dict[str, Any]] = []
        self.times: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best: float | None = None
        self.since = 0
        self.start()

    def start(self) -> None:
        """Start the clocks of an epoch."""
        self.started = (time.perf_counter(), time.process_time())

    def add(self, row: dict[str, Any]) -> bool:
        """Add an epoch's row; returns whether its weights are the best so far."""
        wall, cpu = self.started
        seconds = round(time.perf_counter() - wall, 3)
        cpu_seconds = round(time.process_time() - cpu, 3)
        self.times.append({"seconds": seconds, "cpu_seconds": cpu_seconds})
        self.rows.append(row)
        answers = [callback(dict(row)) for callback in self.callbacks]
        self.ended = any(isinstance(a, bool | np.bool_) and a for a in answers)
        return self._select(row)

    def complete(self, metrics: Mapping[str, float]) -> bool:
        """Add metrics to the newest row; returns whether its weights are the best."""
        self.rows[-1] |= metrics
        return self._select(self.rows[-1])

    def _select(self, row: Mapping[str, Any]) -> bool:
        value = row.get(self.monitor) if self.monitor else float(row["epoch"])
        if value is None:  # not evaluated in this epoch
            return False
        if self.best is not None and value <= self.best:
            self.since += row["epoch"] > self.warmup
            return False
        self.best, self.best_epoch, self.since = value, row["epoch"], 0
        return True

    @property
    def lacks_metrics(self) -> bool:
        """Whether a callback has ended the training in an epoch without metrics."""
        return self.ended and bool(self.monitor) and self.monitor not in self.rows[-1]

    @property
    def stopped(self) -> bool:
        """Whether patience is exhausted, or a callback has ended the training."""
        if self.ended:
            return True
        return self.patience is not None and self.since >= self.patience

    def write(self, model: nn.Module, *, improved: bool) -> None:
        """Write the weights if they are the best so far, the history and the record."""
        if improved:
            header = {"epoch": self.best_epoch, self.monitor or "epoch": self.best}
            write_tensors(self.folder / WEIGHTS, model.state_dict(), header)
        names = dict.fromkeys(name for row in self.rows for name in row)
        schema = {name: pl.Float64 for name in names} | {"epoch": pl.Int64}
        frame = pl.DataFrame(self.rows, schema=schema)
        write_text(self.folder / HISTORY, frame.write_csv())
        self.record |= {
            "best_epoch": self.best_epoch,
            "stopped_early": self.stopped,
            "times": self.times,
        }
        write_text(self.folder / RUN, json.dumps(self.record, indent=2) + "\n")

    def line(self) -> str:
        """The newest row as a line of text."""
        row = self.rows[-1]
        parts = [f"epoch {row['epoch']:>3}"]
        shown = [name for name in ("loss", self.monitor) if name in row]
        parts += [f"{name} {row[name]:.4f}" for name in shown]
        parts.append(f"{self.times[-1]['seconds']:.1f} s")
        if self.monitor and row["epoch"] == self.best_epoch:
            parts.append("best so far")
        return "  ".join(parts)

    def state(self) -> dict[str, Any]:
        """The state to save in a checkpoint."""
        return {name: getattr(self, name) for name in STATE}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the history from a checkpoint."""
        for name, value in {"ended": False, **state}.items():  # older ones lack it
            setattr(self, name, value)
        # A run of an earlier version that a callback ended before it had weights.
        self.ended = self.ended and self.best_epoch > 0
