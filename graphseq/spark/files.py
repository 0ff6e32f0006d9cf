"""The files behind a path of Spark's, and how the first of them begins."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from graphseq.data.readers.blocks import GZIP
from graphseq.data.readers.source import Source, absent, refuse_binary
from graphseq.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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
