"""``graphseq ensemble``: combine the scores of trained runs in a run of their own."""

from pathlib import Path
from typing import Any, Literal

from graphseq.cli.evaluate import graph_of
from graphseq.errors import ConfigError
from graphseq.schema import Size, Weight


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
    """Combine trained runs into a run of their own, and evaluate it.

    The score of an item is the weighted sum of its scores by all runs, made comparable
    for each user. The runs have the same data and split; their graphs may have other
    relations. The new folder contains copies of their weights: graphseq evaluate,
    compare and recommend use it as any run.

    Examples:
      graphseq ensemble runs/bsarec runs/tvrec --folder runs/both
      graphseq ensemble runs/a runs/b runs/c --folder runs/all --choose-weights

    Args:
        runs: Run folders, two or more.
        folder: Folder of the new run.
        combine: Comparable scores: logarithms of the softmax, standard deviations from
            the mean, or 1 / (60 + rank).
        weights: Weight of each run; default: equal ones.
        choose_weights: Choose the weights on the validation part, from multiples of
            0.1.
        metric: Metric that chooses the weights.
        history: History protocol of that metric.
        rank_constant: Constant that is added to the ranks.
        graph: Folder of a graph with all relations; default: those in the run folders.
        data: Folder of the data sets: build the graph again from the first experiment.
    """
    if weights and choose_weights:
        raise ConfigError("--weights and --choose-weights exclude each other; give one")
    from graphseq.cli.derived_run import check_new, write_run
    from graphseq.evaluation import choose_weights as choose
    from graphseq.graphs import merge_graphs
    from graphseq.models import Ensemble
    from graphseq.training import load_run
    from graphseq.training.run import GRAPH

    check_new(folder)
    loaded = [load_run(run) for run in runs]
    options: dict[str, Any] = {"combine": combine, "rank_constant": rank_constant}
    model = Ensemble(loaded, weights=weights, **options)
    built, experiment = graph_of(runs[0], graph, data)
    if graph is None and data is None and all((run / GRAPH).is_dir() for run in runs):
        built = merge_graphs([each.graph() for each in loaded])
    else:
        for each in loaded:
            each.check(built)
    if choose_weights:
        model = choose(model, built, metric=metric, history=history)
    written = dict(loaded[0].experiment)
    if all("data" in each.experiment for each in loaded):  # else from Python
        steps = [step for each in loaded for step in each.experiment["graph"]]
        written["graph"] = [s for n, s in enumerate(steps) if s not in steps[:n]]
    write_run(
        model, built, folder, experiment, written, history=history, name="Ensemble"
    )
    for run, weight in zip(runs, model.weights, strict=True):
        print(f"{weight:.2f}  {run}")
