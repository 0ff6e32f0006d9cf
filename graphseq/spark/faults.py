"""Faulty lines: noted where they are read, told at the driver in the usual words."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from graphseq.data.columns import Int64s
from graphseq.data.readers.faults import SHOWN, Check, Faults
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
