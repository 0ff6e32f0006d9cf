"""The nightly jobs, on one machine and on Spark, write the lists of the recommender."""

import importlib
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.errors import ConfigError
from graphseq.models import SASRec

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "batch"


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def wanted(model: SASRec, graph: HeteroData) -> pl.DataFrame:
    users = graph["user"].vocabulary.ids.to_list()
    return gs.Recommender(model, graph).recommend(users, k=7)


def check(found: pl.DataFrame, wanted: pl.DataFrame) -> None:
    """The same lists; scores may differ in the last digits."""
    assert found.columns == wanted.columns
    keys = ["user", "rank", "item"]
    found, wanted = found.sort("user", "rank"), wanted.sort("user", "rank")
    assert found.select(keys).rows() == wanted.select(keys).rows()
    assert (found["score"] - wanted["score"]).abs().max() < 1e-5


def test_the_job_on_one_machine(
    path: None,
    folder: Path,
    wanted: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nightly = importlib.import_module("nightly")
    monkeypatch.setattr(nightly, "BLOCK", 13)
    output = tmp_path / "lists.parquet"
    words = ["nightly.py", str(folder), str(output), "--k", "7"]
    monkeypatch.setattr(sys, "argv", words)
    nightly.main()
    check(pl.read_parquet(output), wanted)
    assert [found.name for found in tmp_path.iterdir()] == ["lists.parquet"]


def test_a_failed_job_leaves_the_former_lists(
    path: None, folder: Path, tmp_path: Path
) -> None:
    nightly = importlib.import_module("nightly")
    output = tmp_path / "lists.parquet"
    output.write_text("of yesterday")
    with pytest.raises(ConfigError, match="found 0"):
        nightly.write(folder, output, 0)
    assert output.read_text() == "of yesterday"
    assert [found.name for found in tmp_path.iterdir()] == ["lists.parquet"]


@pytest.mark.spark
def test_the_job_on_spark(
    path: None, folder: Path, wanted: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not find_spec("pyspark") or shutil.which("java") is None:
        pytest.skip("Spark cannot run here")
    from graphseq.spark.session import session

    job = importlib.import_module("spark_job")
    monkeypatch.setattr(job, "PARTS", 3)
    with session("local[2]", {"spark.driver.memory": "1g"}) as spark:
        spark.sparkContext.addPyFile(str(EXAMPLES / "spark_job.py"))
        rows = job.lists(spark, folder, 7).collect()
    check(pl.DataFrame([row.asDict() for row in rows]), wanted)
