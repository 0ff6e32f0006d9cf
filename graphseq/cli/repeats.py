"""``graphseq repeats``: choose a bias for items of the history, in a run of its own."""

from pathlib import Path

from graphseq.cli.app import check_folder
from graphseq.cli.evaluate import graph_of, print_reports
from graphseq.errors import ConfigError
from graphseq.schema import Size

SECTIONS = ("data", "filters", "split", "graph", "evaluate")


def repeats(
    run: Path,
    /,
    *,
    folder: Path,
    ages: Size = 10,
    metric: str = "NDCG@10",
    graph: Path | None = None,
    data: Path | None = None,
) -> None:
    """Choose what the scores of items in the history gain or lose, and evaluate.

    The biases, one for each number of events since the item occurred, are chosen on the
    validation part, with the history kept. The new folder contains a copy of the
    weights: graphseq evaluate, compare and recommend use it as any run.

    Examples:
      graphseq repeats runs/sasrec --folder runs/sasrec-repeats

    Args:
        run: Run folder.
        folder: Folder of the new run.
        ages: Number of biases; older items share the last one.
        metric: Metric that chooses the temperature of the scores.
        graph: Folder of the graph; default: that in the run folder.
        data: Folder of the data sets: build the graph again from the experiment.
    """
    check_folder("--folder", folder)
    if (folder / "run.json").is_file():
        raise ConfigError(f"{folder} contains a run already; choose another --folder")
    from graphseq.evaluation import choose_repeat_bias
    from graphseq.training import fit, load_run

    loaded = load_run(run)
    built, experiment = graph_of(run, graph, data)
    loaded.check(built)
    model = choose_repeat_bias(loaded, built, ages=ages, metric=metric)
    written = loaded.experiment
    fit(
        model,
        built,
        folder=folder,
        monitor="NDCG@10",
        history="kept",
        progress=False,
        experiment={name: written[name] for name in SECTIONS if name in written},
    )
    report = experiment.evaluate(model, built, part="test", folder=folder)
    print_reports({f"{type(model.model).__name__} with repeats": report})
    print("bias by age, newest first:", " ".join(f"{b:.2f}" for b in model.bias))
