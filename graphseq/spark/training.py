"""The training events of a split, spread over a cluster."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from graphseq import data
from graphseq.data import Interactions, Split
from graphseq.data.columns import Int64s
from graphseq.errors import GraphError
from graphseq.spark.batches import held, mapped
from graphseq.spark.events import SCHEMA, Events
from graphseq.spark.steps import before

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Training:
    """Training events in both places.

    Attributes:
        split: At the driver, where they become the graph's edges.
        frame: On the cluster: columns user, item, time and row.
    """

    split: Split
    frame: "DataFrame"


def cut(events: Events, protocol: str, seed: int = 0) -> Training:
    """Split events as the function of ``graphseq.data`` of this name does.

    That function does it, at the driver: what it makes, the histories and targets, is
    what the graph holds. The cluster keeps of each user what comes before the first
    event that does not train.

    Raises:
        DataError: As that function.
    """
    log, row = events.collect()
    options: dict[str, Any] = {"seed": seed} if protocol == "by_user" else {}
    split: Split = getattr(data, protocol)(log, **options)
    time, first = _ends(log, row, split, events.has_time)
    frame = held(mapped(events.frame, partial(before, time, first), SCHEMA))
    return Training(split, frame)


def _ends(
    log: Interactions, row: Int64s, split: Split, has_time: bool
) -> tuple[Int64s, Int64s]:
    """Time and row of each user's first event that does not train, (U,) each."""
    end = log.pointers[:-1] + split.train.lengths
    trains = np.arange(len(log)) < end[log.user]
    if not np.array_equal(log.item[trains], split.train.item):
        raise GraphError(
            f"{split.protocol} trains on events that come after others that it holds "
            "out; the Spark engine cannot tell them apart"
        )
    held = split.train.lengths < log.lengths
    time, first = np.full((2, log.num_users), NEVER)
    first[held] = row[end[held]]
    time[held] = log.time[end[held]] if has_time else first[held]
    return time, first
