"""``graphseq repeats``: choose a bias for items of the history, in a run of its own."""

from pathlib import Path

from graphseq.cli.evaluate import graph_of
from graphseq.schema import Size


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
    from graphseq.cli.derived_run import check_new, write_run
    from graphseq.evaluation import choose_repeat_bias
    from graphseq.training import load_run

    check_new(folder)
    loaded = load_run(run)
    built, experiment = graph_of(run, graph, data)
    loaded.check(built)
    model = choose_repeat_bias(loaded, built, ages=ages, metric=metric)
    name, written = f"{type(model.model).__name__} with repeats", loaded.experiment
    write_run(model, built, folder, experiment, written, history="kept", name=name)
    print("bias by age, newest first:", " ".join(f"{b:.2f}" for b in model.bias))
