"""Weights of events: ratings and numbers of plays, from the file to the edges."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from graphseq.cli import main
from graphseq.config import check
from graphseq.constants import INTERACTS
from graphseq.data import (
    Interactions,
    append,
    deduplicate,
    k_core,
    leave_one_out,
    min_rating,
    read_log,
)
from graphseq.errors import DataError
from graphseq.graphs import build_graph, graph_hash, load_graph, load_log, save_graph
from graphseq.graphs.hashing import log_hash

# user, item, time, rating: not in the canonical order
ROWS = [
    ("b", "x", 3, 4.5),
    ("a", "y", 2, 1.0),
    ("a", "x", 1, 5.0),
    ("b", "y", 1, 2.0),
    ("a", "z", 3, 3.0),
    ("b", "z", 2, 0.0),
    ("a", "x", 4, 2.5),
    ("b", "x", 4, 4.0),
]
NAMES = ["user", "item", "time", "rating"]


@pytest.fixture
def log() -> Interactions:
    frame = pl.DataFrame(ROWS, schema=NAMES, orient="row")
    return Interactions.from_frame(frame, weight="rating")


def pairs(log: Interactions) -> set[tuple[Any, ...]]:
    return set(log.frame().rows())


def test_weights_stay_with_their_events(log: Interactions) -> None:
    assert pairs(log) == set(ROWS)
    assert pairs(log.sorted_by_id()) == set(ROWS)
    assert pairs(k_core(log, 2, 2)) == set(ROWS)
    assert pairs(min_rating(log, 2.5)) == {row for row in ROWS if row[3] >= 2.5}
    assert pairs(deduplicate(log)) == set(ROWS) - {ROWS[6], ROWS[7]}
    assert log.weight is not None
    with pytest.raises(ValueError, match="read-only"):
        log.weight[0] = 1
    split = leave_one_out(log)
    edges = build_graph(split)[INTERACTS]
    assert edges.weight.dtype == torch.float32
    train = split.train.frame()
    assert edges.weight.tolist() == train["weight"].to_list()
    assert edges.weight.tolist() == [5.0, 1.0, 2.0, 0.0]  # a: x y, b: y z


def test_the_formats_read_the_same_weights(log: Interactions, tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=NAMES, orient="row")
    frame.write_csv(tmp_path / "log.csv")
    frame.write_parquet(tmp_path / "log.parquet")
    frame.write_ndjson(tmp_path / "log.jsonl")
    (tmp_path / "ml.dat").write_text(
        "\n".join(f"{u}::{i}::{r}::{t}" for u, i, t, r in ROWS)
    )
    (tmp_path / "log.csv.gz").write_bytes(
        gzip.compress((tmp_path / "log.csv").read_bytes())
    )
    for name in ("log.csv", "log.csv.gz", "log.parquet", "log.jsonl"):
        found = read_log(tmp_path / name, weight="rating")
        assert found == log, name
        assert log_hash(found) == log_hash(log)
    movies = read_log(tmp_path / "ml.dat", format="movielens-1m", weight=2)
    assert movies == log
    assert read_log(tmp_path / "log.csv") != log
    assert read_log(tmp_path / "log.csv").weight is None


@pytest.mark.parametrize(
    ("weight", "format", "message"),
    [
        ("ratng", "csv", r"no column 'ratng' for the weight \(did you mean 'rating'"),
        (7, "csv", r"has 4 columns, 0 … 3; requested is 7 for the weight"),
        ("rating", "sequences", "a log of sequences has none"),
        ("rating", "movielens-100k", "read without a header"),
    ],
)
def test_a_column_of_weights_that_is_not_there_is_refused(
    tmp_path: Path, weight: str | int, format: str, message: str
) -> None:
    path = tmp_path / "log.csv"
    pl.DataFrame(ROWS, schema=NAMES, orient="row").write_csv(path)
    if format == "movielens-100k":
        path.write_text("1\t2\t3\t4\n")
    with pytest.raises(DataError, match=message):
        read_log(path, weight=weight, format=format)


@pytest.mark.parametrize("value", ["", "good", "-1", "inf", "nan"])
def test_a_weight_that_is_no_number_is_a_malformed_line(
    tmp_path: Path, value: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"user,item,time,stars\na,x,1,3\na,y,2,{value}\n")
    with pytest.raises(DataError, match="weight is not a finite number of 0 or more"):
        read_log(path, weight="stars")
    with pytest.warns(UserWarning, match="1 malformed|skipped"):
        found = read_log(path, weight="stars", on_error="skip")
    assert found.frame().rows() == [("a", "x", 1, 3.0)]


def test_weights_that_are_not_one_an_event_are_refused() -> None:
    for given, message in (
        ([1.0], r"found \(1,\)"),
        ([1.0, np.nan], "such as nan"),
        ([1.0, -2.0], "such as -2.0"),
    ):
        with pytest.raises(DataError, match=message):
            Interactions.from_arrays([0, 1], [0, 1], weight=given)
    with pytest.raises(DataError, match="one column of weights, 'stars'"):
        Interactions.from_frame({"user": [1], "item": [2]}, weight="stars")


def test_logs_with_and_without_weights_are_not_joined(log: Interactions) -> None:
    later = Interactions.from_frame(
        {"user": ["c"], "item": ["x"], "time": [9], "n": [7]}, weight="n"
    )
    assert pairs(append(log, later)) == {*ROWS, ("c", "x", 9, 7.0)}
    plain = Interactions.from_frame({"user": ["c"], "item": ["x"], "time": [9]})
    with pytest.raises(DataError, match=r"the old log has weights .* new one has none"):
        append(log, plain)
    with pytest.raises(DataError, match="needs the weights of the events"):
        min_rating(plain, 3.0)


def test_graphs_keep_weights_and_those_without_keep_their_hash(
    log: Interactions, tmp_path: Path
) -> None:
    graph = build_graph(leave_one_out(log))
    save_graph(graph, tmp_path / "graph", log=log)
    loaded = load_graph(tmp_path / "graph")
    assert torch.equal(loaded[INTERACTS].weight, graph[INTERACTS].weight)
    assert load_log(tmp_path / "graph") == log
    columns = (log.user, log.item, log.time)
    plain = Interactions.from_arrays(*columns, users=log.users, items=log.items)
    without = build_graph(leave_one_out(plain))
    assert "weight" not in without[INTERACTS]
    assert graph_hash(without) != graph_hash(graph)
    del graph[INTERACTS].weight
    assert graph_hash(without) == graph_hash(graph)


def test_a_build_filters_ratings_and_an_update_inherits_their_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        (f"u{u}", f"i{(u + t) % 5}", t, 1 + (u * t) % 5)
        for u in range(9)
        for t in range(6)
    ]
    frame = pl.DataFrame(rows, schema=NAMES, orient="row")
    files = [str(tmp_path / name) for name in ("old.csv", "new.csv", "all.csv")]
    for part, name in zip((frame[:40], frame[40:], frame), files, strict=True):
        part.write_csv(name)
    old, new, every = files
    options = ["--weight", "rating", "--min-rating", "2", "--output"]
    assert main(["build", old, *options, str(tmp_path / "a")]) == 0
    assert main(["update", str(tmp_path / "a"), new]) == 0
    assert main(["build", every, *options, str(tmp_path / "b")]) == 0
    updated, built = (load_graph(tmp_path / name) for name in "ab")
    assert graph_hash(updated) == graph_hash(built)
    assert built[INTERACTS].weight.min() == 2
    experiment = check(
        {
            "data": {"path": every, "weight": "rating"},
            "filters": [{"min_rating": {"least": 2}}],
            "split": "leave_one_out",
            "model": "POP",
        }
    )
    graph = experiment.graph()
    assert torch.equal(graph[INTERACTS].weight, built[INTERACTS].weight)
    assert experiment.on_graph(tmp_path / "b").on_saved_graph
    made = json.loads((tmp_path / "a" / "graph.json").read_text())["provenance"]
    assert made["build"]["options"]["min_rating"] == 2
    words = ["build", every, "--min-rating", "3", "--output", str(tmp_path / "c")]
    assert main(words) == 2
    assert "--weight rating" in capsys.readouterr().err
    assert main([*words, "--weight", "rating", "--engine", "spark"]) == 2
    assert "--engine local" in capsys.readouterr().err
