"""Search for the options of an experiment with the best validation metric."""

import copy
import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from graphseq.atomic import write_text
from graphseq.config.experiment import Experiment, check
from graphseq.config.fingerprint import fingerprint
from graphseq.config.space import check_space, settings
from graphseq.config.yaml import override
from graphseq.constants import INTERACTS
from graphseq.errors import ConfigError, GraphSeqError
from graphseq.graphs import held_out_hash
from graphseq.locks import hold_lock
from graphseq.plain_yaml import dump
from graphseq.training.requirements import epochs_before_last_stage

STUDY, BEST, TRIALS = "study.db", "best.yaml", "trials.csv"
OF_TRAINING = ("model", "train", "evaluate")
STARTUP = 5  # complete trials before one may be pruned
MOST_FAILURES = 10  # one after the other, before a search ends
WARMUP = 3  # epochs of all losses that are never pruned


@dataclass(frozen=True)
class Trial:
    """One combination of values.

    Attributes:
        number: From 0, in the order in which the trials began.
        state: ``complete``, ``pruned`` or ``failed``.
        value: The best validation metric; of a pruned trial, until it was stopped.
        values: The options that were varied.
    """

    number: int
    state: str
    value: float | None
    values: Mapping[str, Any]


def tune(
    experiment: Experiment,
    *,
    trials: int,
    folder: str | Path,
    prune: bool = True,
    root: str | Path | None = None,
    report: Callable[[Trial, Trial], None] | None = None,
) -> list[Trial]:
    """Try combinations of options, and write the best as an experiment.

    The search is Optuna's TPE. A trial that is below the median of the earlier ones at
    the same epoch is stopped (pruned), but not in the first epochs in which all of its
    losses are trained. The graph of a trial has no test part, so that
    the test part is neither ranked nor read. A search that was interrupted continues
    where it stopped; another trial takes the place of the one that was
    running. A trial that fails is recorded with a warning.

    Args:
        experiment: The experiment; its section ``tune`` says what varies.
        trials: Number of trials, those of an earlier call in this folder included.
        folder: Folder of the study: ``study.db`` (SQLite), ``trials.csv``, and
            ``best.yaml``, an experiment for ``graphseq train``.
        prune: Whether hopeless trials are stopped.
        root: Folder of the data sets.
        report: Called after each trial with it and the best so far.

    Returns:
        All trials, in their order.

    Raises:
        ConfigError: There is nothing to vary, a value does not fit, Optuna is not
            installed, or the folder has another study.
    """
    space = experiment.tune
    if not space:
        raise ConfigError(
            f"{experiment.source} has no section tune. Say what to vary, such as "
            "tune: {train.lr: {log: [1e-4, 1e-2]}}"
        )
    if experiment.section("train").monitor is None:
        raise ConfigError(
            f"{experiment.source}: train.monitor is null, and a search needs a "
            "validation metric. Name one, such as NDCG@10"
        )
    check_space(space, experiment.options, experiment.source)
    folder = Path(folder)
    study = _study(experiment, folder, prune)
    same_graph = all(name.partition(".")[0] in OF_TRAINING for name in space)
    graph = _graph(experiment, root) if same_graph else None
    failures = 0
    with hold_lock(folder / ".lock", folder):
        _check_events(study, graph or _graph(experiment, root), folder)
        _end_interrupted(study)
        while len(_finished(study)) < trials:
            trial = study.ask()
            values = {name: of.suggest(trial, name) for name, of in space.items()}
            trial.set_user_attr("values", dict(values))
            try:
                changed = _with(experiment, values)
                _train(changed, graph or _graph(changed, root), study, trial)
                failures = 0
            except GraphSeqError as error:
                failures += 1
                _fail(study, trial, error, failures)
            found = _trials(study)
            _write(folder, experiment, found)
            if report is not None and not failures:
                report(found[-1], best_of(found))
    return _trials(study)


def _check_events(study: Any, graph: HeteroData, folder: Path) -> None:
    """Refuse to continue a search on other events, whose trials cannot be compared.

    Raises:
        ConfigError: The log, or the graph, is another than before.
    """
    edges = graph[INTERACTS].edge_index.cpu().numpy()
    found = [hashlib.sha256(edges.tobytes()).hexdigest(), held_out_hash(graph)]
    if study.user_attrs.get("events", found) != found:
        raise ConfigError(
            f"{folder} contains a search on other events: the log or the graph has "
            "changed since, so that trials cannot be compared. Choose another folder "
            "(--folder)"
        )
    study.set_user_attr("events", found)


def _fail(study: Any, trial: Any, error: GraphSeqError, failures: int) -> None:
    """Warn of a trial that failed, as one that diverged; the search goes on.

    Raises:
        ConfigError: Too many failed one after the other.
    """
    import optuna

    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    values = trial.user_attrs["values"]
    message = f"trial {trial.number} with {values} failed: {error}"
    if failures == MOST_FAILURES:
        raise ConfigError(
            f"{failures} trials failed one after the other; the last: {message}. "
            "Narrow the ranges of tune"
        ) from error
    warnings.warn(message, UserWarning, stacklevel=3)


