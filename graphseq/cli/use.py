"""``graphseq recommend`` and ``graphseq demo``: what it is all for."""

from graphseq.cli.ids import typed
from graphseq.cli.outputs import check_folder
from graphseq.cli.runs import graph_of
from graphseq.errors import ConfigError


def recommend(
    run: str,
    /,
    *,
    users: list[str] | None = None,
    history: list[str] | None = None,
    k: int = 10,
    graph: str | None = None,
    data: str | None = None,
) -> None:
    """Recommend items to users of the log, or to anyone with a history.

    Ids are those of the log, in and out. Items that a user already has are not
    recommended.

    Examples:
      graphseq recommend runs/sasrec-beauty-0 --users 1 2 --k 10
      graphseq recommend runs/sasrec-beauty-0 --history 4512 77 1042

    Args:
        run: Folder of the run.
        users: Users of the log.
        history: Items of someone else, oldest first.
        k: Items to recommend to each.
        graph: Folder of the graph; if not given, it is built again as the run says.
        data: Folder in which the data sets lie.
    """
    if (users is None) == (history is None):
        given = "neither is" if users is None else "both are"
        raise ConfigError(
            "recommend takes either --users, of the log, or --history, items of "
            f"anyone; {given} given"
        )
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from graphseq.recommend import Recommender
    from graphseq.training import load_run

    loaded = load_run(run)
    built, _ = graph_of(run, graph, data)
    recommender = Recommender(loaded.model(built), built)
    if users is not None:
        found = recommender.recommend(typed(recommender.users, users), k=k)
    else:
        items = typed(recommender.items, history or [])
        found = recommender.recommend(histories=[items], k=k)
        found = found.drop("user")
    shown = Table(*found.columns, header_style="bold")
    for *words, score in found.iter_rows():
        shown.add_row(*(escape(str(word)) for word in words), f"{score:.4f}")
    Console(soft_wrap=True, emoji=False).print(shown)


def demo(*, output: str = "demo", seed: int = 0) -> None:
    """See it all work on a log made up for it: no download, a minute or two.

    Makes a log of users with drifting interests, builds the user-item, user-user and
    item-item graphs, trains POP, SASRec and MCLSR, and compares them in one table
    under both history protocols. Plots of training, degrees and item vectors are
    written to a folder.

    Examples:
      graphseq demo
      graphseq demo --output pictures --seed 1

    Args:
        output: Folder for the plots, the graph and the runs; an earlier demo there is
            replaced; any other folder is left alone.
        seed: Of the log and of the models.
    """
    check_folder("--output", output)
    from graphseq.demo import run

    run(output, seed=seed)
