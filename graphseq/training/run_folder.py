"""A run folder's life: found or begun, gone on with, ended."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from torch_geometric.data import HeteroData

from graphseq.atomic import write_text
from graphseq.errors import ConfigError, RunError
from graphseq.models import Model
from graphseq.schema import describe
from graphseq.training.checkpoint import read_tensors
from graphseq.training.provenance import environment, identity
from graphseq.training.run import (
    CHECKPOINT,
    EXPERIMENT,
    HISTORY,
    RECORD,
    WEIGHTS,
    Run,
    load_run,
)

FORMAT = 1
FREE = ("max_epochs", "progress", "workers", "threads", "loggers")
SIZES = ("num_users", "num_items")  # the graph says these, not the model's options


def is_first(options: Mapping[str, Any]) -> bool:
    """Whether this is the first of the processes that train together, which writes.

    With one device it trains alone, whatever started it and others like it.
    """
    return options["devices"] in (1, "1") or all(
        os.environ.get(name, "0") == "0"
        for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    )


@contextmanager
def place(folder: str | Path | None, options: Mapping[str, Any]) -> Iterator[Path]:
    """The run folder; without a name, a temporary one, which is removed.

    Raises:
        RunError: It cannot be made.
    """
    if folder is not None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"asked to keep a run in {folder}, and no folder can be made there: "
                f"{error.strerror}. Choose another folder"
            ) from error
        yield Path(folder)
    elif is_first(options):
        with tempfile.TemporaryDirectory(prefix="graphseq-") as temporary:
            yield Path(temporary)
    else:  # the first process will say
        yield Path()


def look(
    folder: Path,
    model: Model,
    graph: HeteroData,
    options: dict[str, Any],
    *,
    resume: bool,
) -> Run | None:
    """The run to go on with, if there is one.

    Raises:
        RunError: If there is one that must not be gone on with.
    """
    if not (resume or is_first(options)):
        return None
    if not (folder / RECORD).is_file():
        left = [name for name in (CHECKPOINT, WEIGHTS) if (folder / name).is_file()]
        if left:
            raise RunError(
                f"{folder} holds what is left of a run ({', '.join(left)}), but no "
                f"{RECORD}. Restore that from a copy, or train in another folder"
            )
        return None
    if not resume:
        raise RunError(
            f"{folder} holds a run already. Go on with it with resume=True (--resume), "
            "or train in another folder"
        )
    run = load_run(folder)
    check_same(run, _experiment(model, graph, options), identity(graph))
    return run


def is_done(run: Run, options: dict[str, Any]) -> bool:
    """Whether nothing is left to train; more epochs than it had may be asked for."""
    if run.finished and run.record["stopped_early"]:
        return True
    return bool(run.history) and run.epochs >= options["max_epochs"]


def begin(
    folder: Path,
    before: Run | None,
    model: Model,
    graph: HeteroData,
    options: dict[str, Any],
    threads: int,
    sections: Mapping[str, Any],
) -> dict[str, Any]:
    """Write down what is about to be trained; returns what stands in ``run.json``."""
    record: dict[str, Any] = {
        "format": FORMAT,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "resumed_after": [],
        "seed": options["seed"],
        "graph": identity(graph),
        "environment": environment(options, threads),
        "best_epoch": 0,
        "stopped_early": False,
        "times": [],
    }
    if before is not None:
        record = before.record | {
            "resumed_after": [*before.record["resumed_after"], before.epochs]
        }
    record["finished"] = False
    if is_first(options):
        for old in (*folder.glob("report-*.json"), *folder.glob("per-user-*.parquet")):
            old.unlink()  # of weights that may not be the best for long
        own = _experiment(model, graph, options)
        kept = {**sections, **own, "graph": sections.get("graph", own["graph"])}
        _write_experiment(folder, kept)
        write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")
    return record


def forget(folder: Path, options: Mapping[str, Any]) -> None:
    """Give a folder free in which nothing has been trained yet."""
    if is_first(options) and not (folder / HISTORY).is_file():
        for name in (RECORD, EXPERIMENT, CHECKPOINT):
            (folder / name).unlink(missing_ok=True)


def end(folder: Path, model: Model, options: Mapping[str, Any]) -> Run:
    """Give the model its best weights and mark the run as finished."""
    weights, _ = read_tensors(folder / WEIGHTS)
    model.load_state_dict(weights)
    model.eval()
    run = load_run(folder)
    run.record["finished"] = True
    if is_first(options):
        write_text(folder / RECORD, json.dumps(run.record, indent=2) + "\n")
    return run


def _experiment(
    model: Model, graph: HeteroData, options: dict[str, Any]
) -> dict[str, Any]:
    """Everything that shapes the run, as YAML data."""
    ((name, settings),) = describe(model).items()
    settings = _without_sizes(settings)
    loggers = [str(getattr(logger, "name", logger)) for logger in options["loggers"]]
    return {
        "graph": describe(graph.provenance if "provenance" in graph else {}),
        "model": {name: settings},
        "train": describe(options | {"loggers": loggers}),
    }


def _without_sizes(options: Any) -> Any:
    """The options without U and V, those of parts included."""
    if not isinstance(options, dict):
        return options
    return {k: _without_sizes(v) for k, v in options.items() if k not in SIZES}


def _write_experiment(folder: Path, experiment: dict[str, Any]) -> None:
    try:
        text = yaml.safe_dump(experiment, sort_keys=False)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"an option of the model or of fit is not data, so the run could not be "
            f"repeated from its folder: {error}. Pass numbers, words, lists, dicts, or "
            "objects of classes that record their options"
        ) from error
    write_text(folder / EXPERIMENT, text)


def check_same(
    run: Run, experiment: Mapping[str, Any], graph: Mapping[str, Any]
) -> None:
    """Refuse to resume a run as something else; what does not shape it is free.

    Args:
        run: The run in the folder.
        experiment: Model and options asked for.
        graph: Identity of the graph asked for.

    Raises:
        RunError: Listing every difference.
    """
    found = [
        *_models(run.experiment["model"], experiment["model"]),
        *_differences("train", run.experiment["train"], experiment["train"]),
        *_differences("graph", run.record["graph"], graph),
    ]
    free = {f"train.{name}" for name in FREE}
    lines = [
        f"the run is of {theirs}, this file of {ours}"
        if where == "model"
        else f"{where}: the run has {theirs!r}, asked for {ours!r}"
        for where, theirs, ours in found
        if where not in free
    ]
    if lines:
        raise RunError(
            f"{run.folder} holds a run of something else:\n  "
            + "\n  ".join(lines)
            + "\nResume it with what it has, or train in a new folder"
        )


def _models(
    theirs: Mapping[str, Any], ours: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Differences of the models: their names, or else their options."""
    if [*theirs] == [*ours]:
        yield from _differences("model", theirs, ours)
    else:
        yield "model", ", ".join(theirs), ", ".join(ours)


def _differences(where: str, theirs: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
    """Places in which two nested dicts differ."""
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        if theirs != ours:
            yield where, theirs, ours
        return
    for key in dict.fromkeys([*theirs, *ours]):
        yield from _differences(f"{where}.{key}", theirs.get(key), ours.get(key))
