"""Property: whatever the log and the options, Spark builds the local engine's graph."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphseq import data
from graphseq.data import read_log
from graphseq.errors import DataError
from graphseq.graphs import (
    Attributes,
    CoOccurrence,
    Transitions,
    build_graph,
    graph_hash,
    held_out_hash,
    load_graph,
)
from graphseq.graphs.storage import load_log
from graphseq.spark import build
from graphseq.spark.engine import distribute
from graphseq.spark.events import filter_events, split_events
from graphseq.spark.numbering import read_events

WEIGHTS = ("count", "binary", "cosine", "jaccard", "adamic_adar", "iuf")
TOP = st.sampled_from([1, 3, None])


STEPS = st.tuples(
    st.permutations(WEIGHTS),
    st.fixed_dictionaries(
        {
            "top_k": TOP,
            "symmetrize": st.sampled_from(["max", "min", "none"]),
            "hub_cap": st.sampled_from([None, 2, 6]),
        }
    ),
    st.fixed_dictionaries(
        {
            "window": st.integers(1, 4),
            "decay": st.sampled_from([1.0, 0.3, 0.7]),
            "top_k": TOP,
            "self_loops": st.booleans(),
        }
    ),
)


def made(options: Any) -> list[Any]:
    """Users linked by one weight, items by another, and transitions."""
    weights, sharing, following = options
    return [
        CoOccurrence("user", weight=weights[0], **sharing),
        CoOccurrence("item", weight=weights[1], **sharing),
        Transitions(**following),
    ]


@st.composite
def logs(draw: st.DrawFn) -> pl.DataFrame:
    """Few users and items, some of them hubs; times that tie, ids of both kinds."""
    seed, size = draw(st.integers(0, 2**32)), draw(st.integers(40, 400))
    chance = np.random.default_rng(seed)
    users, items = chance.integers(3, 30, 2)
    user = (users * chance.random(size) ** 2).astype(np.int64)
    item = (items * chance.random(size) ** 3).astype(np.int64)
    time = chance.integers(0, draw(st.sampled_from([3, 10**6])), size)
    frame = pl.DataFrame({"user": user, "item": item, "time": time})
    if draw(st.booleans()):
        name = pl.concat_str(pl.lit('x"é,'), pl.col("item"))
        frame = frame.with_columns(name.alias("item"))
    return frame if draw(st.booleans()) else frame.drop("time")


def write(frame: pl.DataFrame, folder: Path, format: str) -> dict[str, Any]:
    """A log in some format, as the arguments that read it."""
    file, names = folder / f"log.{format}", list(frame.columns)
    columns = {name: name for name in names}
    if format == "csv":
        frame.write_csv(file, line_terminator="\r\n")
    elif format == "tsv":
        frame.write_csv(file, separator="\t", include_header=False)
        columns = {name: place for place, name in enumerate(names)}  # type: ignore[misc]
    elif format == "jsonl":
        frame.write_ndjson(file)
    else:
        frame.write_parquet(file, row_group_size=60)
    return {"log": str(file), "format": format, "columns": columns}


def outcome(make: Any) -> Any:
    """The result: hashes of the graph, or the message of the error."""
    try:
        graph = make()
    except DataError as error:
        return str(error)
    return graph_hash(graph), held_out_hash(graph)


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    frame=logs(),
    options=STEPS,
    format=st.sampled_from(["csv", "tsv", "jsonl", "parquet"]),
    filters=st.fixed_dictionaries(
        {
            "deduplicate": st.sampled_from([None, "first", "last"]),
            "k_core": st.sampled_from([None, 2, 3]),
            "min_length": st.sampled_from([None, 4]),
        }
    ),
    protocol=st.sampled_from(["leave_one_out", "by_user", "by_time"]),
    seed=st.integers(0, 3),
    chunk=st.sampled_from([2, 1000]),
    blocks=st.sampled_from([1, 3, None]),
)
def test_any_graph_is_that_of_the_local_engine(
    spark: Any,
    tmp_path: Path,
    frame: pl.DataFrame,
    options: Any,
    format: str,
    filters: dict[str, Any],
    protocol: str,
    seed: int,
    chunk: int,
    blocks: int | None,
) -> None:
    reading, steps = write(frame, tmp_path, format), made(options)
    file = reading.pop("log")

    def locally() -> Any:
        log = read_log(file, **reading)
        if filters["deduplicate"]:
            log = data.deduplicate(log, filters["deduplicate"])
        if filters["k_core"]:
            log = data.k_core(log, filters["k_core"], filters["k_core"])
        if filters["min_length"]:
            log = data.min_length(log, filters["min_length"])
        seeded = {"seed": seed} if protocol == "by_user" else {}
        return build_graph(getattr(data, protocol)(log, **seeded), steps)

    def on_spark() -> Any:
        found = read_events(spark, file, **reading)
        assert repr(found) == repr(read_log(file, **reading))
        training = split_events(filter_events(found, **filters), protocol, seed)
        distributed = distribute(steps, training, chunk=chunk, blocks=blocks)
        return build_graph(training.split, distributed)

    assert outcome(on_spark) == outcome(locally)


def test_the_folder_is_that_of_the_local_engine(spark: Any, tmp_path: Path) -> None:
    tiny = Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv"
    attributes = Attributes({"bread": ["food"], "milk": ["food", "white"]})
    steps = [CoOccurrence("item", top_k=3), attributes]
    build(tiny, steps, output=tmp_path / "graph", split="by_user", seed=2)
    log = read_log(tiny)
    made, wanted = load_graph(tmp_path / "graph"), data.by_user(log, seed=2)
    assert graph_hash(made) == graph_hash(build_graph(wanted, steps))
    assert load_log(tmp_path / "graph") == log
    assert spark.range(3).count() == 3  # a session that was there stays


def test_relations_are_computed_on_the_cluster_and_not_at_the_driver(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"user": [1, 1, 1, 2, 2, 2], "item": [1, 2, 3, 1, 2, 4], "time": range(6)}
    pl.DataFrame(rows).write_csv(tmp_path / "log.csv")
    steps = [CoOccurrence("user"), CoOccurrence("item"), Transitions()]
    log = read_log(tmp_path / "log.csv")
    expected = graph_hash(build_graph(data.leave_one_out(log), steps))

    def refuse(*_: Any) -> Any:
        raise AssertionError("the local step ran")

    for step in (CoOccurrence, Transitions):
        monkeypatch.setattr(step, "pruned", refuse)
    assert graph_hash(build(tmp_path / "log.csv", steps)) == expected


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_the_number_of_partitions_changes_nothing(
    spark: Any, tmp_path: Path, parts: int
) -> None:
    chance = np.random.default_rng(1)
    rows = {name: (40 * chance.random(600) ** 2).astype(int) for name in "ab"}
    frame = pl.DataFrame({"user": rows["a"], "item": rows["b"]})
    frame.with_columns(time=pl.lit(5)).write_csv(tmp_path / "log.csv")
    steps = [CoOccurrence("user", weight="iuf", top_k=4), Transitions(window=2)]
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", str(parts))
    try:
        made = build(tmp_path / "log.csv", steps)
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
    wanted = build_graph(data.leave_one_out(read_log(tmp_path / "log.csv")), steps)
    assert graph_hash(made) == graph_hash(wanted)
