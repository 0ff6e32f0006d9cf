"""Numpy on the partitions of a Spark frame, by way of Arrow.

What is called here runs in the processes that Spark starts: it imports numpy, scipy
and pyarrow, and neither torch nor the rest of graphseq.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

ROWS_AT_ONCE = 100_000  # rows of a batch that goes back to Spark
LISTS_AT_ONCE = 1_000  # the same, of rows that hold lists

Columns = dict[str, NDArray[Any]]
Step = Callable[[Columns], dict[str, Any]]


_held: "ContextVar[list[DataFrame] | None]" = ContextVar("graphseq_held", default=None)


@contextmanager
def letting_go() -> "Iterator[None]":
    """Let the cluster forget, at the end of the block, what was held in it."""
    token = _held.set([])
    try:
        yield
    finally:
        for frame in _held.get() or []:
            with suppress(Exception):  # the cluster may be gone
                frame.unpersist()
        _held.reset(token)


def held(frame: "DataFrame") -> "DataFrame":
    """Let the cluster keep a frame once it is computed, in memory or on disk."""
    frame = frame.persist()
    frames = _held.get()
    if frames is not None:
        frames.append(frame)
    return frame


# What Spark sends to its processes are functions of this module, with their first
# arguments bound: these are found there by name. A function made here would be sent
# with all that it refers to.


def mapped(frame: "DataFrame", step: Step, schema: str) -> "DataFrame":
    """Apply a step to every batch of rows, as they come."""
    return frame.mapInArrow(partial(_each, step, schema), schema)


def gathered(frame: "DataFrame", step: Step, schema: str) -> "DataFrame":
    """Apply a step to every partition as a whole, which must fit in memory."""
    return frame.mapInArrow(partial(_whole, step, schema), schema)


def grouped(
    frame: "DataFrame", key: str, step: "Callable[[pa.Table], Columns]", schema: str
) -> "DataFrame":
    """Apply a step to all rows of each value of a column, which must fit in memory."""
    # PySpark takes hints about types for wishes about how it calls: it is shown none.
    return frame.groupBy(key).applyInArrow(lambda t: _group(step, schema, t), schema)


def _each(
    step: Step, schema: str, batches: "Iterator[pa.RecordBatch]"
) -> "Iterator[pa.RecordBatch]":
    for batch in batches:
        if batch.num_rows:
            yield from spelt(step(columns(batch)), schema)


def _whole(
    step: Step, schema: str, batches: "Iterator[pa.RecordBatch]"
) -> "Iterator[pa.RecordBatch]":
    parts = [columns(batch) for batch in batches if batch.num_rows]
    if parts:
        joined = {
            name: np.concatenate([part[name] for part in parts]) for name in parts[0]
        }
        del parts
        yield from spelt(step(joined), schema)


def _group(
    step: "Callable[[pa.Table], Columns]", schema: str, table: "pa.Table"
) -> "pa.Table":
    import pyarrow as pa

    fields = pa.schema(list(_kinds(schema).items()))
    return pa.Table.from_batches(spelt(step(table), schema), fields)


def columns(batch: Any) -> Columns:
    """The columns of a batch of numbers."""
    return {
        name: batch.column(place).to_numpy(zero_copy_only=False)
        for place, name in enumerate(batch.schema.names)
    }


def spelt(made: dict[str, Any], schema: str) -> "Iterator[pa.RecordBatch]":
    """Columns as batches of the types that a schema of Spark names."""
    import pyarrow as pa

    arrays = {
        name: made[name]
        if isinstance(made[name], pa.Array)
        else pa.array(made[name]).cast(kind)
        for name, kind in _kinds(schema).items()
    }
    rows = LISTS_AT_ONCE if "array" in schema else ROWS_AT_ONCE
    yield from pa.table(arrays).to_batches(max_chunksize=rows)


def _kinds(schema: str) -> "dict[str, pa.DataType]":
    """The types of Arrow by column."""
    import pyarrow as pa

    kinds = {
        "int": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float32(),
        "string": pa.string(),
        "array<int>": pa.list_(pa.int32()),
    }
    fields = (field.split() for field in schema.split(", "))
    return {name: kinds[kind] for name, kind in fields}
