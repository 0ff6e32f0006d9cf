"""Co-occurrence on a cluster: a join of the training pairs with themselves, in blocks.

Two nodes are linked if they share a neighbour. So the list of the nodes that chose a
neighbour is sent to every block of rows that has one of them; a block then holds all
that its rows meet, and computes them as the cooccurrence engine does.
"""

from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from graphseq.graphs import cooccurrence, transitions
from graphseq.graphs.product import Integers, Weight, keep_strongest, sizes_of, terms_of
from graphseq.graphs.progress import track
from graphseq.spark.batches import Columns, columns, gathered, grouped
from graphseq.spark.kernel import (
    EDGES,
    LISTS,
    Plan,
    lists,
    products,
    successions,
    weighed,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

CHUNK = 100_000  # nodes of a list that travel together
BLOCKS_A_CORE = 3  # blocks of rows for each core, so that none waits long for another


class CoOccurrence(cooccurrence.CoOccurrence):
    """The same step; its rows are kept by a cluster.

    Raises:
        GraphError: As the cooccurrence step.
    """

    frame: "DataFrame"
    blocks: int | None = None
    chunk: int = CHUNK

    @classmethod
    def of(
        cls,
        step: cooccurrence.CoOccurrence,
        frame: "DataFrame",
        *,
        blocks: int | None = None,
        chunk: int = CHUNK,
    ) -> "CoOccurrence":
        """The step, on training events with the columns user and item.

        Args:
            step: What is to be built.
            frame: Training events.
            blocks: Blocks of rows; ``None`` goes by the cores of the cluster.
            chunk: Nodes that chose one neighbour, of which more are sent in parts.
        """
        made: CoOccurrence = cls(**step.options)
        made.options = step.options
        made.frame, made.blocks, made.chunk = frame, blocks, chunk
        return made

    def kept(
        self, nodes: csr_matrix, rows: NDArray[np.int64] | None = None
    ) -> csr_matrix:
        """What the cooccurrence step keeps, computed from the events on the cluster."""
        degrees = np.diff(nodes.indptr)
        sizes = sizes_of(nodes)
        cores = self.frame.sparkSession.sparkContext.defaultParallelism
        plan = Plan(
            node=self.kind,
            weight=get_args(Weight).index(self.weight),
            top_k=self.top_k or len(degrees),
            hub_cap=self.hub_cap,
            blocks=max(1, min(self.blocks or BLOCKS_A_CORE * cores, len(degrees))),
            chunk=self.chunk,
        )
        work = int((sizes.astype(np.float64) ** 2).sum())
        stage = f"{self.kind}-{self.kind} edges"
        for _ in track([plan], [work], stage=stage, unit="multiply-adds"):
            found = self._edges(plan, degrees, sizes).toArrow()
        row, column, weight = (found.column(place).to_numpy() for place in range(3))
        links = csr_matrix((weight, (row, column)), (len(degrees), len(degrees)))
        links.sort_indices()
        return links if rows is None else links[rows]

    def _edges(self, plan: Plan, degrees: Integers, sizes: Integers) -> "DataFrame":
        """Columns source, target and weight."""
        from pyspark.sql import functions as F

        # Logarithms are taken here only, so that no two machines can differ in them.
        terms = terms_of(self.weight, sizes) if plan.sums_logarithms else None
        parts = shuffle_partitions(self.frame)
        pairs = self.frame.select("user", "item").repartition(parts, plan.neighbour)
        sent = gathered(pairs, partial(lists, plan, terms), LISTS)
        if int(sizes.max(initial=0)) > plan.chunk:
            sent = sent.repartition(parts)  # so that many tasks copy a hub's list
        sent = sent.select(
            F.explode("blocks").alias("block"), "neighbour", "term", "nodes"
        )
        return grouped(sent, "block", partial(products, plan, degrees), EDGES)


def shuffle_partitions(frame: "DataFrame") -> int:
    """Parts into which Spark cuts what it sends."""
    return int(frame.sparkSession.conf.get("spark.sql.shuffle.partitions") or 200)


COUNTS = "source int, target int, distance int, n bigint"


class Transitions(transitions.Transitions):
    """The same step; its pairs are counted by a cluster."""

    frame: "DataFrame"

    @classmethod
    def of(cls, step: transitions.Transitions, frame: "DataFrame") -> "Transitions":
        """The step, on training events with the columns of ``Events``."""
        made: Transitions = cls(**step.options)
        made.options, made.frame = step.options, frame
        return made

    def kept(
        self,
        user: NDArray[np.int64],
        item: NDArray[np.int64],
        num_items: int,
        rows: NDArray[np.int64] | None = None,
    ) -> csr_matrix:
        """What the transitions step keeps, computed from the events on the cluster."""
        for _ in track([0], [len(user)], stage="transitions", unit="events"):
            found = self._edges().toArrow()
        source, target, weight = (found.column(n).to_numpy() for n in range(3))
        links = csr_matrix((weight, (source, target)), (num_items, num_items))
        if self.top_k is not None:
            links = keep_strongest(links, self.top_k)
        links.sort_indices()
        return links if rows is None else links[rows]

    def _edges(self) -> "DataFrame":
        from pyspark.sql import functions as F

        parts = shuffle_partitions(self.frame)
        users = self.frame.repartition(parts, "user")
        step = partial(successions, self.window, self.self_loops)
        counted = gathered(users, step, COUNTS)
        blocks = BLOCKS_A_CORE * self.frame.sparkSession.sparkContext.defaultParallelism
        counted = counted.withColumn("block", F.col("source") % blocks)
        return grouped(counted, "block", partial(_weighed, self.decay), EDGES)


def _weighed(decay: float, table: "pa.Table") -> Columns:
    return weighed(decay, columns(table.combine_chunks()))
