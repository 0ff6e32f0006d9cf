"""``graphseq plot``: curves of runs, and a map of the items of one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from graphseq.cli.app import check_picture, parse_pairs
from graphseq.cli.id_files import TITLES, read_titles
from graphseq.cli.report import load_runs
from graphseq.errors import ConfigError, quantity
from graphseq.schema import Count, Positive, Size

COLOURS = ("events", "communities", "attribute")


def plot(
    runs: list[str],
    /,
    *,
    output: Path,
    of: Literal["learning", "items"] = "learning",
    metric: str = "NDCG@10",
    method: Literal["pca", "tsne", "umap"] = "pca",
    colour: str = "events",
    titles: Path | None = None,
    title_columns: list[str] | None = None,
    seed: Count = 0,
    perplexity: Positive = 30.0,
    neighbours: Size = 15,
    max_items: Size = 5000,
    graph: Path | None = None,
) -> None:
    r"""Plot the learning curves of runs, or a map of the items of one run.

    Runs that differ in their seed only are one curve: their mean, in a band from the
    lowest to the highest.

    Examples:
      graphseq plot "runs/*" --output curves.pdf
      graphseq plot runs/shop --of items --output items.svg --titles titles.csv
      graphseq plot runs/shop --of items --output items.png --method tsne \
          --colour genres.csv

    Args:
        runs: Run folders, or patterns of run folders.
        output: File to write: .png, .svg or .pdf.
        of: Validation metric by epoch, or item vectors in two dimensions.
        metric: Metric of the curves.
        method: Method for the item vectors: the two first principal axes, t-SNE or
            UMAP.
        colour: Colours of items: events, communities, attribute (the most frequent one
            of each item in the graph), or a table with the columns item and title,
            whose titles are the categories.
        titles: Table with a title for each item, to label the items with most events.
        title_columns: Columns of both tables, such as item=asin title=name.
        seed: Seed of t-SNE and UMAP.
        perplexity: Perplexity of t-SNE.
        neighbours: Neighbours of UMAP.
        max_items: Items to show; of more, those with most training events.
        graph: Folder of the graph; default: the graph in the run folder, which has no
            attributes, and communities only if the model reads them.
    """
    check_picture("--output", output)
    columns = parse_pairs(
        "--title-columns", title_columns, "item=asin title=name", TITLES.__contains__
    )
    loaded = load_runs(runs)
    if of == "learning":
        from graphseq.plots import by_variant, plot_learning

        plot_learning(by_variant(loaded), output, metric)
        print(f"curves of {quantity(len(loaded), 'run')} in {output}")
        return
    if len(loaded) > 1:
        raise ConfigError(
            f"--of items plots one run, and there are {len(loaded)}: "
            f"{', '.join(loaded)}. Name one"
        )
    [run] = loaded.values()
    from graphseq.graphs import load_graph
    from graphseq.plots import plot_items

    whole = run.graph() if graph is None else load_graph(graph)
    known = whole["item"].vocabulary.ids
    chosen: Any = colour
    if colour not in COLOURS:
        chosen = _by_id(known, Path(colour), "--colour", columns)
    plot_items(
        run,
        output,
        graph=whole,
        colour=chosen,
        labels=None if titles is None else _by_id(known, titles, "--titles", columns),
        method=method,
        seed=seed,
        perplexity=perplexity,
        neighbours=neighbours,
        max_items=max_items,
    )
    print(f"items of {run.folder} in {output}")


def _by_id(
    known: Any, path: Path, option: str, columns: Mapping[str, str]
) -> dict[Any, str]:
    """The titles of a table by raw id."""
    table = dict(read_titles(path, option=option, **columns).iter_rows())
    return {name: table[str(name)] for name in known if str(name) in table}
