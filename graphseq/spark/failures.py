"""What Spark cannot do, told in a line; never with the stack of Java."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from graphseq.errors import ConfigError, DataError

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
