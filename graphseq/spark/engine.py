"""A graph built by Spark: the same as the local engine builds."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq import graphs
from graphseq.data.readers.errors import OnError
from graphseq.data.readers.formats import Columns
from graphseq.schema import check_choices
from graphseq.spark.batches import letting_go
from graphseq.spark.errors import failures
from graphseq.spark.events import Events, Training, cut, filtered
from graphseq.spark.numbering import read
from graphseq.spark.relations import CHUNK, CoOccurrence, Transitions
from graphseq.spark.session import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Protocol = Literal["leave_one_out", "by_user", "by_time"]


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
    k_core: int | None = None,
    min_length: int | None = None,
    split: Protocol = "leave_one_out",
    seed: int = 0,
    keep_log: bool = True,
    master: str | None = None,
    conf: Mapping[str, str] | None = None,
) -> HeteroData:
    """Read a log, split it and build its graph on Spark.

    Graph and folder are those of ``read_log``, the filters and the split of
    ``graphseq.data``, ``build_graph`` and ``save_graph``: edge for edge, with the same
    hashes. The events are read, filtered and joined on the cluster; the finished graph,
    and the vocabularies, are put together at the driver, whose memory must hold them.

    Args:
        log: A file, folder or pattern on any path that Spark reads.
        steps: Relations to add. Those of classes that Spark does not know are applied
            to the graph at the driver.
        output: Folder to write, at the driver; ``None`` writes none.
        format: As :func:`graphseq.data.read_log`, like the three that follow.
        columns: As there.
        separator: As there.
        on_error: As there.
        deduplicate: Keep one of a user's repeated events of an item, before the others.
        k_core: Events that a user and an item must have, of what is left.
        min_length: Events that a user must have, of what is left then.
        split: What is held out: a function of ``graphseq.data``.
        seed: Of ``by_user``.
        keep_log: Write the whole log into the folder too, for later updates.
        master: Where to run, such as local[4] or spark://host:7077; ``None`` leaves it
            to spark-submit or its files, and else takes this machine's cores. A session
            that is active already is used, and left as it is.
        conf: Settings of Spark, by name.

    Raises:
        ConfigError: Spark is not there, does not start, or fails.
        DataError: The log cannot be read, or nothing is left of it.
        OptionError: ``on_error`` or ``deduplicate`` is none of its choices.
    """
    check_choices(build, {"on_error": on_error, "deduplicate": deduplicate})
    reading = {"format": format, "columns": columns, "separator": separator}
    filters = {"k_core": k_core, "min_length": min_length}
    with engine(master, conf) as work:
        found = work.read(str(log), **reading, on_error=on_error)
        left = work.filtered(found, deduplicate=deduplicate, **filters)
        training = work.cut(left, split, seed)
        graph = graphs.build_graph(training.split, work.spread(steps, training))
        if output is not None:
            whole = found.collect()[0] if keep_log else None
            graphs.save_graph(graph, output, log=whole)
        return graph


@dataclass(frozen=True)
class Engine:
    """The steps of a build, in a session of Spark.

    Attributes:
        spark: The session.
        chunk: Nodes of a list that travel together.
        blocks: Blocks of rows of a relation; ``None`` goes by the cluster's cores.
    """

    spark: "SparkSession"
    chunk: int = CHUNK
    blocks: int | None = None

    def read(self, log: str, **options: Any) -> Events:
        """The events of a log: as :func:`graphseq.spark.numbering.read`."""
        return read(self.spark, log, **options)

    def filtered(self, events: Events, **options: Any) -> Events:
        """What filters leave: as :func:`graphseq.spark.events.filtered`."""
        return filtered(events, **options)

    def cut(self, events: Events, protocol: str, seed: int = 0) -> Training:
        """A split, its training events still on the cluster."""
        return cut(events, protocol, seed)

    def spread(
        self, steps: Sequence[BaseTransform], training: Training
    ) -> list[BaseTransform]:
        """The steps, such that the cluster does the work of those that it knows."""
        return [self._spread(step, training.frame) for step in steps]

    def _spread(self, step: BaseTransform, frame: "DataFrame") -> BaseTransform:
        if isinstance(step, graphs.CoOccurrence):
            return CoOccurrence.of(step, frame, blocks=self.blocks, chunk=self.chunk)
        if isinstance(step, graphs.Transitions):
            return Transitions.of(step, frame)
        return step


@contextmanager
def engine(
    master: str | None = None, conf: Mapping[str, str] | None = None
) -> Iterator[Engine]:
    """An engine; what Spark fails to do inside the block is told in words of ours.

    Raises:
        ConfigError: Spark is not there, does not start, or fails.
        DataError: Spark cannot read a file.
    """
    with session(master, conf) as spark, failures(), letting_go():
        yield Engine(spark)
