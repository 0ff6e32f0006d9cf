"""Create, resume and finish run folders."""

import inspect
import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch_geometric.data import HeteroData

from graphseq.atomic import write_text
from graphseq.constants import INTERACTS, USER
from graphseq.drafts import temporary_folder
from graphseq.errors import REFUSED, ConfigError, GraphError, RunError
from graphseq.folders import EXPERIMENT, RUN
from graphseq.graphs import part_of, save_graph
from graphseq.locks import hold_lock
from graphseq.models import Model
from graphseq.models.registry import part_table
from graphseq.plain_yaml import dump, parse, read_text
from graphseq.schema import Configurable, describe
from graphseq.training.options import FitOptions
from graphseq.training.provenance import environment, identity, origin
from graphseq.training.resume import check_same
from graphseq.training.run import (
    CHECKPOINT,
    FORMAT,
    GRAPH,
    HISTORY,
    WEIGHTS,
    Run,
    load_run,
    load_weights,
)

LOCK = ".lock"  # in the run folder, while a process trains in it
SIZES = ("num_users", "num_items")  # come from the graph, not from the model's options


@contextmanager
def locate(folder: str | Path | None, options: FitOptions) -> Iterator[Path]:
    """The run folder; without a name, a temporary one, which is removed.

    Raises:
        RunError: It cannot be created, or another process trains in it.
    """
    if folder is not None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"cannot create the run folder {folder}: {error.strerror}. Choose "
                "another folder"
            ) from error
        if options.is_first_process:
            with locked(Path(folder)):
                yield Path(folder)
        else:
            yield Path(folder)
    elif options.is_first_process:
        with temporary_folder() as temporary:
            yield temporary
    else:  # the first process broadcasts its folder
        yield Path()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let only this process write the run; the lock ends with the process.

    Raises:
        RunError: Another process holds the lock.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(folder / LOCK, folder))
        except (GraphError, OSError) as error:
            raise RunError(
                f"cannot train in {folder}: {error}. Runs in progress cannot be "
                "resumed or overwritten"
            ) from error
        yield


@contextmanager
def refused_writes(folder: Path) -> Iterator[None]:
    """Turn a refused write into an error of the run; earlier epochs stay as they are.

    Raises:
        RunError: The disk is full, for example.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        refused = isinstance(error, OSError) and error.errno in REFUSED
        if not refused and "os error" not in str(error):
            raise
        raise RunError(
            f"cannot write the run in {folder}: {error}. Its finished epochs are kept: "
            "free disk space, or fix the permissions, and resume it (resume=True, "
            "--resume)"
        ) from error


def find(
    folder: Path,
    model: Model,
    graph: HeteroData,
    options: FitOptions,
    *,
    resume: bool,
) -> Run | None:
    """The run to resume, if there is one.

    Raises:
        RunError: There is one that cannot be resumed.
    """
    if not (resume or options.is_first_process):
        return None
    if not (folder / RUN).is_file():
        left = [name for name in (CHECKPOINT, WEIGHTS) if (folder / name).is_file()]
        if left:
            raise RunError(
                f"{folder} contains {', '.join(left)} of a run, but no {RUN}. "
                "Restore that file from a copy, or train in another folder"
            )
        _refuse_others(folder, _experiment(model, graph, options))
        return None
    if not resume:
        raise RunError(
            f"{folder} contains a run already. Resume it with resume=True (--resume), "
            "or train in another folder"
        )
    run = load_run(folder)
    ends = options.lr_schedule is not None and options.lr_schedule.ends
    described = _experiment(model, graph, options)
    check_same(run, described, identity(graph), schedule_ends=ends)
    return run


def _refuse_others(folder: Path, experiment: Mapping[str, Any]) -> None:
    """Refuse a folder without a run whose files a run would replace.

    An equal part of an experiment file is that of a run that was killed at once.

    Raises:
        RunError: With their names.
    """
    reports = (*folder.glob("report-*.json"), *folder.glob("per-user-*.parquet"))
    found = [name for name in (GRAPH, HISTORY) if (folder / name).exists()]
    found += sorted(path.name for path in reports)
    file = folder / EXPERIMENT
    if file.is_file():
        try:
            written = parse(read_text(file), str(file))
            own = parse(dump({"train": experiment["train"]}), EXPERIMENT)
            if written["train"] != own["train"]:
                found.append(EXPERIMENT)
        except (ConfigError, KeyError, TypeError):
            found.append(EXPERIMENT)
    if found:
        raise RunError(
            f"{folder} contains {', '.join(found)} and no run ({RUN}); they would be "
            "replaced. Choose another folder (--folder)"
        )


def is_done(run: Run, options: FitOptions) -> bool:
    """Whether the run has stopped early, or has all the epochs requested."""
    if run.finished and run.record["stopped_early"]:
        return True
    return bool(run.history) and run.epochs >= options.max_epochs


def begin(
    folder: Path,
    former: Run | None,
    model: Model,
    graph: HeteroData,
    options: FitOptions,
    threads: int,
    sections: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the experiment and the record; returns the content of ``run.json``."""
    record: dict[str, Any] = {
        "format": FORMAT,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "resumed_after": [],
        "seed": options.seed,
        "graph": identity(graph),
        "environment": environment(
            options.accelerator, threads, options.usable_precision()
        ),
        "best_epoch": 0,
        "stopped_early": False,
        "times": [],
    }
    if options.start is not None and former is None:
        record["started_from"] = origin(load_run(options.start))
    if former is not None:
        now, earlier = record["environment"], former.record.get("resumed_in", [])
        record = former.record | {
            "resumed_after": [*former.record["resumed_after"], former.epochs]
        }
        if changed := _changed([former.record["environment"], *earlier][-1], now):
            record["resumed_in"] = [*earlier, now]
            if options.is_first_process:
                warnings.warn(
                    f"the run in {folder} is resumed with other {', '.join(changed)}; "
                    "it can end otherwise than an uninterrupted one",
                    stacklevel=3,
                )
    record["finished"] = False
    if options.is_first_process:
        own = _experiment(model, graph, options)
        kept = {**sections, **own, "graph": sections.get("graph", own["graph"])}
        _write_experiment(folder, kept)
        _write_record(folder, record)
        for old in (*folder.glob("report-*.json"), *folder.glob("per-user-*.parquet")):
            old.unlink()  # they describe weights that training may replace
    return record


