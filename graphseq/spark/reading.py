"""Read the rows of a log on any path that Spark supports, on the cluster."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import numpy as np
import polars as pl

from graphseq.data.readers.blocks import GZIP
from graphseq.data.readers.formats import Columns, check_columns, find_roles
from graphseq.data.readers.log import choose_layout
from graphseq.data.readers.source import Source, check_text, missing_file
from graphseq.data.timestamps import (
    count_units,
    fitting,
    to_whole_numbers,
    usual_unit,
)
from graphseq.errors import DataError
from graphseq.spark.batches import persist
from graphseq.spark.parsing import KINDS, ROWS, Parser, plain_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

INTEGRAL = ("tinyint", "smallint", "int", "bigint")
WHOLE_FILES = {  # settings under which Spark does not split files
    "spark.sql.files.maxPartitionBytes": str(2**62),
    "spark.sql.files.minPartitionNum": "1",
}


class Rows(NamedTuple):
    """The rows of a log, malformed ones included, and how they were parsed.

    Attributes:
        frame: Columns of ``parsing.ROWS``; kept in memory.
        lines: Their source, with the columns file and start or number.
        parser: The parser.
        has_time: Whether the log has timestamps.
        size: Number of rows.
        faulty: Whether any row is malformed.
        integers: Roles whose ids are integers in the source.
    """

    frame: "DataFrame"
    lines: "DataFrame"
    parser: Parser
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
        DataError: The file is missing, or it lacks the requested format or columns.
    """
    if columns is not None:
        check_columns(columns)
    files = files_of(spark, path)
    name = (files[0] if len(files) == 1 else path.rstrip("/")).rsplit("/", 1)[-1]
    name = unquote(name) if len(files) == 1 else name
    source = start_of(spark, files, name)
    layout = choose_layout(source, format, columns, separator)
    numbers = {plain_path(file): n for n, file in enumerate(files)}
    parser = Parser(name, source.start, layout, columns, numbers)
    if layout.kind == "parquet":
        return _read_parquet(spark, path, parser)
    return _read_text(spark, path, parser)


def _read_text(spark: "SparkSession", path: str, parser: Parser) -> Rows:
    """Read text files."""
    table = parser.peek()
    has_time = table is not None and "time" in table.frame.columns
    if table is not None and has_time:
        units = count_units(table.frame["time"])
        parser = replace(parser, usual=usual_unit(units))
    lines = _lines(spark, path)
    before = {name: spark.conf.get(name, None) for name in WHOLE_FILES}
    try:
        if parser.layout.quotes and _splits_quotes(lines):
            for name, value in WHOLE_FILES.items():
                spark.conf.set(name, value)
            lines = _lines(spark, path)
        return _parse(lines, parser, has_time, frozenset())
    finally:
        for name, old in before.items():
            spark.conf.unset(name) if old is None else spark.conf.set(name, old)


def _lines(spark: "SparkSession", path: str) -> "DataFrame":
    """Columns value, the bytes of a line; file; start, the offset of its part."""
    from pyspark.sql import functions as F

    return spark.read.text(path, lineSep="\n").select(
        F.col("value").cast("binary"),
        F.col("_metadata.file_path").alias("file"),
        F.col("_metadata.file_block_start").alias("start"),
    )


def _splits_quotes(lines: "DataFrame") -> bool:
    """Whether Spark would split a file inside quotation marks."""
    from pyspark.sql import functions as F

    if lines.rdd.getNumPartitions() < 2:
        return False
    text = F.col("value").cast("string")
    marks = F.length(text) - F.length(F.replace(text, F.lit('"'), F.lit("")))
    parts = lines.groupBy("file", "start").agg((F.sum(marks) % 2).alias("odd"))
    return not parts.where("odd = 1").isEmpty()


def _read_parquet(spark: "SparkSession", path: str, parser: Parser) -> Rows:
    """Read Parquet files."""
    from pyspark.sql import functions as F

    frame = spark.read.parquet(path)
    header, kinds = frame.columns, dict(frame.dtypes)
    columns = find_roles(parser.name, header, parser.columns)
    names = {role: header[column] for role, column in columns.items()}
    for role in ("user", "item"):
        kind = kinds[names[role]]
        if kind not in (*INTEGRAL, "string"):
            raise DataError(
                f"{parser.name}: ids must be strings or integers; the {role} column "
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
        parser = replace(parser, usual=usual_unit(units))
    integers = {r for r in ("user", "item") if kinds[names[r]] in INTEGRAL}
    return _parse(lines, parser, "time" in names, frozenset(integers))


def _parse(
    lines: "DataFrame", parser: Parser, has_time: bool, integers: frozenset[str]
) -> Rows:
    """Parse all lines; twice if the first ones suggest another unit of time."""
    from pyspark.sql import functions as F

    typed = parser.layout.kind == "parquet"
    while True:
        step = parser.typed if typed else parser.text
        rows = persist(lines.mapInArrow(step, ROWS))
        largest = F.max(F.when(F.col("fault").isNull(), F.abs("time")))
        counts = F.count("*"), F.count("fault"), largest
        amounts = rows.groupBy("unit").agg(*counts).collect()
        units = np.zeros(KINDS, dtype=np.int64)
        steps = 0
        for unit, amount, bad, _ in amounts:
            units[unit % KINDS] += amount
            steps = max(steps, unit // KINDS if amount > bad else 0)
        if not units.sum():
            raise DataError(_empty(parser))
        usual = usual_unit(units)
        steps = fitting(steps, max((top or 0 for *_, top in amounts), default=0))
        if parser.steps or not has_time or (usual == parser.usual and not steps):
            break
        rows.unpersist()
        parser = replace(
            parser, usual=usual, steps=steps if usual == parser.usual else 0
        )
    faulty = any(bad for _, _, bad, _ in amounts)
    size = int(units.sum())
    return Rows(rows, lines, parser, has_time, size, faulty, integers)


def _empty(parser: Parser) -> str:
    if parser.layout.kind == "parquet":
        return f"{parser.name} is empty: it has columns but no rows"
    return f"{parser.name} has a header and no line below it"


HEAD = 50  # lines from which a format is detected


def files_of(spark: "SparkSession", path: str) -> list[str]:
    """The files that a path matches, in the order of their names.

    Raises:
        DataError: There are none.
    """
    from pyspark.errors import AnalysisException

    try:
        found = spark.read.text(path, lineSep="\n").inputFiles()
    except AnalysisException as error:
        if "PATH_NOT_FOUND" not in str(error):
            raise
        local = Path(path.removeprefix("file://"))
        remote = f"Spark finds no file {path}. Check the path"
        message = remote if "://" in path else missing_file(local)
        raise DataError(message) from error
    if not found:
        raise DataError(f"{path} contains no file that Spark reads. Check the path")
    return sorted(found, key=unquote)


def start_of(spark: "SparkSession", files: list[str], name: str) -> Source:
    """The first lines of the first file with lines that are not blank.

    Raises:
        DataError: All files are blank, or the first is not text.
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
                    f"{name} is a gzip without the extension .gz, by which Spark "
                    "recognises it. Rename it to end in .gz"
                )
            check_text(Path(name), start)
            return Source(Path(name), start)
    raise DataError(f"{name} is empty: it has no lines. Check the path")


def _literal(file: str) -> str:
    """A path with its pattern characters escaped."""
    return "".join("\\" + sign if sign in "[]{}*?\\" else sign for sign in file)
