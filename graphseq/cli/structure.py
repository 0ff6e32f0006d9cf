"""``graphseq build`` and ``graphseq show``: graphs made, summed up, drawn."""

from typing import TYPE_CHECKING, Literal

from graphseq.cli.ids import typed
from graphseq.errors import ConfigError

if TYPE_CHECKING:
    from torch_geometric.transforms import BaseTransform

    from graphseq.data import Interactions

Relation = Literal["user", "item", "precedes"]
Split = Literal["leave_one_out", "by_user", "by_time"]
Weight = Literal["count", "binary", "cosine", "jaccard", "adamic_adar", "iuf"]
Symmetrize = Literal["max", "min", "none"]


def build(
    log: str,
    *,
    output: str,
    format: str | None = None,
    columns: list[str] | None = None,
    separator: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    k_core: int | None = None,
    min_length: int | None = None,
    deduplicate: Literal["first", "last"] | None = None,
    split: Split = "leave_one_out",
    seed: int = 0,
    relations: list[Relation] = ["user", "item"],  # noqa: B006
    top_k: int | None = 50,
    weight: Weight = "count",
    symmetrize: Symmetrize = "max",
) -> None:
    r"""Make the graphs of a log and save them in a folder.

    The log says who chose what, and when: one line an event, or one line a user with
    all items in time order. Only training events become edges; what the split holds
    out is kept beside the graphs, for evaluation.

    Examples:
      graphseq build ratings.csv --columns user=userId item=movieId time=timestamp \
          --k-core 5 --output graphs/movies
      graphseq build Beauty.txt --format sequences --relations item --top-k 20 \
          --weight cosine --output graphs/beauty

    Args:
        log: File of the log, plain or gzip.
        output: Folder to write the graph to; it must not exist yet.
        format: Format of the log, such as sequences, csv, tsv, parquet, jsonl, amazon,
            movielens, gowalla, recbole; recognised if not given.
        columns: Columns that hold the user, the item and the time, such as user=who
            item=what time=when, or by position from 0, such as user=0 item=1 time=3.
        separator: Sign between the columns, where it is no comma.
        on_error: What to do about faulty lines: tell them and stop, or skip and count.
        k_core: Keep only users and items with so many events, repeatedly.
        min_length: Keep only users with so many events.
        deduplicate: Of a user's repeated events of an item keep one, the first or last.
        split: What is held out: each user's last two events, a tenth of the users
            each for validation and test, or the last fifth of the time.
        seed: Of the split by_user.
        relations: Edges to add to those between users and items: user (users who share
            items), item (items that share users), precedes (items that follow items).
        top_k: Heaviest edges that each node keeps; null keeps them all.
        weight: What an edge between two users or two items weighs.
        symmetrize: Keep an edge that either end kept (max), both (min), or as it is.
    """
    from rich.console import Console

    from graphseq import data, graphs

    console = Console(soft_wrap=True)
    found = data.read_log(
        log,
        format=format,
        columns=_columns(columns),
        separator=separator,
        on_error=on_error,
    )
    console.print(repr(found), highlight=False)
    kept = _filtered(found, k_core, min_length, deduplicate)
    if kept is not found:
        console.print(f"after filters: {kept!r}", highlight=False)
    splits = {"leave_one_out": data.leave_one_out, "by_time": data.by_time}
    cut = data.by_user(kept, seed=seed) if split == "by_user" else splits[split](kept)
    console.print(repr(cut), highlight=False)
    steps: list[BaseTransform] = [
        graphs.Transitions(top_k=top_k)
        if relation == "precedes"
        else graphs.CoOccurrence(
            relation, top_k=top_k, weight=weight, symmetrize=symmetrize
        )
        for relation in dict.fromkeys(relations)
    ]
    graph = graphs.build_graph(cut, steps)
    graphs.save_graph(graph, output)
    console.print(graphs.summary(graph))
    console.print(f"saved in {output}; hash {graphs.graph_hash(graph)[:12]}")
    console.print(f"next: graphseq show {output} --plot degrees.png")


def show(
    graph: str,
    *,
    plot: str | None = None,
    node: str | None = None,
    hops: int = 1,
) -> None:
    """Sum up a graph, and draw it.

    Prints nodes, edges, density, degrees, isolated nodes, components and reciprocity
    of every relation.

    Examples:
      graphseq show graphs/beauty
      graphseq show graphs/beauty --plot degrees.png
      graphseq show graphs/beauty --node item:1042 --plot neighbours.png

    Args:
        graph: Folder that graphseq build wrote.
        plot: Picture to write: the degrees of every relation, or with --node the
            neighbourhood of that node.
        node: A user or an item by its raw id, such as user:42 or item:B0001.
        hops: Steps from the node that the neighbourhood reaches.
    """
    from rich.console import Console

    from graphseq import graphs

    console = Console(soft_wrap=True)
    loaded = graphs.load_graph(graph)
    if node is None:
        found = graphs.summary(loaded)
        console.print(found)
        if plot is not None:
            found.plot(plot)
            console.print(f"degrees drawn in {plot}")
        return
    kind, sign, raw = node.partition(":")
    if not sign or kind not in loaded.node_types:
        raise ConfigError(
            f"--node takes a kind and a raw id, as in user:42 or item:B01; got {node!r}"
        )
    [known] = typed(loaded[kind].vocabulary, [raw])
    steps = "1 step" if hops == 1 else f"{hops} steps"
    ego = graphs.to_networkx(loaded, known, kind=kind, hops=hops)
    names = [f"{of} {label}" for (of, _), label in ego.nodes(data="label")][1:]
    console.print(
        f"{kind} {raw}: {len(names)} nodes within {steps}: {', '.join(names)}"
    )
    if plot is not None:
        graphs.draw(ego, plot)
        console.print(f"drawn in {plot}")


def _columns(pairs: list[str] | None) -> dict[str, str | int] | None:
    """``user=who time=3`` as a mapping."""
    if pairs is None:
        return None
    columns: dict[str, str | int] = {}
    for pair in pairs:
        role, sign, name = pair.partition("=")
        if not (role and sign and name):
            raise ConfigError(
                f"--columns takes pairs such as user=who item=what; got {pair!r}"
            )
        columns[role] = int(name) if name.isdecimal() else name
    return columns


def _filtered(
    log: "Interactions",
    k_core: int | None,
    min_length: int | None,
    deduplicate: Literal["first", "last"] | None,
) -> "Interactions":
    """The filters that were asked for, in the order in which one means them."""
    from graphseq import data

    if deduplicate is not None:
        log = data.deduplicate(log, keep=deduplicate)
    if k_core is not None:
        log = data.k_core(log, user=k_core, item=k_core)
    if min_length is not None:
        log = data.min_length(log, min_length)
    return log
