"""Users and items numbered by first appearance, on the cluster."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from graphseq.data import Vocabulary
from graphseq.data.ids import integers_if_all
from graphseq.data.readers.errors import OnError
from graphseq.spark.batches import held
from graphseq.spark.errors import Spread, again
from graphseq.spark.events import Events
from graphseq.spark.parsing import FILE, plain_path
from graphseq.spark.reading import Rows, read_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from graphseq.data.readers.formats import Columns


def read(
    spark: "SparkSession",
    path: str,
    *,
    format: str | None = None,
    columns: "Columns | None" = None,
    separator: str | None = None,
    on_error: OnError = "raise",
) -> Events:
    """Read a log as :func:`graphseq.data.read_log` does, from wherever Spark reads.

    Several files (a folder, a pattern) are one log, in the order of their paths; if the
    columns are named, then in each.

    Args:
        spark: A session.
        path: A file, a folder or a pattern, with or without a scheme such as ``hdfs:``.
        format: As there.
        columns: As there.
        separator: As there.
        on_error: As there.

    Raises:
        DataError: As there.
    """
    found = read_rows(spark, path, format=format, columns=columns, separator=separator)
    rows, skipped = found.frame, {}
    faulty = found.faulty
    if found.reading.layout.kind == "sequences":
        rows = again(rows)
        faulty |= rows is not found.frame
    size = found.size
    if faulty:
        unit = "row" if found.reading.layout.kind == "parquet" else "line"
        told = Spread(rows, found.reading.name, unit, _Places(found))
        skipped = told.settle(on_error)
        rows = rows.where("fault is null")
        size = rows.count()
    users, rows = _numbered(rows, "user", found)
    items, rows = _numbered(rows, "item", found)
    frame = held(rows.selectExpr("user", "item", "time", "row"))
    frame.count()
    found.frame.unpersist()
    return Events(frame, users, items, size, found.has_time, skipped)


def _numbered(
    rows: "DataFrame", role: str, found: Rows
) -> tuple[Vocabulary, "DataFrame"]:
    """The distinct ids of a column, and the rows with their numbers in its place."""
    import pyarrow as pa
    from pyspark.sql import functions as F

    table = rows.groupBy(role).agg(F.min("row").alias("first")).toArrow()
    order = np.argsort(table.column("first").to_numpy())
    text = table.column(role).take(pa.array(order)).combine_chunks()
    numbers = pa.array(np.arange(len(text), dtype=np.int32))
    names = rows.sparkSession.createDataFrame(pa.table({role: text, "dense": numbers}))
    others = [name for name in rows.columns if name != role]
    joined = rows.join(names, role).select(*others, F.col("dense").alias(role))
    ids = pl.Series("id", text).cast(pl.String)
    if role in found.integers:
        ids = ids.cast(pl.Int64)
    elif not found.reading.layout.text_ids:
        ids = integers_if_all(ids)
    return Vocabulary(ids), joined


class _Places:
    """The number of a line in its file, for messages.

    Spark reads a file from several places on, without counting what stands before.
    """

    def __init__(self, found: Rows) -> None:
        self._files = sorted(found.reading.files, key=found.reading.files.__getitem__)
        self._typed = found.reading.layout.kind == "parquet"
        self._before: dict[tuple[int, int], int] = {}
        if self._typed:
            return
        numbers = found.reading.files
        heights = [
            (numbers[plain_path(file)], start, height)
            for file, start, height in found.lines.groupBy("file", "start")
            .count()
            .collect()
        ]
        total = dict.fromkeys(range(len(self._files)), 0)
        for file, start, height in sorted(heights):
            self._before[file, start] = total[file]
            total[file] += height

    def __call__(self, line: int) -> str:
        file, place = line >> FILE, line & (1 << FILE) - 1
        number = place + 1
        if not self._typed:
            start = max(s for f, s in self._before if f == file and s <= place)
            number = self._before[file, start] + place - start + 1
        name = self._files[file].rsplit("/", 1)[-1]
        return f"{number} of {name}" if len(self._files) > 1 else str(number)