def _changed(former: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of an environment is another than before: versions, and the commit."""
    before, after = (each.get("versions") or {} for each in (former, now))
    names = [n for n in after if n in before and before[n] != after[n]]
    found = [f"versions of {', '.join(names)}"] if names else []
    if former.get("commit") != now.get("commit"):
        found.append("code (its commit, or changes of it)")
    return found


def check_stored(model: Model, options: FitOptions) -> None:
    """Refuse a model that could not be created again from its run folder.

    Raises:
        ConfigError: An option is a function, or a class has the name of another one
            that files know; or users are left out, and the model ranks with a vector of
            each user, or with their events.
    """
    if found := [*_functions(model), *_functions(options.lr_schedule)]:
        raise ConfigError(
            f"a function is an option, {found[0]}, which the run folder could not "
            "create again. Write a class, such as a subclass of Augmentation, and "
            "register it (graphseq.models.PARTS[name] = class), or make the option a "
            "name, such as activation='gelu'"
        )
    for part in _parts(model):
        name = type(part).__name__
        known = part_table().get(name)
        if known is not None and known is not type(part):
            raise ConfigError(
                f"the model has a {name} of {type(part).__module__}, and its run "
                f"folder would create the {name} of {known.__module__} again. Rename "
                f"your class, or register it: graphseq.models.PARTS[{name!r}] = {name}"
            )
    if options.keep_histories:
        return
    reason = "has a vector of each user" if model.has_user_embeddings else ""
    if any(USER in relation for relation in model.ranks_with):
        reason = "ranks with the users' events"
    if reason:
        raise ConfigError(
            f"keep_histories=False leaves the users out of the run folder, and "
            f"{type(model).__name__} {reason}. Keep the histories, or use a model that "
            "reads only the history, such as SASRec"
        )


def store_graph(
    folder: Path, model: Model, graph: HeteroData, options: FitOptions
) -> None:
    """Write the part of the graph that using the model needs.

    Raises:
        GraphError: The system refuses to write it.
    """
    if options.is_first_process:
        relations = set(model.ranks_with) - {INTERACTS}
        part = part_of(graph, relations, users=options.keep_histories)
        save_graph(part, folder / GRAPH)


def discard(folder: Path, options: FitOptions) -> None:
    """Remove the files of a run that failed before its first epoch ended."""
    if options.is_first_process and not (folder / HISTORY).is_file():
        shutil.rmtree(folder / GRAPH, ignore_errors=True)
        for name in (RUN, EXPERIMENT, CHECKPOINT):
            (folder / name).unlink(missing_ok=True)


def end(folder: Path, model: Model, options: FitOptions) -> Run:
    """Load the best weights into the model, and mark the run as finished."""
    run = load_run(folder)
    load_weights(model, run.weights_file)
    model.eval()
    run.record["finished"] = True
    if options.is_first_process:
        _write_record(folder, run.record)
    return run


def _experiment(model: Model, graph: HeteroData, options: FitOptions) -> dict[str, Any]:
    """Everything that determines the run, as YAML data."""
    ((name, settings),) = describe(model).items()
    return {
        "graph": describe(graph.provenance if "provenance" in graph else {}),
        "model": {name: _without_sizes(settings)},
        "train": options.describe(),
    }


def _without_sizes(options: Any) -> Any:
    """The options without U and V, also within parts."""
    if isinstance(options, list):
        return [_without_sizes(option) for option in options]
    if not isinstance(options, dict):
        return options
    return {k: _without_sizes(v) for k, v in options.items() if k not in SIZES}


def _functions(value: Any) -> Iterator[str]:
    """Names of the functions in the options of parts, which no file can name."""
    if isinstance(value, Configurable):
        yield from _functions(value.options)
    elif isinstance(value, Mapping):
        yield from (name for inner in value.values() for name in _functions(inner))
    elif isinstance(value, list | tuple):
        yield from (name for inner in value for name in _functions(inner))
    elif inspect.isfunction(value):
        yield value.__qualname__


def _parts(value: Any) -> Iterator[Configurable]:
    """A part, and those in its options."""
    if isinstance(value, Configurable):
        yield value
        yield from _parts(value.options)
    elif isinstance(value, Mapping):
        yield from (part for inner in value.values() for part in _parts(inner))
    elif isinstance(value, list | tuple):
        yield from (part for inner in value for part in _parts(inner))


def _write_experiment(folder: Path, experiment: dict[str, Any]) -> None:
    try:
        text = dump(experiment)
    except ConfigError as error:
        raise ConfigError(
            f"an option of the model or of fit cannot be written as YAML, so the run "
            f"could not be repeated from its folder: {error}. Pass numbers, texts, "
            "lists, dicts, or objects of Configurable classes"
        ) from error
    write_text(folder / EXPERIMENT, text)


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    write_text(folder / RUN, json.dumps(record, indent=2) + "\n")
