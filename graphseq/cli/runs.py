"""``graphseq train``, ``evaluate`` and ``compare``: runs and their figures."""

import shlex
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from graphseq.cli.outputs import check_file, check_folder
from graphseq.errors import RunError

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from graphseq.config import Experiment
    from graphseq.evaluation import Report

EXPERIMENT = "experiment.yaml"


def train(
    experiment: str,
    /,
    *,
    data: str | None = None,
    folder: str | None = None,
    set: list[str] = [],  # noqa: B006
    seed: int | None = None,
    resume: bool = False,
    record: str | None = None,
) -> None:
    r"""Train a model as an experiment file says, and measure it on the test part.

    The file is checked whole before anything runs. The run folder then holds all that
    the run was: the resolved experiment, weights, history, versions, and the report.
    The test part is ranked once, at the very end.

    Examples:
      graphseq train experiments/sasrec/beauty-ce-targets.yaml --data ../data
      graphseq train experiments/sasrec/beauty-ce-targets.yaml --seed 1 \
          --set model.SASRec.dim=32
      graphseq train experiments/sasrec/beauty-ce-targets.yaml --folder runs/first \
          --resume

    Args:
        experiment: YAML file that says data, split, graphs, model, training.
        data: Folder in which the data sets lie.
        folder: Run folder; runs/NAME-SEED if not given.
        set: Options to override, such as train.max_epochs=5 or
            graph[0].CoOccurrence.top_k=20.
        seed: Of the weights and the batches; the same as --set train.seed=N.
        resume: Go on with the run in the folder, if it was interrupted.
        record: CSV file to append a row of the result to.
    """
    from graphseq.config import load
    from graphseq.report import check_table
    from graphseq.training.options import FitOptions

    if folder is not None:
        check_folder("--folder", folder)
    if record is not None:
        check_file("--record", record)
        check_table(record)
    settings = [*set, *([] if seed is None else [f"train.seed={seed}"])]
    checked = load(experiment, settings)
    FitOptions(**checked.resolved()["train"]).check_machine()
    place = folder or f"runs/{_name(experiment)}-{checked.seed}"
    graph = checked.graph(data)
    model = checked.model(graph)
    try:
        run = checked.fit(model, graph, folder=place, resume=resume)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"interrupted; what was trained is in {place}, and the same command with "
            f"--folder {shlex.quote(place)} --resume goes on"
        ) from error
    report = checked.evaluate(model, graph, part="test", folder=place)
    if record is not None:  # first of all: what is printed may go nowhere
        from graphseq.config.fingerprint import fingerprint
        from graphseq.report import append, row

        new = row(
            run,
            report,
            data=checked.data_name,
            experiment=experiment,
            settings=" ".join(settings),
            fingerprint=fingerprint(checked.options),
        )
        append(record, new)
    _print({type(model).__name__: report})
    print(repr(run))
    print(f"next: graphseq recommend {shlex.quote(place)} --history ITEM ITEM …")
    if record is not None:
        print(f"one row added to {record}")


def evaluate(
    run: str,
    /,
    *,
    graph: str | None = None,
    data: str | None = None,
    part: Literal["validation", "test"] = "test",
    ks: list[int] | None = None,
    history: Literal["both", "kept", "excluded"] | None = None,
) -> None:
    """Rank the whole catalogue for the held-out users of a run.

    Both history protocols come out of one pass: items that a user already has may be
    recommended again (kept), or not (excluded). The report in the run folder is
    replaced; graphseq compare reads it.

    Examples:
      graphseq evaluate runs/sasrec-beauty-0
      graphseq evaluate runs/sasrec-beauty-0 --part validation --ks 1 10 100

    Args:
        run: Folder of the run.
        graph: Folder of the graph; if not given, it is built again as the run says.
        data: Folder in which the data sets lie.
        part: Held-out users to measure on.
        ks: Lengths of the lists; as the experiment says if not given.
        history: Which protocols; as the experiment says if not given.
    """
    from graphseq.training import load_run

    loaded = load_run(run)
    built, experiment = graph_of(run, graph, data)
    options = {"ks": tuple(ks) if ks else None, "history": history}
    given = {name: value for name, value in options.items() if value is not None}
    model = loaded.model(built)
    found = experiment.evaluate(model, built, part=part, folder=run, **given)
    _print({type(model).__name__: found})


def compare(
    run: str,
    other: str,
    /,
    *,
    metric: str = "NDCG@10",
    history: Literal["excluded", "kept"] = "excluded",
) -> None:
    """Ask whether one run is better than another, or only luckier.

    A paired bootstrap over the users that both were measured on: the difference of
    their means, its 95 % interval, and how probable so large a difference is by chance.
    Both runs must have been evaluated on the same graph and held-out users. A quoted
    pattern names several runs of one model, with other seeds: these are drawn, too.

    Examples:
      graphseq compare runs/sasrec-beauty-0 runs/mclsr-beauty-0
      graphseq compare "runs/sasrec-beauty-*" "runs/mclsr-beauty-*"
      graphseq compare runs/a runs/b --metric HR@20 --history kept

    Args:
        run: Folder of a run, or a pattern of folders.
        other: Folder of another, or a pattern.
        metric: What to compare them by.
        history: Whether items of the history could be recommended.
    """
    from graphseq.evaluation import compare as paired

    print(paired(_folders(run), _folders(other), metric, history=history))


def _folders(pattern: str) -> list[str]:
    """The folders that a pattern names; without a wildcard, it is a folder itself.

    Raises:
        RunError: There is none.
    """
    wild = any(sign in pattern for sign in "*?[")
    found = sorted(glob(pattern)) if wild else [pattern]
    if not found:
        raise RunError(f"no folder matches {pattern!r}")
    return found


def graph_of(
    run: str, graph: str | None, data: str | None
) -> tuple["HeteroData", "Experiment"]:
    """The graph of a run, loaded or built again, and its experiment.

    Raises:
        RunError: Neither is possible.
    """
    from graphseq.config import Experiment, load, read_yaml
    from graphseq.graphs import load_graph

    path = Path(run) / EXPERIMENT
    options = read_yaml(path)
    if graph is not None:
        return load_graph(graph), Experiment(options, str(path))
    if "data" not in options:
        raise RunError(
            f"{path} does not say where the log is, so its graph cannot be built "
            "again. Pass the folder of the graph: --graph FOLDER"
        )
    experiment = load(path)
    return experiment.graph(data), experiment


def _name(experiment: str) -> str:
    """What a run is called after: its file and folder, or for a run's file, the run."""
    path = Path(experiment)
    if path.name == EXPERIMENT:
        return path.parent.name
    folder = path.resolve().parent.name
    return path.stem if folder == "experiments" else f"{folder}-{path.stem}"


def _print(reports: dict[str, "Report"]) -> None:
    from rich.console import Console

    from graphseq.report import table

    console = Console(soft_wrap=True)
    console.print(table(reports))
    console.print(
        next(iter(reports.values())).protocol_text(), highlight=False, style="dim"
    )
