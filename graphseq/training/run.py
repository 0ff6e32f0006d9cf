"""A training run: its folder on disk, and what can be asked of it."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from torch_geometric.data import HeteroData

from graphseq.errors import RunError
from graphseq.evaluation import Report
from graphseq.graphs import graph_hash
from graphseq.models import Model, create
from graphseq.training.checkpoint import read_tensors

EXPERIMENT = "experiment.yaml"
RECORD = "run.json"
HISTORY = "history.csv"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, repr=False)
class Run:
    """What came out of :func:`graphseq.fit`.

    Attributes:
        folder: The run folder; ``None`` if nothing was kept.
        experiment: Model, graph and training options, all resolved (YAML data).
        record: Seed, versions, commit, device, hashes, times (JSON data).
        history: One row an epoch: ``epoch`` (from 1), ``loss`` and its terms as means
            over the epoch's batches, and the validation metrics, ``None`` in epochs
            that were not evaluated. A model that is not trained has one row, epoch 0.
    """

    folder: Path | None
    experiment: dict[str, Any]
    record: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best(self) -> dict[str, Any]:
        """The row of the history whose weights were kept.

        Raises:
            RunError: No epoch has been evaluated yet.
        """
        epoch = self.record["best_epoch"]
        for row in self.history:
            if row["epoch"] == epoch:
                return row
        raise RunError(
            f"asked for the best of {self.epochs} epochs, none of which has been "
            "evaluated yet. Go on with the run (resume=True)"
        )

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    @property
    def times(self) -> list[dict[str, float]]:
        """Of each epoch, evaluation included: ``seconds`` (wall) and ``cpu_seconds``.

        CPU seconds are those of this process and its threads, not of data workers.
        """
        times: list[dict[str, float]] = self.record["times"]
        return times

    @property
    def seconds(self) -> float:
        """Wall seconds of all epochs."""
        return sum(row["seconds"] for row in self.times)

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all epochs."""
        return sum(row["cpu_seconds"] for row in self.times)

    @property
    def finished(self) -> bool:
        """Whether training came to its end."""
        return bool(self.record["finished"])

    @cached_property
    def report(self) -> Report:
        """The test report that ``evaluate(..., folder=run.folder)`` saved.

        Raises:
            RunError: If there is none.
        """
        return Report.load(self._kept("the report"))

    def model(self, graph: HeteroData | None = None) -> Model:
        """The trained model, rebuilt from its options and its best weights.

        Args:
            graph: If given, refused unless it is the graph trained on.
        """
        folder = self._kept("the weights")
        if graph is not None:
            self.check(graph)
        size = self.record["graph"]
        model = create(self.experiment["model"], size["num_users"], size["num_items"])
        weights, _ = read_tensors(folder / WEIGHTS)
        model.load_state_dict(weights)
        return model.eval()

    def check(self, graph: HeteroData) -> None:
        """Refuse a graph other than the one trained on.

        Raises:
            RunError: If the hashes differ.
        """
        trained, found = self.record["graph"]["hash"], graph_hash(graph)
        if trained != found:
            raise RunError(
                f"{self.folder or 'this run'} was trained on the graph {trained:.12}, "
                f"and this is the graph {found:.12}. Build it with the options that "
                f"stand in {EXPERIMENT} under 'graph', or train a new run"
            )

    def __repr__(self) -> str:
        (name,) = self.experiment["model"]
        state = "finished" if self.finished else "unfinished"
        best = "no epoch evaluated yet"
        with suppress(RunError):
            known = {k: v for k, v in self.best.items() if v is not None}  # its stage's
            best = "  ".join(f"{key} {_short(value)}" for key, value in known.items())
        return (
            f"Run({name}, {self.epochs} epochs, {state}, {self.cpu_seconds:.0f} CPU s"
            f"{f', {self.folder}' if self.folder else ''})\n  best: {best}"
        )

    def _kept(self, what: str) -> Path:
        if self.folder is None:
            raise RunError(
                f"asked for {what} of a run that kept no folder. Give one: "
                'fit(model, graph, folder="runs/…")'
            )
        return self.folder


def load_run(folder: str | Path) -> Run:
    """Read a run folder; nothing in it is executed or unpickled.

    Raises:
        RunError: If there is no such folder, or it holds no run, or a damaged one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder")
    if not (folder / RECORD).is_file():
        raise RunError(f"{folder} holds no run: {RECORD} is not there")
    try:
        experiment = yaml.safe_load((folder / EXPERIMENT).read_text("utf-8"))
        record = json.loads((folder / RECORD).read_text("utf-8"))
        history = _read_history(folder / HISTORY)
        return Run(folder, dict(experiment), dict(record), history)
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise _damaged(folder, error) from error
    except pl.exceptions.PolarsError as error:
        raise _damaged(folder, error) from error


def _read_history(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    frame = pl.read_csv(path, infer_schema=False)
    types = {name: pl.Float64 for name in frame.columns} | {"epoch": pl.Int64}
    return frame.cast(types).to_dicts()  # type: ignore[arg-type]


def _damaged(folder: Path, error: Exception) -> RunError:
    return RunError(
        f"the run in {folder} is damaged ({type(error).__name__}: {error}). Restore "
        "the folder from a copy, or train again in a new one"
    )


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
