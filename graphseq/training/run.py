"""A training run, loaded from its folder."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError, GraphError, RunError, quantity
from graphseq.evaluation import Report
from graphseq.folders import EXPERIMENT, RUN, check_run
from graphseq.graphs import load_graph, whole_hash
from graphseq.models import Model, create
from graphseq.models.ensemble import Trained
from graphseq.plain_yaml import parse, read_text
from graphseq.training.checkpoint import read_tensors
from graphseq.training.run_content import check_content
from graphseq.training.schedules import replace_former_options

HISTORY = "history.csv"
GRAPH = "graph"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.safetensors"
FORMAT = 2  # of a run folder; version 0.1 wrote format 1


@dataclass(frozen=True, repr=False)
class Run(Trained):
    """The result of :func:`graphseq.fit`.

    Attributes:
        folder: The run folder; ``None`` if nothing was saved.
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
        """The row of the history whose weights were saved.

        Raises:
            RunError: No epoch has been evaluated yet.
        """
        epoch = self.record["best_epoch"]
        for row in self.history:
            if row["epoch"] == epoch:
                return row
        raise RunError(
            f"none of the {self.epochs} epochs has been evaluated yet, so none "
            "is the best. Resume the run (resume=True)"
        )

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    @property
    def times(self) -> list[dict[str, float]]:
        """Wall ``seconds`` and ``cpu_seconds`` of each epoch, evaluation included.

        CPU seconds cover this process and its threads, not the data workers.
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
        """Whether training is complete."""
        return bool(self.record["finished"])

    @cached_property
    def report(self) -> Report:
        """The test report that ``evaluate(..., folder=run.folder)`` saved.

        Raises:
            RunError: There is none.
        """
        return Report.load(self._folder_with("the report"))

    def model(self, graph: HeteroData | None = None) -> Model:
        """The trained model, rebuilt from its options and best weights.

        Args:
            graph: If given, it must be the graph that the model was trained on.
        """
        self._folder_with("the weights")
        if graph is not None:
            self.check(graph)
        size = self.record["graph"]
        model = create(self.experiment["model"], size["num_users"], size["num_items"])
        load_weights(model, self.weights_file)
        return model.eval()

    @property
    def weights_file(self) -> Path:
        """The file of the best weights.

        Raises:
            RunError: No epoch has been evaluated yet, so there is none.
        """
        path = self._folder_with("the weights") / WEIGHTS
        if not path.is_file() and not self.finished and not self.record["best_epoch"]:
            raise RunError(
                f"the run in {self.folder} has no weights yet: of its "
                f"{quantity(self.epochs, 'epoch')}, none has been evaluated. Resume it "
                "(resume=True, --resume)"
            )
        return path

    def graph(self) -> HeteroData:
        """The graph in the run folder: what ranking with the model reads.

        It has the ids and events of users and items, the held-out events, and the
        relations that the model ranks with. A run with ``keep_histories=False`` has
        nothing of the users. Its hash is that of the graph trained on.

        Raises:
            RunError: The folder has none, a damaged one, or that of another run.
        """
        folder = self._folder_with("the graph") / GRAPH
        if not folder.is_dir():
            raise RunError(
                f"{self.folder} has no graph: this run was made before runs "
                "kept their graph. Give the folder of the graph or of the data "
                "(--graph, --data), or train again"
            )
        try:
            graph = load_graph(folder)
        except GraphError as error:
            reason = str(error).removesuffix(" Build the graph again.")
            raise RunError(
                f"the graph of the run in {self.folder} cannot be read: {reason} "
                "Restore the folder from a copy, or give the folder of the graph "
                "(--graph)"
            ) from error
        self.check(graph)
        return graph

    def check(self, graph: HeteroData) -> None:
        """Refuse any graph but the one trained on, or the part of it in the folder.

        Raises:
            RunError: The hashes differ.
        """
        trained, found = self.record["graph"]["hash"], whole_hash(graph)
        if trained != found:
            raise RunError(
                f"{self.folder or 'this run'} was trained on the graph {trained:.12}, "
                f"and this is the graph {found:.12}. Build it with the options in "
                f"{EXPERIMENT} under 'graph', or train a new run"
            )

    def __repr__(self) -> str:
        (name,) = self.experiment["model"]
        state = "finished" if self.finished else "unfinished"
        best = "no epoch evaluated yet"
        with suppress(RunError):
            known = {
                k: v for k, v in self.best.items() if v is not None
            }  # of its stage
            best = "  ".join(f"{key} {_short(value)}" for key, value in known.items())
        return (
            f"Run({name}, {quantity(self.epochs, 'epoch')}, {state}, "
            f"{self.cpu_seconds:.0f} CPU s"
            f"{f', {self.folder}' if self.folder else ''})\n  best: {best}"
        )

    def _folder_with(self, content: str) -> Path:
        if self.folder is None:
            raise RunError(
                f"this run has no folder with {content}. Train with one: "
                'fit(model, graph, folder="runs/…")'
            )
        return self.folder


def load_run(folder: str | Path) -> Run:
    """Read a run folder; nothing in it is executed or unpickled.

    Raises:
        RunError: The folder is missing, or contains no run, a damaged one, or one of
            version 0.1.
    """
    folder = Path(folder)
    check_run(folder)
    try:
        experiment = parse(read_text(folder / EXPERIMENT), EXPERIMENT)
        record = dict(json.loads((folder / RUN).read_text("utf-8")))
        if (found := record.get("format", 1)) != FORMAT:
            raise _other_format(folder, found)
        history = _read_history(folder / HISTORY)
        experiment = dict(experiment)
        check_content(experiment, record, EXPERIMENT)
        experiment["train"] = replace_former_options(experiment["train"])
        return Run(folder, experiment, record, history)
    except (OSError, ValueError, TypeError, RecursionError, ConfigError) as error:
        raise _damaged(folder, error) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _damaged(folder, error) from error


def load_weights(model: Model, path: Path) -> None:
    """Load saved weights into a model.

    Raises:
        RunError: They are damaged, or of another model.
    """
    weights, _ = read_tensors(path)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"{path} contains the weights of another model than {EXPERIMENT} in its "
            f"folder describes: {error}. Restore both files from a copy"
        ) from error


def _read_history(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    frame = pl.read_csv(path, infer_schema=False, glob=False)
    types = {name: pl.Float64 for name in frame.columns} | {"epoch": pl.Int64}
    return frame.cast(types).to_dicts()  # type: ignore[arg-type]


def _other_format(folder: Path, found: Any) -> RunError:
    if found == 1:
        return RunError(
            f"the run in {folder} is of graphseq 0.1, whose weights this version "
            "cannot load: translate its experiment file as the page 'Migrate from 0.1' "
            "describes, and train again"
        )
    return RunError(
        f"the run in {folder} has the format {found!r}, and this version of graphseq "
        f"reads format {FORMAT}. Load it with the version that wrote it"
    )


def _damaged(folder: Path, error: Exception) -> RunError:
    return RunError(
        f"the run in {folder} is damaged ({type(error).__name__}: {error}). Restore "
        "the folder from a copy, or train again in a new one"
    )


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
