"""Logs on any path that Spark reads, as rows on the cluster."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import numpy as np
import polars as pl

from graphseq.data.readers.formats import Columns, check_columns, find_roles
from graphseq.data.readers.log import layout_of
from graphseq.data.readers.source import GZIP, Source, absent, refuse_binary
from graphseq.data.timestamps import (
    count_units,
    to_whole_numbers,
    usual_unit,
)
from graphseq.errors import DataError
from graphseq.spark.batches import held
from graphseq.spark.parsing import ROWS, Reading, plain_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

INTEGRAL = ("tinyint", "smallint", "int", "bigint")
WHOLE = {  # settings under which Spark cuts no file
    "spark.sql.files.maxPartitionBytes": str(2**62),
    "spark.sql.files.minPartitionNum": "1",
}


class Rows(NamedTuple):
    """The rows of a log, faulty ones included, and how they were read.

    Attributes:
        frame: Columns of ``parsing.ROWS``; kept in memory.
        lines: What they were read from, with the columns file and start or number.
        reading: How.
        has_time: Whether the log has times.
        size: Number of rows.
        faulty: Whether some are.
        integers: Roles whose ids are integers in the source.
    """

    frame: "DataFrame"
    lines: "DataFrame"
    reading: Reading
    has_time: bool
    size: int
    faulty: bool
    integers: frozenset[str]


def read_rows(
    spark: "SparkSession",
    path: str,
    *,
    format: str | None = None,
    columns: Columns | None = None,
    separator: str | None = None,
) -> Rows:
    """Read the files of a log.

    Raises:
        DataError: There is none, or its format or columns are not as asked for.
    """
    if columns is not None:
        check_columns(columns)
    files = files_of(spark, path)
    name = (files[0] if len(files) == 1 else path.rstrip("/")).rsplit("/", 1)[-1]
    name = unquote(name) if len(files) == 1 else name
    source = start_of(spark, files, name)
    layout = layout_of(source, format, columns, separator)
    if layout.kind == "sequences" and columns is not None:
        raise DataError("format='sequences' has no columns to name: leave columns=")
    numbers = {plain_path(file): n for n, file in enumerate(files)}
    reading = Reading(name, source.start, layout, columns, numbers)
    if layout.kind == "parquet":
        return _typed(spark, path, reading)
    return _text(spark, path, reading)


def _text(spark: "SparkSession", path: str, reading: Reading) -> Rows:
    """Rows of files of lines."""
    table = reading.peek()
    has_time = table is not None and "time" in table.frame.columns
    if table is not None and has_time:
        units = count_units(table.frame["time"])
        reading = replace(reading, usual=usual_unit(units))
    lines = _lines(spark, path)
    before = {name: spark.conf.get(name, None) for name in WHOLE}
    try:
        if reading.layout.kind == "delimited" and _cuts_quotations(lines):
            for name, value in WHOLE.items():
                spark.conf.set(name, value)
            lines = _lines(spark, path)
        return _counted(lines, reading, has_time, frozenset())
    finally:
        for name, old in before.items():
            spark.conf.unset(name) if old is None else spark.conf.set(name, old)


def _lines(spark: "SparkSession", path: str) -> "DataFrame":
    """Columns value, the bytes of a line; file; start, where Spark began to read."""
    from pyspark.sql import functions as F

    return spark.read.text(path, lineSep="\n").select(
        F.col("value").cast("binary"),
        F.col("_metadata.file_path").alias("file"),
        F.col("_metadata.file_block_start").alias("start"),
    )


def _cuts_quotations(lines: "DataFrame") -> bool:
    """Whether Spark would cut a file between quotation marks."""
    from pyspark.sql import functions as F

    if lines.rdd.getNumPartitions() < 2:
        return False
    text = F.col("value").cast("string")
    marks = F.length(text) - F.length(F.replace(text, F.lit('"'), F.lit("")))
    parts = lines.groupBy("file", "start").agg((F.sum(marks) % 2).alias("odd"))
    return not parts.where("odd = 1").isEmpty()


def _typed(spark: "SparkSession", path: str, reading: Reading) -> Rows:
    """Rows of Parquet files."""
    from pyspark.sql import functions as F

    frame = spark.read.parquet(path)
    header, kinds = frame.columns, dict(frame.dtypes)
    places = find_roles(reading.name, header, reading.columns)
    names = {role: header[place] for role, place in places.items()}
    for role in ("user", "item"):
        kind = kinds[names[role]]
        if kind not in (*INTEGRAL, "string"):
            raise DataError(
                f"{reading.name}: ids are strings or integers; the {role} column "
                f"{names[role]!r} holds {kind}. Cast it before writing"
            )
    lines = frame.select(
        *(F.col(f"`{name}`").alias(role) for role, name in names.items()),
        F.col("_metadata.file_path").alias("file"),
        F.col("_metadata.row_index").alias("number"),
    )
    if "time" in names:
        head = pl.Series(lines.select("time").limit(HEAD).toArrow().column("time"))
        units = count_units(to_whole_numbers(head))
        reading = replace(reading, usual=usual_unit(units))
    integers = {r for r in ("user", "item") if kinds[names[r]] in INTEGRAL}
    return _counted(lines, reading, "time" in names, frozenset(integers))


def _counted(
    lines: "DataFrame", reading: Reading, has_time: bool, integers: frozenset[str]
) -> Rows:
    """Parse everything once; once more, if the times are of another unit after all."""
    from pyspark.sql import functions as F

    typed = reading.layout.kind == "parquet"
    while True:
        step = reading.typed if typed else reading.text
        rows = held(lines.mapInArrow(step, ROWS))
        amounts = rows.groupBy("unit").agg(F.count("*"), F.count("fault")).collect()
        units = np.zeros(5, dtype=np.int64)
        for unit, amount, _ in amounts:
            units[unit] = amount
        if not units.sum():
            raise DataError(_empty(reading))
        if not has_time or usual_unit(units) == reading.usual:
            break
        rows.unpersist()
        reading = replace(reading, usual=usual_unit(units))
    faulty = any(bad for _, _, bad in amounts)
    size = int(units.sum())
    return Rows(rows, lines, reading, has_time, size, faulty, integers)


def _empty(reading: Reading) -> str:
    if reading.layout.kind == "parquet":
        return f"{reading.name} is empty: it has columns and no row"
    return f"{reading.name} has a header and no line below it"


HEAD = 50  # lines from which a format is recognised


def files_of(spark: "SparkSession", path: str) -> list[str]:
    """The files behind a path, in the order of their names.

    Raises:
        DataError: There is none.
    """
    from pyspark.errors import AnalysisException

    try:
        found = spark.read.text(path, lineSep="\n").inputFiles()
    except AnalysisException as error:
        if "PATH_NOT_FOUND" not in str(error):
            raise
        local = Path(path.removeprefix("file://"))
        told = f"Spark finds no file {path}. Check the path"
        raise DataError(told if "://" in path else absent(local)) from error
    if not found:
        raise DataError(f"{path} holds no file that Spark reads")
    return sorted(found, key=unquote)


def start_of(spark: "SparkSession", files: list[str], name: str) -> Source:
    """The first lines of the first file that has some that are not blank.

    Raises:
        DataError: There is none, or it is not text.
    """
    from pyspark.sql import functions as F

    for file in files:
        lines = spark.read.text(_literal(unquote(file)), lineSep="\n")
        lines = lines.where("_metadata.file_block_start = 0 and trim(value) <> ''")
        lines = lines.where(~F.col("value").rlike(r"^\s*$"))
        found = lines.select(F.col("value").cast("binary")).limit(HEAD).collect()
        start = b"".join(bytes(row[0]) + b"\n" for row in found)
        if start.strip():
            if start.startswith(GZIP):
                raise DataError(
                    f"{name} is packed with gzip, but is not called so; Spark goes by "
                    "the name. Rename it to end in .gz"
                )
            refuse_binary(Path(name), start)
            return Source(Path(name), start)
    raise DataError(f"{name} is empty: it holds no line to read")


def _literal(file: str) -> str:
    """A path in which no sign stands for others."""
    return "".join("\\" + sign if sign in "[]{}*?\\" else sign for sign in file)
