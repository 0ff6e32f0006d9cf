"""Apply numpy functions to the partitions of a Spark frame, through Arrow.

The functions run in the worker processes of Spark: these import numpy, scipy and
pyarrow, but neither torch nor the rest of graphseq.
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

BATCH_ROWS = 100_000  # rows of a batch that is returned to Spark
BATCH_LISTS = 1_000  # the same, for rows that hold lists

Columns = dict[str, NDArray[Any]]
Step = Callable[[Columns], dict[str, Any]]


_persisted: "ContextVar[list[DataFrame] | None]" = ContextVar(
    "graphseq_persisted", default=None
)


@contextmanager
def unpersist_after() -> "Iterator[None]":
    """Remove the frames that :func:`persist` kept, at the end of the block."""
    token = _persisted.set([])
    try:
        yield
    finally:
        for frame in _persisted.get() or []:
            with suppress(Exception):  # the cluster may have stopped
                frame.unpersist()
        _persisted.reset(token)


def persist(frame: "DataFrame") -> "DataFrame":
    """Keep a frame on the cluster once it is computed, in memory or on disk."""
    frame = frame.persist()
    frames = _persisted.get()
    if frames is not None:
        frames.append(frame)
    return frame


# Spark pickles functions of this module by name, with their first arguments bound. A
# closure would be pickled with everything that it refers to.


def map_batches(frame: "DataFrame", step: Step, schema: str) -> "DataFrame":
    """Apply a step to each batch of rows."""
    return frame.mapInArrow(partial(_each, step, schema), schema)


def map_partitions(frame: "DataFrame", step: Step, schema: str) -> "DataFrame":
    """Apply a step to each whole partition, which must fit in memory."""
    return frame.mapInArrow(partial(_whole, step, schema), schema)


def map_groups(
    frame: "DataFrame", key: str, step: "Callable[[pa.Table], Columns]", schema: str
) -> "DataFrame":
    """Apply a step to each group of rows, which must fit in memory."""
    # PySpark infers the calling convention from type hints: a lambda has none.
    return frame.groupBy(key).applyInArrow(lambda t: _group(step, schema, t), schema)


def _each(
    step: Step, schema: str, batches: "Iterator[pa.RecordBatch]"
) -> "Iterator[pa.RecordBatch]":
    for batch in batches:
        if batch.num_rows:
            yield from to_batches(step(columns(batch)), schema)


def _whole(
    step: Step, schema: str, batches: "Iterator[pa.RecordBatch]"
) -> "Iterator[pa.RecordBatch]":
    parts = [columns(batch) for batch in batches if batch.num_rows]
    if parts:
        joined = {
            name: np.concatenate([part[name] for part in parts]) for name in parts[0]
        }
        del parts
        yield from to_batches(step(joined), schema)


def _group(
    step: "Callable[[pa.Table], Columns]", schema: str, table: "pa.Table"
) -> "pa.Table":
    import pyarrow as pa

    fields = pa.schema(list(_arrow_types(schema).items()))
    return pa.Table.from_batches(to_batches(step(table), schema), fields)


def columns(batch: Any) -> Columns:
    """The columns of a numeric batch."""
    return {
        name: batch.column(index).to_numpy(zero_copy_only=False)
        for index, name in enumerate(batch.schema.names)
    }


def to_batches(made: dict[str, Any], schema: str) -> "Iterator[pa.RecordBatch]":
    """Columns as batches, with the types of a Spark schema."""
    import pyarrow as pa

    arrays = {
        name: made[name]
        if isinstance(made[name], pa.Array)
        else pa.array(made[name]).cast(kind)
        for name, kind in _arrow_types(schema).items()
    }
    rows = BATCH_LISTS if "array" in schema else BATCH_ROWS
    yield from pa.table(arrays).to_batches(max_chunksize=rows)


def _arrow_types(schema: str) -> "dict[str, pa.DataType]":
    """The Arrow type of each column."""
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
