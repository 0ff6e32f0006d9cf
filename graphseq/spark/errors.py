"""Malformed lines and failures of Spark, reported as user-facing errors."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s
from graphseq.data.readers.errors import SHOWN, Check, MalformedLines, first_reasons
from graphseq.data.readers.sequences import REPEATED_USER, repeated_user
from graphseq.errors import ConfigError, DataError
from graphseq.spark.batches import persist

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SEPARATOR = "\x1f"  # between the parts of a fault


def encode_faults(checks: Sequence[Check], lines: Int64s) -> pl.Series:
    """The first fault of each row, (E,): its rank, its reason, and what was found.

    Only the first lines get the last part: the others are never shown.
    """
    reason = first_reasons(checks, len(lines))
    rows = np.flatnonzero(reason >= 0)
    found: list[str | None] = [None] * len(lines)
    shown = set(np.unique(lines[rows])[:SHOWN].tolist())
    for row in rows.tolist():
        check = checks[reason[row]]
        detail = check.found(row) if lines[row] in shown else ""
        # Ranks are even: an odd one is for the check that needs all files.
        found[row] = SEPARATOR.join([str(2 * reason[row]), check.reason, detail])
    return pl.Series("fault", found, dtype=pl.String)


def mark_repeated_users(rows: "DataFrame") -> "DataFrame":
    """Mark the lines of a user that follow another line of the same user."""
    from pyspark.sql import functions as F

    users = rows.groupBy("user").agg(
        F.min("line").alias("first"), F.max("line").alias("last")
    )
    several = persist(users.where("first < last").select("user", "first"))
    if several.isEmpty():
        return rows
    later = F.col("line") > F.col("first")
    repeated = F.concat_ws(SEPARATOR, F.lit("1"), F.lit(REPEATED_USER), F.col("user"))
    worse = F.col("fault").startswith(f"0{SEPARATOR}")
    fault = F.when(later & ~F.coalesce(worse, F.lit(False)), repeated)
    joined = rows.join(several, "user", "left")
    marked = F.coalesce(fault, F.col("fault")).alias("fault")
    kept = [name for name in rows.columns if name != "fault"]
    return joined.select(*kept, marked)


class DistributedMalformedLines(MalformedLines):
    """The malformed lines of rows on a cluster.

    Args:
        rows: Columns row, line and fault.
        name: Name of the log, for messages.
        unit: "line" or "row", for messages.
        locate: Describes where a line is: its number, and its file if needed.
    """

    def __init__(
        self, rows: "DataFrame", name: str, unit: str, locate: Callable[[int], str]
    ) -> None:
        from pyspark.sql import functions as F

        super().__init__(name, unit)
        faulty = rows.where("fault is not null")
        first = F.min(F.struct("row", "fault")).alias("worst")
        lines = faulty.groupBy("line").agg(first)
        lines = persist(lines.select("line", "worst.fault"))
        reason = F.split("fault", SEPARATOR)
        counts = lines.groupBy(reason[0].alias("rank"), reason[1].alias("reason"))
        for row in sorted(counts.count().collect(), key=lambda row: int(row[0])):
            self._counts[row["reason"]] = row["count"]
        for row in lines.orderBy("line").limit(SHOWN).collect():
            _, why, found = row["fault"].split(SEPARATOR, 2)
            if why == REPEATED_USER:
                found = repeated_user(found)
            self._shown.append(f"  {unit} {locate(row['line'])}: {why}; {found}")
        self._lines = rows.select("line").distinct().count()
        self._any_valid = not rows.where("fault is null").isEmpty()


OURS = re.compile(r"graphseq\.errors\.\w+: (.*?)(?:\s+SQLSTATE: \w+)?\s*\Z", re.DOTALL)
CAUSE = re.compile(r"^\s*Caused by: (.*)$", re.MULTILINE)
FILE = re.compile(r"reading file (\S+?)\.?(?:\s|$)")


@contextmanager
def failures() -> Iterator[None]:
    """Convert the exceptions of Spark inside the block to user-facing errors.

    Raises:
        DataError: A log cannot be read; the message is that of the reader.
        ConfigError: Spark failed otherwise; the message is the first line of its cause.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise user_error(error) from error


def user_error(error: Exception) -> DataError | ConfigError:
    """The user-facing error for an exception of Spark, without Java's stack trace."""
    from pyspark.errors import PythonException

    text = f"{error}\n{getattr(error, '_stackTrace', '')}"
    if ours := OURS.search(str(error)):
        return DataError(ours[1].strip())
    causes = CAUSE.findall(text)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Python reports the cause in its last line, Java in its last "Caused by".
    last = causes or (lines if isinstance(error, PythonException) else lines[:1])
    cause = (last or [type(error).__name__])[-1][:500]
    if "FAILED_READ_FILE" in text:
        file = FILE.search(text)
        name = file[1].rsplit("/", 1)[-1] if file else "a file"
        return DataError(
            f"Spark cannot read {name}: {cause}. Download or write it again"
        )
    return ConfigError(
        f"Spark failed: {cause}. If memory ran out, allow more of it "
        "(--spark-conf spark.driver.memory=8g spark.executor.memory=8g) or use more "
        "partitions (--spark-conf spark.sql.shuffle.partitions=400)"
    )
