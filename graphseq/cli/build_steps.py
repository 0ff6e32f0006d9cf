"""The stages of a build, read, filter and split, build, save, and where they run."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.cli.app import parse_pairs
from graphseq.cli.progress import make_console
from graphseq.cli.relations import describe_step
from graphseq.errors import ConfigError, quantity
from graphseq.folders import hashes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from rich.table import Table
    from torch_geometric.data import HeteroData
    from torch_geometric.transforms import BaseTransform

    from graphseq.cli.build import BuildOptions, ReadOptions
    from graphseq.cli.progress import Stages
    from graphseq.data import Interactions, Split
    from graphseq.graphs import RelationUpdate
    from graphseq.spark.events import Events, Training


def read(stages: "Stages", log: str | Path, options: "ReadOptions") -> "Interactions":
    """Read a log in this process."""
    stages.begin("read")
    events = read_log(log, options)
    stages.end(quantity(len(events), "event"))
    return events


def read_log(log: str | Path, options: "ReadOptions") -> "Interactions":
    """Read a log with the options of a command."""
    from graphseq import data

    return data.read_log(
        log,
        columns=_columns(options.columns),
        format=options.format,
        separator=options.separator,
        times=options.times,
        weight=None if options.weight is None else _column(options.weight),
        on_error=options.on_error or "raise",
    )


def split(stages: "Stages", log: "Interactions", options: "BuildOptions") -> "Split":
    """Deduplicate, filter and split a log, in this order."""
    from graphseq import data

    stages.begin("filter and split")
    if options.min_rating is not None:
        log = data.min_rating(log, options.min_rating)
    if options.deduplicate is not None:
        log = data.deduplicate(log, keep=options.deduplicate)
    if options.k_core is not None:
        log = data.k_core(log, user=options.k_core, item=options.k_core)
    if options.min_length is not None:
        log = data.min_length(log, options.min_length)
    if options.split == "by_user":
        found = data.by_user(log, seed=options.seed)
    elif options.split == "by_time":
        found = data.by_time(log)
    else:
        found = data.leave_one_out(log)
    stages.end(_describe(found))
    return found


def _describe(split: "Split") -> str:
    return (
        f"{quantity(len(split.train), 'training event')} of "
        f"{quantity(split.train.num_users, 'user')}, "
        f"{quantity(split.train.num_items, 'item')}"
    )


def _columns(words: Sequence[str] | None) -> dict[str, str | int] | None:
    """``user=userId time=3`` as a mapping; numbers are positions."""
    if words is None:
        return None
    pairs = parse_pairs("--columns", words, "user=userId item=movieId").items()
    return {role: _column(word) for role, word in pairs}


def _column(word: str) -> str | int:
    """A name, or a number as a position."""
    return int(word) if word.isdecimal() else word


class Local:
    """Builds in this process."""

    read, split = staticmethod(read), staticmethod(split)

    def distribute(self, steps: "Sequence[BaseTransform]") -> "Sequence[BaseTransform]":
        """The steps in the form in which this engine applies them."""
        return steps

    def collect(self, log: Any) -> "Interactions":
        """The log, in this process."""
        events: Interactions = log
        return events


class Spark:
    """Builds on Spark; this process is its driver."""

    def __init__(self, session: "SparkSession") -> None:
        self._session = session
        self._training: Training | None = None

    def read(
        self, stages: "Stages", log: str | Path, options: "ReadOptions"
    ) -> "Events":
        """Read the log on the cluster."""
        from graphseq.spark.numbering import read_events

        stages.begin("read")
        events = read_events(
            self._session,
            str(log),
            columns=_columns(options.columns),
            format=options.format,
            separator=options.separator,
            on_error=options.on_error or "raise",
        )
        stages.end(quantity(len(events), "event"))
        return events

    def split(self, stages: "Stages", log: Any, options: "BuildOptions") -> "Split":
        """Filter and split the log; the cluster keeps the training events too."""
        from graphseq.spark.events import filter_events, split_events

        stages.begin("filter and split")
        kept = filter_events(
            log,
            deduplicate=options.deduplicate,
            k_core=options.k_core,
            min_length=options.min_length,
        )
        self._training = split_events(kept, options.split, options.seed)
        stages.end(_describe(self._training.split))
        return self._training.split

    def distribute(self, steps: "Sequence[BaseTransform]") -> "Sequence[BaseTransform]":
        """The steps in the form in which this engine applies them."""
        from graphseq.spark.engine import distribute

        assert self._training is not None
        return distribute(steps, self._training)

    def collect(self, log: Any) -> "Interactions":
        """The log, fetched from the cluster."""
        events: Interactions = log.collect()[0]
        return events


@contextmanager
def open_engine(
    reading: "ReadOptions", options: "BuildOptions"
) -> "Iterator[Local | Spark]":
    """The engine of ``--engine``.

    Raises:
        ConfigError: Options of Spark are given without it, or it is not installed.
    """
    if options.engine == "local":
        for name in ("master", "spark_conf"):
            if getattr(options, name) is not None:
                option = "--" + name.replace("_", "-")
                raise ConfigError(f"{option} is an option of Spark: --engine spark")
        yield Local()
        return
    if reading.times is not None:
        raise ConfigError(
            "--times, a parallel file of timestamps, needs --engine local. For Spark, "
            "write the log as one table, such as Parquet"
        )
    if reading.weight is not None or options.min_rating is not None:
        raise ConfigError(
            "--weight and --min-rating need --engine local. Filter the log before, or "
            "build it on this machine"
        )
    from graphseq.spark.engine import engine

    example = "spark.executor.memory=8g"
    settings = parse_pairs(
        "--spark-conf", options.spark_conf, example, lambda n: n.startswith("spark.")
    )
    with engine(options.master, settings) as opened:
        yield Spark(opened)


def save(
    stages: "Stages",
    split: "Split",
    steps: "Sequence[BaseTransform]",
    record: Mapping[str, Any],
    output: Path,
    *,
    log: "Interactions | None" = None,
    older: "HeteroData | None" = None,
) -> None:
    """Build the graph and save it, with its provenance and its log.

    Unchanged rows of an older graph are reused.
    """
    from graphseq import graphs
    from graphseq.cli.provenance import BUILD
    from graphseq.graphs.progress import Advance, progress_callback

    names = [describe_step(step)[0] for step in steps]
    upcoming = iter(names)

    def watch(advance: Advance) -> None:
        if advance.unit:
            stages.advance(advance)
        else:
            stages.begin(next(upcoming))

    updates: dict[str, str] = {}
    with progress_callback(watch):
        if older is None:
            graph = graphs.build_graph(split, steps)
        else:
            graph, found = graphs.update_graph(older, split, steps)
            updates = {describe_step(each.step)[0]: _computed(each) for each in found}
    stages.begin("save")
    added = _added(graph)
    for stage in stages.finished:
        if stage.name in names:
            stage.result = added[stage.name] + updates.get(stage.name, "")
    graph.provenance[BUILD] = dict(record)
    graphs.save_graph(graph, output, log=log)
    stages.end(str(output))


def _computed(update: "RelationUpdate") -> str:
    """The part of a relation that an update computed."""
    if update.rows is None:
        return "; all rows computed"
    fraction = update.work / update.all_work if update.all_work else 0.0
    return (
        f"; {update.rows:,} of {update.all_rows:,} rows computed ({fraction:.1%} of "
        f"the work)"
    )


def show(log: object, split: "Split", table: "Table") -> None:
    """Print the log, the split and a table."""
    console = make_console()
    console.print(repr(log), highlight=False)
    console.print(repr(split), highlight=False)
    console.print(table)


def show_next(output: Path) -> None:
    """Print the hash of the saved graph, and a command that shows it."""
    print(f"hash {hashes(output)['graph_hash'][:12]}")
    print(f"next: graphseq show {shlex.quote(str(output))}")


def _added(graph: "HeteroData") -> dict[str, str]:
    """Number of edges, or of vectors, by the option that adds them."""
    from graphseq import constants

    options = {
        constants.USER_CO_OCCURS: "user-user",
        constants.ITEM_CO_OCCURS: "item-item",
        constants.PRECEDES: "transitions",
        constants.HAS_ATTRIBUTE: "attributes",
    }
    found = {
        options[relation]: quantity(graph[relation].edge_index.shape[1], "edge")
        for relation in graph.edge_types
        if relation in options
    }
    if "x" in graph[constants.ITEM]:
        number, width = graph[constants.ITEM].x.shape
        found["vectors"] = (
            f"{quantity(number, 'vector')} of {quantity(width, 'number')}"
        )
    return found
