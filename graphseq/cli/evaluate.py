"""``graphseq evaluate``, ``compare``, ``claims`` and ``demo``: measure trained runs."""

from collections.abc import Mapping
from dataclasses import asdict
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from graphseq.cli.app import check_folder
from graphseq.cli.progress import make_console
from graphseq.cli.results import check_output, give_json
from graphseq.errors import ConfigError, RunError
from graphseq.folders import check_run, graph_metadata
from graphseq.schema import Count, Fraction, Size

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from graphseq.config import Experiment
    from graphseq.evaluation import Report

EXPERIMENT = "experiment.yaml"


def evaluate(
    run: Path,
    /,
    *,
    graph: Path | None = None,
    data: Path | None = None,
    part: Literal["validation", "test"] = "test",
    ks: list[Size] | None = None,
    history: Literal["both", "kept", "excluded"] | None = None,
    metrics: list[str] | None = None,
    noise: Fraction | None = None,
    noise_seed: Count | None = None,
    by: Literal["history_length", "target_events"] | None = None,
    bins: list[float] | None = None,
    json: bool = False,
    output: Path | None = None,
) -> None:
    """Rank all items for the held-out users of a run.

    One pass evaluates both history protocols: items in the history of a user may be
    recommended again (kept), or not (excluded). The report in the run folder is
    replaced; graphseq compare reads it.

    Examples:
      graphseq evaluate runs/sasrec-beauty-0
      graphseq evaluate runs/sasrec-beauty-0 --part validation --ks 1 10 100
      graphseq evaluate runs/sasrec-beauty-0 --metrics Precision Gini
      graphseq evaluate runs/sasrec-beauty-0 --noise 0.1
      graphseq evaluate runs/sasrec-beauty-0 --by history_length --bins 5 10 20
      graphseq evaluate runs/sasrec-beauty-0 --json

    Args:
        run: Run folder.
        graph: Folder of the graph; default: the graph in the run folder.
        data: Folder of the data sets: build the graph again from the experiment.
        part: Part of the held-out events to evaluate on.
        ks: Cutoffs of the ranking metrics; default: those of the experiment.
        history: History protocols; default: those of the experiment.
        metrics: More metrics: Precision, Recall-capped, NDCG-ComiRec, MAP, novelty,
            Gini, personalization, or diversity (by the attributes of the items).
        noise: Random items to insert into the histories that the model reads, on
            average for each event (0.2: one for every five). The report without noise
            stays.
        noise_seed: Seed of the noise.
        by: Also print the metrics of segments of users: by the number of events in
            their history, or the number of training events of their target.
        bins: Ascending bounds of the segments; default: each number is one.
        json: Print all numbers as JSON.
        output: Also write them as JSON to this file.
    """
    if bins is not None and by is None:
        raise ConfigError(
            "--bins divide the users into segments of --by: add --by history_length or "
            "--by target_events"
        )
    check_folders(run, graph)
    check_output(output)
    from graphseq.training import load_run

    loaded = load_run(run)
    built, experiment = graph_of(run, graph, data)
    options = {
        "ks": tuple(ks) if ks else None,
        "history": history,
        "metrics": metrics,
        "noise": noise,
        "noise_seed": noise_seed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    model = loaded.model(built)
    found = experiment.evaluate(model, built, part=part, folder=run, **given)
    segments = {} if by is None else {"segments": found.by(by, bins).to_dicts()}
    numbers = {"means": found.means, "facts": found.facts, **segments}
    if give_json(numbers, printed=json, output=output):
        return
    print_reports({type(model).__name__: found})
    if by is not None:
        print_segments(found, by, bins)


def print_segments(report: "Report", column: str, bins: list[float] | None) -> None:
    """Print HR and NDCG of segments of users."""
    from rich.table import Table

    found = report.by(column, bins)
    metrics = [f"{name}@{k}" for k in report.facts["ks"] for name in ("HR", "NDCG")]
    shown = Table("history", column, header_style="bold")
    for name in ("users", *metrics):
        shown.add_column(name, justify="right")
    for row in found.select("protocol", column, "users", *metrics).iter_rows():
        shown.add_row(*map(str, row[:3]), *(f"{value:.4f}" for value in row[3:]))
    make_console().print(shown)


def compare(
    run: str,
    other: str,
    /,
    *,
    metric: str = "NDCG@10",
    history: Literal["excluded", "kept"] = "excluded",
    json: bool = False,
    output: Path | None = None,
) -> None:
    """Compare two runs with a paired significance test.

    A paired bootstrap over the users of both evaluations gives the difference of the
    means, its 95 % confidence interval and a p-value. Both runs must have the same
    training events and held-out users; their graphs may differ in relations. A quoted
    pattern names several runs of a model with different seeds; with two or more of
    each, the interval covers seeds too.

    Examples:
      graphseq compare runs/sasrec-beauty-0 runs/mclsr-beauty-0
      graphseq compare "runs/sasrec-beauty-*" "runs/mclsr-beauty-*"
      graphseq compare runs/a runs/b --metric HR@20 --history kept

    Args:
        run: Run folder, or a pattern of run folders.
        other: The run folder to compare with, or a pattern.
        metric: Metric to compare.
        history: History protocol.
        json: Print all numbers as JSON.
        output: Also write them as JSON to this file.
    """
    check_output(output)
    runs, others = _folders(run), _folders(other)
    from graphseq.evaluation import compare as paired

    found = paired(runs, others, metric, history=history)
    if not give_json(asdict(found), printed=json, output=output):
        print(found)


def claims(
    experiments: list[str] = ["experiments"],  # noqa: B006
    /,
    *,
    results: Path = Path("experiments/results.csv"),
    missed: bool = False,
    json: bool = False,
    output: Path | None = None,
) -> int:
    """Compare the claims of experiments to their results.

    Each claim is reached (with the value), missed (with the difference) or never run.
    The exit code is 1 if a claim is missed.

    Examples:
      graphseq claims
      graphseq claims experiments/beauty/sasrec.yaml --results results.csv
      graphseq claims --missed

    Args:
        experiments: Experiment files, FILE.yaml:VARIANT, folders, or patterns.
        results: CSV file of results, from train --record.
        missed: Only print missed claims.
        json: Print all numbers as JSON.
        output: Also write them as JSON to this file.
    """
    check_output(output)
    from graphseq.config import experiments_of
    from graphseq.config.claims import check_claims
    from graphseq.report import read_table

    every = [each for word in experiments for each in experiments_of(word)]
    verdicts = [*check_claims(every, read_table(results))]
    shown = [v for v in verdicts if v.missing or not missed]
    if not give_json([asdict(v) for v in shown], printed=json, output=output):
        print("\n".join(map(str, shown)) or "no claims")
    return int(any(verdict.missing for verdict in verdicts))


def _folders(pattern: str) -> list[str]:
    """The folders that match a pattern; without a wildcard, the folder itself.

    Raises:
        RunError: There is none.
    """
    wild = any(sign in pattern for sign in "*?[") and not Path(pattern).is_dir()
    found = sorted(glob(pattern)) if wild else [pattern]
    if not found:
        raise RunError(f"no folder matches {pattern!r}")
    if not Path(found[0]).exists():
        raise RunError(f"{found[0]}: the folder does not exist")
    return found


def check_folders(run: Path, graph: Path | None) -> None:
    """Refuse wrong folders before the import of PyG."""
    check_run(run)
    if graph is not None:
        graph_metadata(graph)


def graph_of(
    run: Path, graph: Path | None, data: Path | None
) -> tuple["HeteroData", "Experiment"]:
    """The graph of a run, and its experiment.

    Args:
        run: Run folder.
        graph: Folder of the graph, if it is not the one in the run folder.
        data: Folder of the data sets, to build the graph again.

    Raises:
        RunError: The run folder has no graph, none is given, and the run does
            not record its data.
    """
    from graphseq.config import Experiment, load, read_yaml
    from graphseq.graphs import load_graph
    from graphseq.training.run import GRAPH, load_run

    path = run / EXPERIMENT
    options = read_yaml(path)
    if graph is not None:
        return load_graph(graph), Experiment(options, str(path))
    if data is None and (run / GRAPH).is_dir():
        return load_run(run).graph(), Experiment(options, str(path))
    if "data" not in options:
        raise RunError(
            f"{path} does not record the log, so the graph cannot be built again. "
            "Give the folder of the graph: --graph FOLDER"
        )
    experiment = load(path)
    return experiment.graph(data), experiment


def print_reports(reports: Mapping[str, "Report"]) -> None:
    """Print the metrics of reports as a table, and how they were computed."""
    from graphseq.report import table

    console = make_console()
    console.print(table(reports))
    console.print(
        next(iter(reports.values())).protocol_text(), highlight=False, style="dim"
    )


def demo(*, output: Path = Path("demo"), seed: Count = 0) -> None:
    """Try everything on a synthetic log: no download, a minute or two.

    Generates a log of users with drifting interests, builds the user-item, user-user
    and item-item graphs, trains POP, SASRec and MCLSR, and compares them in one table
    under both history protocols. Plots of training, degrees and item vectors are
    written to the output folder.

    Examples:
      graphseq demo
      graphseq demo --output pictures --seed 1

    Args:
        output: Folder for the plots, the graph and the runs; an earlier demo in it is
            replaced, any other folder is refused.
        seed: Random seed of the log and of the models.
    """
    check_folder("--output", output)
    from graphseq.demo import run

    run(output, seed=seed)
