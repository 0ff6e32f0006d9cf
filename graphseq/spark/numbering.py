"""Read a log on the cluster, with users and items numbered by first appearance."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from graphseq.data import Vocabulary
from graphseq.data.ids import integers_if_all
from graphseq.data.missing_ids import warn_of_missing
from graphseq.data.readers.errors import OnError
from graphseq.spark.batches import persist
from graphseq.spark.errors import DistributedMalformedLines, mark_repeated_users
from graphseq.spark.events import Events
from graphseq.spark.parsing import FILE_BITS, plain_path
from graphseq.spark.reading import Rows, read_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from graphseq.data.readers.formats import Columns


def read_events(
    spark: "SparkSession",
    path: str,
    *,
    format: str | None = None,
    columns: "Columns | None" = None,
    separator: str | None = None,
    on_error: OnError = "raise",
) -> Events:
    """Read a log as :func:`graphseq.data.read_log` does, from any path of Spark.

    Several files (a folder, a pattern) are one log, in the order of their paths; either
    all of them have a header, or none.

    Args:
        spark: A session.
        path: A file, a folder or a pattern, with or without a scheme such as ``hdfs:``.
        format: As for ``read_log``.
        columns: As for ``read_log``.
        separator: As for ``read_log``.
        on_error: As for ``read_log``.

    Raises:
        DataError: As ``read_log``.
    """
    found = read_rows(spark, path, format=format, columns=columns, separator=separator)
    rows, skipped = found.frame, {}
    faulty = found.faulty
    if found.parser.layout.kind == "sequences":
        rows = mark_repeated_users(rows)
        faulty |= rows is not found.frame
    size = found.size
    if faulty:
        unit = "row" if found.parser.layout.kind == "parquet" else "line"
        malformed = DistributedMalformedLines(
            rows, found.parser.name, unit, _LineNumbers(found)
        )
        skipped = malformed.finish(on_error)
        rows = rows.where("fault is null")
        size = rows.count()
    users, rows = _number(rows, "user", found)
    items, rows = _number(rows, "item", found)
    warn_of_missing("user", users.ids, stacklevel=3)
    warn_of_missing("item", items.ids, stacklevel=3)
    frame = persist(rows.selectExpr("user", "item", "time", "row"))
    frame.count()
    found.frame.unpersist()
    return Events(frame, users, items, size, found.has_time, skipped)


def _number(
    rows: "DataFrame", role: str, found: Rows
) -> tuple[Vocabulary, "DataFrame"]:
    """The vocabulary of a column, and the rows with dense ids in its place."""
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
    elif not found.parser.layout.text_ids:
        ids = integers_if_all(ids)
    return Vocabulary(ids), joined


class _LineNumbers:
    """Line numbers for messages.

    Spark reads a file in several parts, without counting the lines of earlier parts.
    """

    def __init__(self, found: Rows) -> None:
        self._files = sorted(found.parser.files, key=found.parser.files.__getitem__)
        self._typed = found.parser.layout.kind == "parquet"
        self._before: dict[tuple[int, int], int] = {}
        if self._typed:
            return
        numbers = found.parser.files
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
        file, offset = line >> FILE_BITS, line & (1 << FILE_BITS) - 1
        number = offset + 1
        if not self._typed:
            start = max(s for f, s in self._before if f == file and s <= offset)
            number = self._before[file, start] + offset - start + 1
        name = self._files[file].rsplit("/", 1)[-1]
        return f"{number} of {name}" if len(self._files) > 1 else str(number)
