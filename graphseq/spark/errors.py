"""Malformed lines and failures of Spark, reported as user-facing errors."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s
from graphseq.data.readers.errors import SHOWN, Check, Faults
from graphseq.errors import ConfigError, DataError
from graphseq.spark.batches import held

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AGAIN = "user stands on an earlier line too"
SIGN = "\x1f"  # between the parts of a note


def note(checks: Sequence[Check], lines: Int64s) -> pl.Series:
    """The first fault of each row, (E,): its rank, reason, and what was found.

    What was found is spelt out for the first lines only: more are never told.
    """
    reason = np.full(len(lines), -1)
    for number in reversed(range(len(checks))):
        reason[checks[number].faulty] = number
    rows = np.flatnonzero(reason >= 0)
    found: list[str | None] = [None] * len(lines)
    shown = set(np.unique(lines[rows])[:SHOWN].tolist())
    for row in rows.tolist():
        check = checks[reason[row]]
        told = check.found(row) if lines[row] in shown else ""
        # An even rank leaves room between for what is seen only across all files.
        found[row] = SIGN.join([str(2 * reason[row]), check.reason, told])
    return pl.Series("fault", found, dtype=pl.String)


def again(rows: "DataFrame") -> "DataFrame":
    """Note where a line of a user comes after another of the same user."""
    from pyspark.sql import functions as F

    users = rows.groupBy("user").agg(
        F.min("line").alias("first"), F.max("line").alias("last")
    )
    several = held(users.where("first < last").select("user", "first"))
    if several.isEmpty():
        return rows
    later = F.col("line") > F.col("first")
    said = F.concat_ws(SIGN, F.lit("1"), F.lit(AGAIN), F.col("user"))
    worse = F.col("fault").startswith(f"0{SIGN}")
    fault = F.when(later & ~F.coalesce(worse, F.lit(False)), said)
    joined = rows.join(several, "user", "left")
    noted = F.coalesce(fault, F.col("fault")).alias("fault")
    kept = [name for name in rows.columns if name != "fault"]
    return joined.select(*kept, noted)


class Spread(Faults):
    """The faults of rows that are spread over a cluster.

    Args:
        rows: Columns row, line and fault.
        name: Of the log, for messages.
        unit: What its lines are called.
        place: The number of a line, and what else is to be told of where it is.
    """

    def __init__(
        self, rows: "DataFrame", name: str, unit: str, place: Callable[[int], str]
    ) -> None:
        from pyspark.sql import functions as F

        super().__init__(name, unit)
        faulty = rows.where("fault is not null")
        first = F.min(F.struct("row", "fault")).alias("worst")
        lines = faulty.groupBy("line").agg(first)
        lines = held(lines.select("line", "worst.fault"))
        reason = F.split("fault", SIGN)
        counts = lines.groupBy(reason[0].alias("rank"), reason[1].alias("reason"))
        for row in sorted(counts.count().collect(), key=lambda row: int(row[0])):
            self._counts[row["reason"]] = row["count"]
        for row in lines.orderBy("line").limit(SHOWN).collect():
            _, why, found = row["fault"].split(SIGN, 2)
            if why == AGAIN:
                found = f"found {found!r}; one line holds all of a user"
            self._told.append(f"  {unit} {place(row['line'])}: {why}; {found}")
        self._lines = rows.select("line").distinct().count()
        self._sound = not rows.where("fault is null").isEmpty()


OURS = re.compile(r"graphseq\.errors\.\w+: (.*?)(?:\s+SQLSTATE: \w+)?\s*\Z", re.DOTALL)
CAUSE = re.compile(r"^\s*Caused by: (.*)$", re.MULTILINE)
FILE = re.compile(r"reading file (\S+?)\.?(?:\s|$)")


@contextmanager
def failures() -> Iterator[None]:
    """Tell what Spark raises inside the block as an error that a user can mend.

    Raises:
        DataError: A log cannot be read; what a reader said, in its words.
        ConfigError: Spark failed otherwise; the first line of the cause.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise told(error) from error


def told(error: Exception) -> DataError | ConfigError:
    """An error of Spark's in the words of ours."""
    from pyspark.errors import PythonException

    text = f"{error}\n{getattr(error, '_stackTrace', '')}"
    if ours := OURS.search(str(error)):
        return DataError(ours[1].strip())
    causes = CAUSE.findall(text)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Python tells the cause in its last line, Java in its last "Caused by".
    last = causes or (lines if isinstance(error, PythonException) else lines[:1])
    cause = (last or [type(error).__name__])[-1][:500]
    if "FAILED_READ_FILE" in text:
        file = FILE.search(text)
        name = file[1].rsplit("/", 1)[-1] if file else "a file"
        return DataError(f"Spark cannot read {name}: {cause}. Fetch or write it again")
    return ConfigError(
        f"Spark failed: {cause}. If memory ran out, give more of it "
        "(--spark-conf spark.driver.memory=8g spark.executor.memory=8g) or more "
        "partitions (--spark-conf spark.sql.shuffle.partitions=400)"
    )
