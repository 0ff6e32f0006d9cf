"""A Spark session: the active one, or a new one that is stopped afterwards."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.drafts import temporary_folder
from graphseq.errors import ConfigError
from graphseq.runtime import available_memory

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEEDED = ("pyspark", "pyarrow", "pandas")
CONFIGURED = ("PYSPARK_GATEWAY_PORT", "SPARK_CONF_DIR", "SPARK_HOME")
"""If one of these is set, spark-submit or its files configure where to run."""
LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.maxResultSize": "0",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
}


@contextmanager
def session(
    master: str | None = None, conf: Mapping[str, str] | None = None
) -> "Iterator[SparkSession]":
    """The active session, which is kept; or else a new one, which is stopped.

    Args:
        master: Where to run, such as local[4] or spark://host:7077; ``None`` uses the
            settings of spark-submit, or else the cores of this machine.
        conf: Spark settings by name; they override the defaults here.

    Raises:
        ConfigError: PySpark or Java is not installed, Spark does not start, or the
            active session has another master or other settings.
    """
    check_installed()
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        _check_same(active, master, conf or {})
        yield active
        return
    with temporary_folder() as folder:
        made = _start(master, dict(conf or {}), folder)
        try:
            yield made
        finally:
            made.stop()


def check_installed() -> None:
    """Check that Spark can run.

    Raises:
        ConfigError: PySpark, a package that it needs, or Java is not installed.
    """
    from importlib.util import find_spec

    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise ConfigError(
            f"the Spark engine needs {' and '.join(lacking)}, which "
            f"{'are' if lacking[1:] else 'is'} not installed. Run "
            "pip install 'graphseq[spark]', or use --engine local"
        )
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if java is None or not Path(java).exists():
        where = f"under JAVA_HOME, {home}" if home else "on the PATH"
        raise ConfigError(
            f"Spark needs Java, which was not found {where}. Install Java 17 or later "
            "and set JAVA_HOME, or use --engine local"
        )


def _check_same(
    active: "SparkSession", master: str | None, conf: Mapping[str, str]
) -> None:
    wanted = dict(conf) if master is None else {"spark.master": master, **conf}
    others = [n for n, value in wanted.items() if active.conf.get(n, "") != value]
    if others:
        raise ConfigError(
            f"the active Spark session of this process has another {', '.join(others)} "
            "than requested. Omit that setting, or stop the session"
        )


def _start(master: str | None, conf: dict[str, str], folder: Path) -> "SparkSession":
    """Start a session; its temporary files are in Spark's own folders."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    local = _is_local(master)
    settings = {"spark.sql.execution.arrow.pyspark.enabled": "true"}
    if local:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        warehouse = {"spark.sql.warehouse.dir": str(folder / "warehouse")}
        settings |= LOCAL | warehouse | {"spark.driver.memory": _heap()}
    builder = SparkSession.builder.appName("graphseq build")
    if master is not None:
        builder = builder.master(master)
    for name, value in (settings | conf).items():
        builder = builder.config(name, value)
    java_log = folder / "java.txt"
    try:
        with _stderr_into(java_log) if local else open(os.devnull):
            made = builder.getOrCreate()
    except (PySparkException, RuntimeError, OSError) as error:
        raise ConfigError(
            f"Spark does not start on {master or 'this machine'}: "
            f"{_cause(java_log) or first_line(error)}. Check --master and "
            "--spark-conf, and that Java is version 17 or later"
        ) from error
    made.sparkContext.setLogLevel("OFF" if local else "ERROR")
    return made


@contextmanager
def _stderr_into(file: Path) -> Iterator[None]:
    """Redirect stderr of the processes started inside the block to a file."""
    sys.stderr.flush()
    before = os.dup(2)
    target = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(target)


def _cause(file: Path) -> str:
    """The first line in which Java reports an error."""
    lines = file.read_text("utf-8", "replace").splitlines() if file.exists() else []
    errors = [line for line in lines if "rror" in line or "xception" in line]
    return errors[0].strip()[:300] if errors else ""


def first_line(error: BaseException) -> str:
    """The message of an error, without the stack trace that some include."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:500] if lines else type(error).__name__


def _is_local(master: str | None) -> bool:
    if master is None:
        return not any(name in os.environ for name in CONFIGURED)
    return master.startswith("local")


def _heap() -> str:
    """Memory for Java: a third of the free memory, from 1 to 32 GB."""
    free = available_memory() or 6 * 2**30
    return f"{min(max(free // 3 // 2**20, 1024), 32 * 1024)}m"
