"""``graphseq ensemble``: combine the scores of trained runs in a run of their own."""

from pathlib import Path
from typing import Any, Literal

from graphseq.cli.app import check_folder
from graphseq.cli.evaluate import graph_of, print_reports
from graphseq.errors import ConfigError
from graphseq.schema import Size, Weight

SECTIONS = ("data", "filters", "split", "graph", "evaluate")


def ensemble(
    runs: list[Path],
    /,
    *,
    folder: Path,
    combine: Literal["log_softmax", "z_score", "reciprocal_rank"] = "log_softmax",
    weights: list[Weight] | None = None,
    choose_weights: bool = False,
    metric: str = "NDCG@10",
    history: Literal["excluded", "kept"] = "excluded",
    rank_constant: Size = 60,
    graph: Path | None = None,
    data: Path | None = None,
) -> None:
    """Combine trained runs on one graph into a run of their own, and evaluate it.

    The score of an item is the weighted sum of its scores by all runs, made comparable
    for each user. The new folder contains copies of their weights: graphseq evaluate,
    compare and recommend use it as any run.

    Examples:
      graphseq ensemble runs/bsarec runs/tvrec --folder runs/both
      graphseq ensemble runs/a runs/b runs/c --folder runs/all --choose-weights

    Args:
        runs: Run folders, two or more.
        folder: Folder of the new run.
        combine: Comparable scores: logarithms of the softmax, standard deviations from
            the mean, or one over the rank plus a constant.
        weights: Weight of each run; default: equal ones.
        choose_weights: Choose the weights on the validation part, from multiples of
            0.1.
        metric: Metric that chooses the weights.
        history: History protocol of that metric.
        rank_constant: Constant that is added to the ranks.
        graph: Folder of the graph; default: build it again from the first experiment.
        data: Folder of the data sets.
    """
    if weights and choose_weights:
        raise ConfigError("--weights and --choose-weights exclude each other; give one")
    check_folder("--folder", folder)
    if (folder / "run.json").is_file():
        raise ConfigError(f"{folder} contains a run already; choose another --folder")
    from graphseq.evaluation import choose_weights as choose
    from graphseq.models import Ensemble
    from graphseq.training import fit, load_run

    loaded = [load_run(run) for run in runs]
    options: dict[str, Any] = {"combine": combine, "rank_constant": rank_constant}
    model = Ensemble(loaded, weights=weights, **options)
    built, experiment = graph_of(runs[0], graph, data)
    loaded[0].check(built)
    if choose_weights:
        model = choose(model, built, metric=metric, history=history)
    written = loaded[0].experiment
    fit(
        model,
        built,
        folder=folder,
        monitor="NDCG@10" if len(built.validation.user) else None,
        history=history,
        progress=False,
        experiment={name: written[name] for name in SECTIONS if name in written},
    )
    report = experiment.evaluate(model, built, part="test", folder=folder)
    print_reports({"Ensemble": report})
    for run, weight in zip(runs, model.weights, strict=True):
        print(f"{weight:.2f}  {run}")
