"""``graphseq update``: later events into a graph that stands."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graphseq.cli.build import build, check_output
from graphseq.cli.provenance import BUILD, UPDATES, record
from graphseq.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from rich.table import Table

    from graphseq.graphs import RelationUpdate

PLACE = {"output", "memory", "dry_run"}  # nothing to what is made


def update(
    graph: str,
    new_log: str,
    /,
    *,
    output: str | None = None,
    format: str | None = None,
    columns: list[str] | None = None,
    separator: str | None = None,
    times: str | None = None,
    on_error: Literal["raise", "skip"] | None = None,
    memory: float | None = None,
    dry_run: bool = False,
) -> None:
    r"""Add the events of a second log to a graph.

    The graph becomes the one that graphseq build would make of both logs, the new one
    after the old one, with the options that the folder records: the same edges, weights
    and numbering, and so the same hash. Only rows of edges that change are computed.

    The new log is read as the old one was, unless an option says otherwise. It may hold
    new users, new items and earlier events too. The graph is replaced once the new one
    is complete; until then, and if anything goes wrong, it stays as it is.

    Examples:
      graphseq update graphs/shop march.csv

      # what would have to be computed? nothing is changed
      graphseq update graphs/shop march.csv --dry-run

      # leave the old graph where it is; the new log has other columns
      graphseq update graphs/shop april.parquet --format parquet \
          --columns user=who item=what time=when --output graphs/shop-april

    Args:
        graph: Folder that graphseq build wrote, with its log (not --no-log).
        new_log: File of the events to add, plain or gzip.
        output: Folder to write to instead; it must not exist yet.
        format: Format of the new log; that of the old one, if not given.
        columns: Columns of the new log, such as user=who item=what time=when; those of
            the old one, if neither they nor a format are given.
        separator: Sign between the columns; likewise.
        times: Of sequences, a file of the same shape with the time of every item.
        on_error: What to do about faulty lines: tell them and stop, or skip and count;
            as for the old log, if not given.
        memory: Gigabytes that may be used; what is free, if not given.
        dry_run: Show how much would be computed, and change nothing.
    """
    given = dict(locals())
    from contextlib import nullcontext

    from graphseq import data, graphs
    from graphseq.atomic import locked_folder
    from graphseq.cli import making
    from graphseq.cli.plan import check_memory, check_room, check_size
    from graphseq.cli.relations import steps_of
    from graphseq.cli.stages import Stages
    from graphseq.graphs.cost import estimate

    check_memory(memory)
    place = output or graph
    check_size(new_log, memory, format)
    with nullcontext() if dry_run else locked_folder(Path(place)), Stages() as stages:
        if output is not None and not dry_run:
            check_output(Path(output), overwrite=False)
        stages.begin("load")
        older, log = graphs.load_graph(graph), graphs.load_log(graph)
        made = _made(graph, getattr(older, "provenance", None) or {})
        options = _options(made)
        asked = inspect.signature(steps_of).parameters
        steps = steps_of(**{name: options[name] for name in asked})
        stages.end(f"{len(log):,} events")
        later = making.read(stages, {"log": new_log, **_reading(given, options)})
        both = data.append(log, later)
        cut = making.cut(stages, both, options)
        costs = estimate(cut.train, steps)
        if dry_run:
            plan_update = graphs.plan_update(older, cut, steps)
            making.show(both, cut, _table(plan_update))
            return
        check_room(cut.train, costs, place, memory)
        step = {**record(update, given, PLACE), "events": len(later)}
        whole = {**made, UPDATES: [*made.get(UPDATES, []), step]}
        making.make(stages, cut, steps, whole, place, log=both, older=older)
        making.show(both, cut, stages.table())
        making.close(place)


def _made(graph: str, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What a graph's folder says of the command that built it."""
    made = provenance.get(BUILD) or {}
    if "options" not in made:
        raise GraphError(
            f"{graph} does not say by which options of graphseq build it was made. "
            f"Build it with graphseq build, or update it from Python, with "
            f"graphseq.graphs.update_graph"
        )
    return dict(made)


def _options(made: Mapping[str, Any]) -> dict[str, Any]:
    """All options of the build, with its defaults, if what they name is still there."""
    parameters = inspect.signature(build).parameters
    options: dict[str, Any] = {name: p.default for name, p in parameters.items()}
    options |= made["options"]
    file = options["attributes"]
    if file is not None and not Path(file).is_file():
        raise ConfigError(
            f"the graph was built with --attributes {file}, and there is no such file "
            f"from here. Run graphseq update in the folder in which it was built, or "
            f"put the file back"
        )
    return options


def _reading(given: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """How to read the new log: as said, else as the old one was.

    Another format has other columns; a file of times belongs to one log only.
    """
    inherited = {"on_error"}
    if given["format"] is None:
        inherited |= {"format", "columns", "separator"}
    names = ("format", "columns", "separator", "times", "on_error")
    return {
        name: options[name]
        if given[name] is None and name in inherited
        else given[name]
        for name in names
    }


def _table(plan_update: "list[RelationUpdate]") -> "Table":
    """What would be computed of every relation."""
    from rich.table import Table

    from graphseq.cli.relations import spelt

    shown = Table(header_style="bold")
    shown.add_column("step", no_wrap=True)
    shown.add_column("edges kept")
    for name in ("rows to compute, at least", "multiply-adds or pairs"):
        shown.add_column(name, justify="right")
    for each in plan_update:
        figures = ["all", "–"]
        if each.rows is not None:
            share = each.work / each.all_work if each.all_work else 0.0
            rows = f"{each.rows:,} of {each.all_rows:,}"
            figures = [rows, f"{each.work:,} ({share:.1%})"]
        shown.add_row(*spelt(each.step), *figures)
    return shown
