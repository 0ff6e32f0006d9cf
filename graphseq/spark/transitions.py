"""Transitions on a cluster: whole users count, then whole items weigh."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from graphseq.graphs import transitions as local
from graphseq.graphs.product import strongest
from graphseq.graphs.progress import tracked
from graphseq.spark.batches import Columns, columns, gathered, grouped
from graphseq.spark.cooccurrence import BLOCKS_A_CORE, shuffle_partitions
from graphseq.spark.kernel import EDGES
from graphseq.spark.steps import successions, weighed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

COUNTS = "source int, target int, distance int, n bigint"


class Transitions(local.Transitions):
    """The same step; its pairs are counted by a cluster."""

    frame: "DataFrame"

    @classmethod
    def of(cls, step: local.Transitions, frame: "DataFrame") -> "Transitions":
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
        """What the local step keeps, computed from the events on the cluster."""
        for _ in tracked([0], [len(user)], stage="transitions", unit="events"):
            found = self._edges().toArrow()
        source, target, weight = (found.column(n).to_numpy() for n in range(3))
        links = csr_matrix((weight, (source, target)), (num_items, num_items))
        if self.top_k is not None:
            links = strongest(links, self.top_k)
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
