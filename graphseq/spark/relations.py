"""Relations on a cluster: co-occurrence in blocks of nodes, and transitions.

Two nodes co-occur if they share a neighbour. So each neighbour's list of nodes is sent
to every block with one of them; a block then has all data of its nodes, and runs the
same kernel as the local engine.
"""

from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from graphseq.constants import EdgeWeight
from graphseq.graphs import cooccurrence, transitions
from graphseq.graphs.product import Integers, keep_strongest, sizes_of, terms_of
from graphseq.graphs.progress import track
from graphseq.spark.batches import Columns, columns, map_groups, map_partitions
from graphseq.spark.kernel import (
    EDGES,
    LISTS,
    Plan,
    count_transitions,
    node_lists,
    products,
    weigh_transitions,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

CHUNK = 100_000  # longest list of nodes that is sent in one piece
BLOCKS_PER_CORE = 3  # so that cores finish at about the same time


class CoOccurrence(cooccurrence.CoOccurrence):
    """The local step, computed on a cluster.

    Raises:
        GraphError: As the local step.
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
        """The distributed form of a step.

        Args:
            step: The local step.
            frame: Training events, with the columns user and item.
            blocks: Blocks of nodes; ``None`` uses 3 per core of the cluster.
            chunk: Longest list of nodes that is sent in one piece.
        """
        made: CoOccurrence = cls(**step.options)
        made.options = step.options
        made.frame, made.blocks, made.chunk = frame, blocks, chunk
        return made

    def pruned(
        self, nodes: csr_matrix, rows: NDArray[np.int64] | None = None
    ) -> csr_matrix:
        """The edges that the local step keeps, computed on the cluster."""
        degrees = np.diff(nodes.indptr)
        sizes = sizes_of(nodes)
        cores = self.frame.sparkSession.sparkContext.defaultParallelism
        plan = Plan(
            node=self.kind,
            weight=get_args(EdgeWeight).index(self.weight),
            top_k=self.top_k or len(degrees),
            hub_cap=self.hub_cap,
            blocks=max(1, min(self.blocks or BLOCKS_PER_CORE * cores, len(degrees))),
            chunk=self.chunk,
        )
        work = int((sizes.astype(np.float64) ** 2).sum())
        stage = f"{self.kind}-{self.kind} edges"
        for _ in track([plan], [work], stage=stage, unit="multiply-adds"):
            found = self._edges(plan, degrees, sizes).toArrow()
        row, column, weight = (found.column(n).to_numpy() for n in range(3))
        links = csr_matrix((weight, (row, column)), (len(degrees), len(degrees)))
        links.sort_indices()
        return links if rows is None else links[rows]

    def _edges(self, plan: Plan, degrees: Integers, sizes: Integers) -> "DataFrame":
        """Columns source, target and weight."""
        from pyspark.sql import functions as F

        # Logarithms are computed here only, so that machines cannot differ in them.
        terms = terms_of(self.weight, sizes) if plan.sums_logarithms else None
        parts = shuffle_partitions(self.frame)
        pairs = self.frame.select("user", "item").repartition(parts, plan.neighbour)
        sent = map_partitions(pairs, partial(node_lists, plan, terms), LISTS)
        if int(sizes.max(initial=0)) > plan.chunk:
            sent = sent.repartition(parts)  # so that many tasks copy a hub's list
        sent = sent.select(
            F.explode("blocks").alias("block"), "neighbour", "term", "nodes"
        )
        return map_groups(sent, "block", partial(products, plan, degrees), EDGES)


def shuffle_partitions(frame: "DataFrame") -> int:
    """Number of partitions of a shuffle."""
    return int(frame.sparkSession.conf.get("spark.sql.shuffle.partitions") or 200)


COUNTS = "source int, target int, distance int, n bigint"


class Transitions(transitions.Transitions):
    """The local step, computed on a cluster."""

    frame: "DataFrame"

    @classmethod
    def of(cls, step: transitions.Transitions, frame: "DataFrame") -> "Transitions":
        """The distributed form of a step, on training events of ``Events.frame``."""
        made: Transitions = cls(**step.options)
        made.options, made.frame = step.options, frame
        return made

    def pruned(
        self,
        user: NDArray[np.int64],
        item: NDArray[np.int64],
        num_items: int,
        rows: NDArray[np.int64] | None = None,
    ) -> csr_matrix:
        """The edges that the local step keeps, computed on the cluster."""
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
        step = partial(count_transitions, self.window, self.self_loops)
        counted = map_partitions(users, step, COUNTS)
        blocks = (
            BLOCKS_PER_CORE * self.frame.sparkSession.sparkContext.defaultParallelism
        )
        counted = counted.withColumn("block", F.col("source") % blocks)
        return map_groups(counted, "block", partial(_weigh, self.decay), EDGES)


def _weigh(decay: float, table: "pa.Table") -> Columns:
    return weigh_transitions(decay, columns(table.combine_chunks()))
