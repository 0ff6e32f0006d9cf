"""Lists for all users of an exported model, on a Spark cluster.

spark-submit --conf spark.executorEnv.OMP_NUM_THREADS=1 \
    examples/batch/spark_job.py exported/sasrec hdfs:///lists --k 10

The folder is sent to the workers, which need the packages of nightly.py; the lists are
those of nightly.py.
"""

import argparse
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import nightly
import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession

from graphseq.exported import ExportedModel

PARTS = 64  # tasks among which the users are divided


@cache
def load(folder: str) -> ExportedModel:
    """The model, read once by each worker process."""
    return ExportedModel(SparkFiles.get(folder))


def recommend(
    folder: str, k: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The lists of batches of users."""
    model = load(folder)
    for batch in batches:
        for table in nightly.lists(model, batch.column("user").to_pylist(), k):
            yield from table.to_batches()


def lists(spark: SparkSession, folder: Path, k: int) -> DataFrame:
    """A frame with the columns user, rank, item and score."""
    model = ExportedModel(folder)
    if not model.users:
        raise SystemExit(f"{folder} was exported without its users")
    user, item = (
        "string" if isinstance(ids[0], str) else "bigint"
        for ids in (model.users, model.items)
    )
    context = spark.sparkContext
    context.addFile(str(folder.resolve()), recursive=True)
    context.addPyFile(nightly.__file__)
    frame = spark.read.parquet(str(folder / "users.parquet")).select("user")
    schema = f"user {user}, rank int, item {item}, score float"
    step = partial(recommend, folder.resolve().name, k)
    return frame.repartition(PARTS).mapInArrow(step, schema)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="exported folder")
    parser.add_argument("output", help="folder of Parquet files to write")
    parser.add_argument("--k", type=int, default=10, help="length of the lists")
    given = parser.parse_args()
    spark = SparkSession.builder.appName("graphseq lists").getOrCreate()
    found = lists(spark, given.model, given.k)
    found.write.mode("overwrite").parquet(given.output)


if __name__ == "__main__":
    main()
