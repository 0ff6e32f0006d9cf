"""``graphseq update``: add later events to a graph."""

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from graphseq.cli.app import Address
from graphseq.cli.build import BuildOptions, ReadOptions, Splitter, check_output
from graphseq.errors import ConfigError, GraphError, quantity
from graphseq.schema import Positive

if TYPE_CHECKING:
    from rich.table import Table
    from torch_geometric.transforms import BaseTransform

    from graphseq.graphs import RelationUpdate


def update(
    graph: Path,
    new_log: Address,
    /,
    *,
    output: Path | None = None,
    reading: ReadOptions = ReadOptions(),  # noqa: B008
    memory: Positive | None = None,
    dry_run: bool = False,
) -> None:
    r"""Add the events of a second log to a graph.

    The result is the graph that graphseq build makes of both logs, with the options
    that the folder records: the same edges, weights, numbering and hash. Only rows of
    edges that change are computed.

    The new log is read like the old one, unless options say otherwise. It may contain
    new users, new items and earlier events. The graph is replaced once the new one is
    complete; until then, and after an error, it is unchanged.

    Examples:
      graphseq update graphs/shop march.csv

      # show how much would be computed, change nothing
      graphseq update graphs/shop march.csv --dry-run

      # keep the old graph; the new log has other columns
      graphseq update graphs/shop april.parquet --format parquet \
          --columns user=userId item=itemId time=when --output graphs/shop-april

    Args:
        graph: Folder of a graph built by graphseq build (without --no-log).
        new_log: Log file of the events to add, plain or gzip.
        output: Output folder, if the graph is not to be replaced; it must not exist.
        reading: How the new log is read.
        memory: Memory limit in gigabytes; default: the free memory.
        dry_run: Show how much would be computed; change nothing.
    """
    from graphseq.atomic import real_path
    from graphseq.cli import build_steps, cost
    from graphseq.cli.progress import Stages
    from graphseq.cli.provenance import UPDATES, record
    from graphseq.folders import graph_metadata
    from graphseq.locks import locked_folder

    graph_metadata(graph)
    target = real_path(output or graph)
    cost.check_size(new_log, memory, reading.format)
    from graphseq import data, graphs
    from graphseq.graphs.cost import estimate

    with nullcontext() if dry_run else locked_folder(target), Stages() as stages:
        if not dry_run:
            check_output(target, overwrite=output is None)
        stages.begin("load")
        older, log = graphs.load_graph(graph), graphs.load_log(graph)
        made = _provenance(graph, getattr(older, "provenance", None) or {})
        old_reading, options = _recorded(made)
        steps = _recorded_steps(graph, options)
        stages.end(quantity(len(log), "event"))
        later = build_steps.read(stages, new_log, _inherit(reading, old_reading))
        both = data.append(log, later)
        split = build_steps.split(stages, both, options)
        costs = estimate(split.train, steps)
        if dry_run:
            table = _table(graphs.plan_update(older, split, steps))
            build_steps.show(both, split, table)
            return
        cost.check_cost(split.train, costs, target, memory)
        inputs = {"graph": graph, "new_log": new_log}
        step = {**record("update", inputs, reading), "events": len(later)}
        sources = _read_now(made["sources"])
        updates = [*made.get(UPDATES, []), step]
        whole = {**made, "sources": sources, UPDATES: updates}
        build_steps.save(stages, split, steps, whole, target, log=both, older=older)
        build_steps.show(both, split, stages.table())
        build_steps.show_next(target)


def _provenance(graph: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The record of the command that built a graph."""
    from graphseq.cli.provenance import BUILD

    made = provenance.get(BUILD) or {}
    parts = {"options": dict, "command": list, "sources": dict}
    if any(not isinstance(made.get(name), kind) for name, kind in parts.items()):
        raise GraphError(
            f"{graph} does not record the options of graphseq build. Build it with "
            f"graphseq build, or update it from Python, with "
            f"graphseq.graphs.update_graph"
        )
    return dict(made)


def _read_now(sources: Mapping[str, Any]) -> dict[str, Any]:
    """The sources of a build; files about items as they are now, since they were read.

    Warns of those that have changed.
    """
    from graphseq.cli.provenance import fingerprint

    found = dict(sources)
    for name in ("attributes", "vectors"):
        if name not in found:
            continue
        path = found[name]["path"]
        now = {"path": path, **fingerprint(path)}
        if now["sha256"] != found[name]["sha256"]:
            warnings.warn(
                f"{path} has changed since the graph was built; all items are "
                "described by the file as it is now",
                UserWarning,
                stacklevel=2,
            )
        found[name] = now
    return found


def _recorded_steps(graph: Path, options: BuildOptions) -> "list[BaseTransform]":
    """The steps of the recorded options.

    Raises:
        GraphError: They cannot be read, as after an edit by hand.
    """
    from graphseq.cli import relations

    try:
        if options.split not in get_args(Splitter):
            raise ValueError(f"the split {options.split!r}")
        return [each.make() for each in relations.parse_relations(options)]
    except (TypeError, AttributeError, ValueError) as error:
        raise GraphError(
            f"the options of graphseq build that {graph} records cannot be read "
            f"({error}). Build it again"
        ) from error


def _recorded(made: Mapping[str, Any]) -> tuple[ReadOptions, BuildOptions]:
    """The options of a build, if the files about items still exist."""
    options = dict(made["options"])
    for name in ("times", "attributes", "vectors"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    reading, building = (
        {f.name: options[f.name] for f in fields(kind) if f.name in options}
        for kind in (ReadOptions, BuildOptions)
    )
    for name in ("attributes", "vectors"):
        file = building.get(name)
        if file is not None and not file.is_file():
            raise ConfigError(
                f"the graph was built with --{name} {file}, which does not exist "
                f"from here. Run graphseq update in the folder in which it was built, "
                f"or restore the file"
            )
    return ReadOptions(**reading), BuildOptions(**building)


def _inherit(new: ReadOptions, old: ReadOptions) -> ReadOptions:
    """How to read the new log: as given, otherwise as the old log.

    Another format has other columns; a file of times belongs to one log only.
    """
    found = replace(new, on_error=new.on_error or old.on_error)
    if new.format is not None:
        return found
    return replace(
        found,
        format=old.format,
        columns=new.columns or old.columns,
        separator=new.separator or old.separator,
        weight=new.weight or old.weight,
    )


def _table(updates: "list[RelationUpdate]") -> "Table":
    """The part of every relation that an update computes."""
    from rich.table import Table

    from graphseq.cli.relations import describe_step

    shown = Table(header_style="bold")
    shown.add_column("step", no_wrap=True)
    shown.add_column("edges kept")
    for name in ("rows to compute, at least", "multiply-adds or pairs"):
        shown.add_column(name, justify="right")
    for each in updates:
        numbers = ["all", "–"]
        if each.rows is not None:
            fraction = each.work / each.all_work if each.all_work else 0.0
            rows = f"{each.rows:,} of {each.all_rows:,}"
            numbers = [rows, f"{each.work:,} ({fraction:.1%})"]
        shown.add_row(*describe_step(each.step), *numbers)
    return shown