def best_of(trials: list[Trial]) -> Trial:
    """The complete trial with the largest metric.

    Raises:
        ConfigError: None is complete.
    """
    complete = [t for t in trials if t.state == "complete" and t.value is not None]
    if not complete:
        raise ConfigError("no trial is complete yet; run more of them (--trials)")
    return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))


def _with(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    options = override(experiment.options, settings(values))
    changed = check(options, experiment.source, name=experiment.name)
    return replace(changed, tune=experiment.tune)


def _graph(experiment: Experiment, root: str | Path | None) -> HeteroData:
    """The graph without its test part."""
    graph = copy.copy(experiment.graph(root))
    del graph["test"]
    return graph


def _study(experiment: Experiment, folder: Path, prune: bool) -> Any:
    """Open the study in the folder, or begin it.

    Raises:
        ConfigError: Optuna is not installed, or the study is of another experiment.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ConfigError(
            "a search needs Optuna, which is not installed: pip install graphseq[tune]"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if signs := sorted({*str(folder.resolve())} & {*"?%#"}):
        raise ConfigError(
            f"the address of a database has no {' and no '.join(signs)}; the folder of "
            f"a search is {folder.resolve()}. Choose another folder (--folder)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    found = [name for name in (BEST, TRIALS) if (folder / name).exists()]
    if found and not (folder / STUDY).exists():
        raise ConfigError(
            f"{folder} contains {' and '.join(found)} and no search ({STUDY}); they "
            "would be replaced. Choose another folder (--folder)"
        )
    pruner: Any = optuna.pruners.NopPruner()
    if prune:
        pruner = optuna.pruners.MedianPruner(STARTUP)
    study = optuna.create_study(
        storage=f"sqlite:///{folder.resolve() / STUDY}",
        study_name="tune",
        direction="maximize",
        pruner=pruner,
        load_if_exists=True,
    )
    ranges = {name: str(of) for name, of in experiment.tune.items()}
    identity = fingerprint({**experiment.options, "tune": ranges})
    known = study.user_attrs.get("experiment")
    if known not in (None, identity):
        raise ConfigError(
            f"{folder} contains the search of another experiment or of other ranges. "
            "Choose another folder (--folder)"
        )
    study.set_user_attr("experiment", identity)
    seed = study.user_attrs.get("seed", experiment.seed)
    if seed != experiment.seed:
        raise ConfigError(
            f"{folder} contains a search with train.seed {seed}, and this one has "
            f"{experiment.seed}; their trials cannot be compared. Choose another "
            "folder (--folder), or the same seed"
        )
    study.set_user_attr("seed", seed)
    # Another seed after an interruption: the first trials would be drawn again.
    study.sampler = optuna.samplers.TPESampler(
        seed=experiment.seed + len(study.get_trials(deepcopy=False))
    )
    return study


def _end_interrupted(study: Any) -> None:
    """Mark trials of a process that ended as failed; others take their place."""
    import optuna

    running = optuna.trial.TrialState.RUNNING
    for trial in study.get_trials(deepcopy=False, states=(running,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def _train(experiment: Experiment, graph: HeteroData, study: Any, trial: Any) -> None:
    """Train one trial, and report its metric to the study."""
    import optuna

    monitor = experiment.section("train").monitor
    pruned, joined = False, 0

    def after_epoch(row: Mapping[str, Any]) -> bool:
        nonlocal pruned
        if row.get(monitor) is not None:
            trial.report(row[monitor], int(row["epoch"]))
            pruned = row["epoch"] > joined + WARMUP and bool(trial.should_prune())
        return pruned

    model = experiment.model(graph)
    joined = max(model.warmup, epochs_before_last_stage(model))
    run = experiment.fit(model, graph, callbacks=[after_epoch])
    trial.set_user_attr("best", run.best[monitor])
    if pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, run.best[monitor])


def _finished(study: Any) -> list[Any]:
    """Trials that are complete or pruned."""
    trials = study.get_trials(deepcopy=False)
    return [t for t in trials if t.state.name in ("COMPLETE", "PRUNED")]


def _trials(study: Any) -> list[Trial]:
    names = {"FAIL": "failed"}
    return [
        Trial(
            trial.number,
            names.get(trial.state.name, trial.state.name.lower()),
            trial.user_attrs.get("best"),
            trial.user_attrs.get("values", {}),
        )
        for trial in study.get_trials(deepcopy=False)
    ]


def _write(folder: Path, experiment: Experiment, trials: list[Trial]) -> None:
    """Write the table of trials, and the best as an experiment."""
    import polars as pl

    rows = [
        {"trial": t.number, "state": t.state, "value": t.value}
        | {name: str(value) for name, value in t.values.items()}
        for t in trials
    ]
    table = pl.DataFrame(rows, infer_schema_length=None)
    write_text(folder / TRIALS, table.write_csv())
    if any(t.state == "complete" for t in trials):
        best = override(experiment.options, settings(best_of(trials).values))
        write_text(folder / BEST, dump(best))
