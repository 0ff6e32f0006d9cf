"""The stages of ``graphseq build``: read, filter and split, build, save."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphseq.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table
    from torch_geometric.data import HeteroData
    from torch_geometric.transforms import BaseTransform

    from graphseq.cli.stages import Stages
    from graphseq.data import Interactions, Split
    from graphseq.graphs import RelationUpdate


def read(stages: "Stages", given: Mapping[str, Any]) -> "Interactions":
    """The log, read as the options of ``build`` say."""
    from graphseq import data

    stages.begin("read")
    reading = ("format", "separator", "times", "on_error")
    found = data.read_log(
        given["log"],
        columns=columns_of(given["columns"]),
        **{name: given[name] for name in reading},
    )
    stages.end(f"{len(found):,} events")
    return found


def cut(stages: "Stages", log: "Interactions", given: Mapping[str, Any]) -> "Split":
    """The log after the filters, in the order in which one means them, and split."""
    from graphseq import data

    stages.begin("filter and split")
    if given["deduplicate"] is not None:
        log = data.deduplicate(log, keep=given["deduplicate"])
    if given["k_core"] is not None:
        log = data.k_core(log, user=given["k_core"], item=given["k_core"])
    if given["min_length"] is not None:
        log = data.min_length(log, given["min_length"])
    splits = {"leave_one_out": data.leave_one_out, "by_time": data.by_time}
    if given["split"] == "by_user":
        found = data.by_user(log, seed=given["seed"])
    else:
        found = splits[given["split"]](log)
    stages.end(said(found))
    return found


def said(split: "Split") -> str:
    """How large a split is."""
    return (
        f"{len(split.train):,} training events of {split.train.num_users:,} users, "
        f"{split.train.num_items:,} items"
    )


def make(
    stages: "Stages",
    split: "Split",
    steps: "Sequence[BaseTransform]",
    record: Mapping[str, Any],
    output: str,
    *,
    log: "Interactions | None" = None,
    older: "HeteroData | None" = None,
) -> None:
    """Build the graph and save it, with the record of its making and with its log.

    Of an older graph, what has not changed is taken over.
    """
    from graphseq import graphs
    from graphseq.cli.provenance import BUILD
    from graphseq.cli.relations import spelt
    from graphseq.graphs.progress import Advance, progress_callback

    names = [spelt(step)[0] for step in steps]
    coming = iter(names)

    def watch(advance: Advance) -> None:
        if advance.total:
            stages.advance(advance)
        else:
            stages.begin(next(coming))

    renewals: dict[str, str] = {}
    with progress_callback(watch):
        if older is None:
            graph = graphs.build_graph(split, steps)
        else:
            graph, found = graphs.update_graph(older, split, steps)
            renewals = {spelt(each.step)[0]: renewed(each) for each in found}
    stages.begin("save")
    edges = _edges(graph)
    for stage in stages.over:
        if stage.name in names:
            stage.made = f"{edges[stage.name]:,} edges" + renewals.get(stage.name, "")
    graph.provenance[BUILD] = dict(record)
    graphs.save_graph(graph, output, log=log)
    stages.end(output)


def renewed(renewal: "RelationUpdate") -> str:
    """What of a relation was computed, in words."""
    if renewal.rows is None:
        return "; computed anew"
    share = renewal.work / renewal.all_work if renewal.all_work else 0.0
    return (
        f"; {renewal.rows:,} of {renewal.all_rows:,} rows computed ({share:.1%} of "
        f"the work)"
    )


def show(log: object, split: "Split", table: "Table") -> None:
    """Print what was read, how it was split, and a table."""
    from rich.console import Console

    console = Console(soft_wrap=True)
    console.print(repr(log), highlight=False)
    console.print(repr(split), highlight=False)
    console.print(table)


def close(output: str) -> None:
    """Print the hash of what was saved, and what to do with it."""
    from graphseq.graphs.storage import hashes

    print(f"hash {hashes(output)['graph_hash'][:12]}")
    print(f"next: graphseq show {output}")


def _edges(graph: "HeteroData") -> dict[str, int]:
    """Number of edges by the name that a relation has among the options."""
    from graphseq import constants

    options = {
        constants.USER_CO_OCCURS: "user-user",
        constants.ITEM_CO_OCCURS: "item-item",
        constants.PRECEDES: "transitions",
        constants.HAS_ATTRIBUTE: "attributes",
    }
    return {
        options[relation]: graph[relation].edge_index.shape[1]
        for relation in graph.edge_types
        if relation in options
    }


def columns_of(pairs: list[str] | None) -> dict[str, str | int] | None:
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
