"""What a run has come to: its history, its best epoch, its times; and their files."""

import json
import time
from pathlib import Path
from typing import Any

import polars as pl
from torch import nn

from graphseq.atomic import write_text
from graphseq.training.checkpoint import write_tensors
from graphseq.training.run import HISTORY, RECORD, WEIGHTS

STATE = ("rows", "times", "best_epoch", "best", "since")


class TrainingHistory:
    """Rows of the history, and which of them is the best.

    Args:
        folder: The run folder.
        record: What stands in ``run.json``; times and the best epoch are added to it.
        monitor: Metric that says which epoch is best; ``None``: the newest is.
        patience: Evaluations without a better one after which to stop.
        warmup: Epochs during which patience is not tried.
    """

    def __init__(
        self,
        folder: Path,
        record: dict[str, Any],
        *,
        monitor: str | None,
        patience: int | None,
        warmup: int = 0,
    ) -> None:
        self.folder = folder
        self.record = record
        self.monitor = monitor
        self.patience = patience
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
        """Take in an epoch's row; returns whether its weights are the best so far."""
        wall, cpu = self.started
        seconds = round(time.perf_counter() - wall, 3)
        cpu_seconds = round(time.process_time() - cpu, 3)
        self.times.append({"seconds": seconds, "cpu_seconds": cpu_seconds})
        self.rows.append(row)
        value = row.get(self.monitor) if self.monitor else float(row["epoch"])
        if value is None:  # not evaluated in this epoch
            return False
        if self.best is not None and value <= self.best:
            self.since += row["epoch"] > self.warmup
            return False
        self.best, self.best_epoch, self.since = value, row["epoch"], 0
        return True

    @property
    def stopped(self) -> bool:
        """Whether nothing has become better for as long as patience lasts."""
        return self.patience is not None and self.since >= self.patience

    def write(self, model: nn.Module, *, improved: bool) -> None:
        """Write the weights if they are the best so far, the history and the record."""
        if improved:
            words = {"epoch": self.best_epoch, self.monitor or "epoch": self.best}
            write_tensors(self.folder / WEIGHTS, model.state_dict(), words)
        names = dict.fromkeys(name for row in self.rows for name in row)
        schema = {name: pl.Float64 for name in names} | {"epoch": pl.Int64}
        frame = pl.DataFrame(self.rows, schema=schema)
        write_text(self.folder / HISTORY, frame.write_csv())
        self.record |= {
            "best_epoch": self.best_epoch,
            "stopped_early": self.stopped,
            "times": self.times,
        }
        write_text(self.folder / RECORD, json.dumps(self.record, indent=2) + "\n")

    def line(self) -> str:
        """The newest row, for people."""
        row = self.rows[-1]
        shown = [
            f"{name} {row[name]:.4f}" for name in ("loss", self.monitor) if name in row
        ]
        best = (
            ["best so far"] if self.monitor and row["epoch"] == self.best_epoch else []
        )
        time = f"{self.times[-1]['seconds']:.1f} s"
        return "  ".join([f"epoch {row['epoch']:>3}", *shown, time, *best])

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {name: getattr(self, name) for name in STATE}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        for name in STATE:
            setattr(self, name, state[name])
