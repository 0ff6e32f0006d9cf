"""Build a graph on Spark, identical to that of the local engine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq import graphs
from graphseq.data.readers.errors import OnError
from graphseq.data.readers.formats import Columns
from graphseq.schema import Size, checked
from graphseq.spark.batches import unpersist_after
from graphseq.spark.errors import failures
from graphseq.spark.events import Training, filter_events, split_events
from graphseq.spark.numbering import read_events
from graphseq.spark.relations import CHUNK, CoOccurrence, Transitions
from graphseq.spark.session import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Method = Literal["leave_one_out", "by_user", "by_time"]


@checked
def build(
    log: str | Path,
    steps: Sequence[BaseTransform] = (),
    *,
    output: str | Path | None = None,
    format: str | None = None,
    columns: Columns | None = None,
    separator: str | None = None,
    on_error: OnError = "raise",
    deduplicate: Literal["first", "last"] | None = None,
    k_core: Size | None = None,
    min_length: int | None = None,
    split: Method = "leave_one_out",
    seed: int = 0,
    keep_log: bool = True,
    master: str | None = None,
    conf: Mapping[str, str] | None = None,
) -> HeteroData:
    """Read a log, split it and build its graph on Spark.

    The graph and its folder equal those of ``read_log``, the filters and splits of
    ``graphseq.data``, ``build_graph`` and ``save_graph``: edge for edge, with the same
    hashes. The events are read, filtered and joined on the cluster; the graph and the
    vocabularies are assembled at the driver, whose memory must hold them.

    Args:
        log: A file, folder or pattern on any path that Spark supports.
        steps: Relations to add. Steps without a distributed form run at the driver.
        output: Folder to write, at the driver; ``None`` writes none.
        format: As for :func:`graphseq.data.read_log`.
        columns: As for :func:`graphseq.data.read_log`.
        separator: As for :func:`graphseq.data.read_log`.
        on_error: As for :func:`graphseq.data.read_log`.
        deduplicate: Keep the first or last of a user's repeated events of an item.
        k_core: Minimum number of events per user and item, after that.
        min_length: Minimum number of events per user, after that.
        split: The function of ``graphseq.data`` that splits the log.
        seed: Seed of ``by_user``.
        keep_log: Write the whole log into the folder too, for later updates.
        master: Where to run, such as local[4] or spark://host:7077; ``None`` uses the
            settings of spark-submit, or else the cores of this machine. An active
            session is used as it is.
        conf: Spark settings by name.

    Raises:
        ConfigError: Spark is not installed, does not start, or fails.
        DataError: The log cannot be read, or no event remains.
        OptionError: An argument is out of range.
    """
    with engine(master, conf) as spark:
        events = read_events(
            spark,
            str(log),
            format=format,
            columns=columns,
            separator=separator,
            on_error=on_error,
        )
        filtered = filter_events(
            events, deduplicate=deduplicate, k_core=k_core, min_length=min_length
        )
        training = split_events(filtered, split, seed)
        graph = graphs.build_graph(training.split, distribute(steps, training))
        if output is not None:
            full_log = events.collect()[0] if keep_log else None
            graphs.save_graph(graph, output, log=full_log)
        return graph


def distribute(
    steps: Sequence[BaseTransform],
    training: Training,
    *,
    chunk: int = CHUNK,
    blocks: int | None = None,
) -> list[BaseTransform]:
    """The steps, with their distributed form where there is one.

    Args:
        steps: Relations to add.
        training: The training events on the cluster.
        chunk: Longest list of nodes that is sent in one piece.
        blocks: Blocks of nodes of a relation; ``None`` uses 3 per core.
    """
    frame = training.frame
    found: list[BaseTransform] = []
    for step in steps:
        if isinstance(step, graphs.CoOccurrence):
            step = CoOccurrence.of(step, frame, blocks=blocks, chunk=chunk)
        elif isinstance(step, graphs.Transitions):
            step = Transitions.of(step, frame)
        found.append(step)
    return found


@contextmanager
def engine(
    master: str | None = None, conf: Mapping[str, str] | None = None
) -> Iterator["SparkSession"]:
    """A session; failures of Spark inside the block become user-facing errors.

    Raises:
        ConfigError: Spark is not installed, does not start, or fails.
        DataError: Spark cannot read a file.
    """
    with session(master, conf) as spark, failures(), unpersist_after():
        yield spark
