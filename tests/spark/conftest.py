"""One session of Spark for all tests; they are skipped where Spark cannot run."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Two cores, few partitions, small ones, so that even small logs are cut."""
    lacking = [name for name in ("pyspark", "pyarrow", "pandas") if not find_spec(name)]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed: pip install graphseq[spark]")
    if shutil.which("java") is None:
        pytest.skip("there is no java on the PATH, on which Spark runs")
    from graphseq.spark.session import session

    settings = {
        "spark.sql.shuffle.partitions": "3",
        "spark.sql.files.maxPartitionBytes": "2k",
        "spark.sql.files.openCostInBytes": "1",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50",
        "spark.driver.memory": "1g",
    }
    with session("local[2]", settings) as made:
        yield made
