"""A graph's hash changes with what trains a model, and with nothing else."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import (
    Interactions,
    Vocabulary,
    by_time,
    by_user,
    leave_one_out,
    read_log,
    synthetic,
)
from graphseq.graphs import (
    CoOccurrence,
    Transitions,
    build_graph,
    graph_hash,
    held_out_hash,
    load_graph,
    save_graph,
)
from graphseq.nn.adjacency import operator
from graphseq.runtime import limit_threads, thread_environment


def log(last: int = 0, first: int = 0, before: int = 0) -> Interactions:
    """Users 0 … 9 over items 0 … 9; one event of user 0 is shifted on demand."""
    item = np.add.outer(np.arange(10), np.arange(6)) % 10
    item[0, -1] += last
    item[0, -2] += before
    item[0, 0] += first
    ids = Vocabulary(pl.int_range(10, eager=True))
    user = np.repeat(np.arange(10), 6)
    return Interactions.from_arrays(user, item.ravel(), users=ids, items=ids)


def test_the_type_of_numbers_changes_the_hash() -> None:
    """Zeros of two types with the same bytes."""
    graphs = [build_graph(leave_one_out(log())) for _ in range(2)]
    graphs[0]["item"].x = torch.zeros(graphs[0]["item"].num_nodes)
    graphs[1]["item"].x = graphs[0]["item"].x.int()
    assert graph_hash(graphs[0]) != graph_hash(graphs[1])


def test_changed_test_data_leave_the_hash_and_change_the_other() -> None:
    one = build_graph(leave_one_out(log()), [CoOccurrence("item")])
    other = build_graph(leave_one_out(log(last=1)), [CoOccurrence("item")])
    assert graph_hash(one) == graph_hash(other)
    assert held_out_hash(one) != held_out_hash(other)


def test_changed_validation_data_leave_the_hash_and_change_the_other() -> None:
    one = build_graph(leave_one_out(log()))
    other = build_graph(leave_one_out(log(before=1)))
    assert graph_hash(one) == graph_hash(other)
    assert held_out_hash(one) != held_out_hash(other)


def test_changed_training_data_change_the_hash() -> None:
    one = build_graph(leave_one_out(log()))
    assert graph_hash(one) != graph_hash(build_graph(leave_one_out(log(first=1))))


def test_the_same_construction_gives_the_same_hash() -> None:
    steps = [CoOccurrence("user"), Transitions()]
    made = [build_graph(leave_one_out(log()), steps) for _ in range(2)]
    assert graph_hash(made[0]) == graph_hash(made[1])
    assert held_out_hash(made[0]) == held_out_hash(made[1])


def test_parameters_of_steps_and_split_change_the_hash() -> None:
    data = synthetic.cycle(num_users=40, num_items=12, length=9, seed=0)
    splits = [leave_one_out(data), by_user(data), by_user(data, seed=1)]
    steps = [[], [CoOccurrence("user")], [CoOccurrence("user", top_k=3)]]
    graphs = [build_graph(split) for split in splits]
    graphs += [build_graph(splits[0], step) for step in steps[1:]]
    assert len({graph_hash(graph) for graph in graphs}) == 5


def test_raw_ids_change_the_hash_and_cached_operators_do_not() -> None:
    def with_ids(*ids: str) -> HeteroData:
        graph = HeteroData()
        graph["user"].num_nodes, graph["item"].num_nodes = 2, 1
        graph["user"].vocabulary = Vocabulary(ids)
        graph[INTERACTS].edge_index = torch.tensor([[0, 1], [0, 0]])
        return graph

    graph = with_ids("ab", "c")
    assert graph_hash(graph) != graph_hash(with_ids("a", "bc"))
    before = graph_hash(graph)
    operator(graph, INTERACTS)
    assert graph_hash(graph) == before


def test_types_and_shapes_count_not_only_bytes() -> None:
    def with_time(time: torch.Tensor) -> str:
        graph = HeteroData()
        graph["user"].num_nodes, graph["item"].num_nodes = 2, 1
        graph[INTERACTS].edge_index = torch.tensor([[0, 1], [0, 0]])
        graph[INTERACTS].time = time
        return graph_hash(graph)

    time = torch.tensor([[1], [2]])
    views = [time, time.view(2), time.view(torch.float64)]
    assert len({with_time(view) for view in views}) == 3


EVENTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=4)
WEIGHTS = st.sampled_from(["count", "cosine", "adamic_adar", "iuf"])


@given(
    pairs=EVENTS,
    weight=WEIGHTS,
    top_k=st.sampled_from([None, 2, 50]),
    block_rows=st.integers(1, 12),
    threads=st.integers(1, 3),
)
def test_neither_the_size_of_blocks_nor_the_number_of_threads_changes_the_hash(
    pairs: list[tuple[int, int]], weight: str, block_rows: int, threads: int, **how: int
) -> None:
    user, item = zip(*[(10, 0), (10, 1), (10, 2), *pairs], strict=True)
    split = leave_one_out(Interactions.from_arrays(list(user), list(item)))

    def made(block_rows: int | None, threads: int) -> str:
        steps = [
            CoOccurrence(kind, weight=weight, block_rows=block_rows, **how)
            for kind in ("user", "item")
        ]
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return graph_hash(build_graph(split, [*steps, Transitions(window=3)]))
        finally:
            torch.set_num_threads(before)

    assert made(block_rows, threads) == made(None, 1)


HASHED = """
import sys
import graphseq.graphs.cost, graphseq.training
from graphseq.data import leave_one_out, read_log
from graphseq.graphs import CoOccurrence, Transitions, build_graph, graph_hash
print(*{"lightning", "graphseq.graphs.kernels"} & sys.modules.keys())
steps = [CoOccurrence("user"), CoOccurrence("item", weight="iuf"), Transitions()]
print(graph_hash(build_graph(leave_one_out(read_log(sys.argv[1])), steps)))
"""


@pytest.fixture(scope="module")
def other_process(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A log, and what a process of other threads and another hash seed prints of it."""
    path = tmp_path_factory.mktemp("other") / "log.csv"
    rng = np.random.default_rng(0)
    lines = [f"u{u},i{i},{t}" for t, (u, i) in enumerate(rng.integers(0, 60, (999, 2)))]
    path.write_text("user,item,time\n" + "\n".join(lines) + "\n")
    other = subprocess.run(
        [sys.executable, "-c", HASHED, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | thread_environment(3) | {"PYTHONHASHSEED": "3"},
    )
    return path, other.stdout.splitlines()


def test_a_process_of_other_threads_and_another_hash_seed_gives_the_same_hash(
    other_process: tuple[Path, list[str]],
) -> None:
    path, (_, found) = other_process
    steps = [CoOccurrence("user"), CoOccurrence("item", weight="iuf"), Transitions()]
    with limit_threads(1):
        here = graph_hash(build_graph(leave_one_out(read_log(path)), steps))
    assert found == here


def test_imports_load_no_trainer_and_no_compiled_loops(
    other_process: tuple[Path, list[str]],
) -> None:
    """PyG itself imports numba; the package compiles only what it computes with."""
    assert other_process[1][0] == ""


STEPS = [CoOccurrence("user", top_k=2), CoOccurrence("item", top_k=2), Transitions()]


def swapped(log: Interactions, split: str, rng: np.random.Generator) -> pl.DataFrame:
    """The events of a log, with the items of its test targets swapped at random."""
    if split == "by_time":
        test = np.flatnonzero(log.time >= np.sort(log.time)[int(len(log) * 0.9)])
    else:
        test = log.pointers[1:][log.lengths >= 3] - 1
    item = log.frame()["item"].to_numpy().copy()
    item[test] = item[rng.permutation(test)]
    return log.frame().with_columns(item=pl.Series(item))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=60),
    st.sampled_from(["leave_one_out", "by_time"]),
    st.integers(0, 1000),
)
def test_test_events_number_nothing(
    pairs: list[tuple[int, int]], method: str, seed: int
) -> None:
    """Graphs from files that differ in test events have one hash, and equal ties."""
    rng = np.random.default_rng(seed)
    user, item = zip(*pairs, strict=True)
    frame = pl.DataFrame(
        {"user": user, "item": item, "time": rng.permutation(len(user))}
    )
    frame = frame.with_columns(pl.col("user", "item").cast(pl.String)).sort("time")
    log = Interactions.from_frame(frame)
    split = leave_one_out if method == "leave_one_out" else by_time
    other = Interactions.from_frame(swapped(log, method, rng).sort("time"))
    graphs = [build_graph(split(each), STEPS) for each in (log, other)]
    assert graph_hash(graphs[0]) == graph_hash(graphs[1])


def test_test_events_of_a_real_log_number_nothing(shared: Path, tmp_path: Path) -> None:
    steps = [CoOccurrence("item", top_k=10), Transitions()]
    lines = (shared / "data/amazon-beauty/Beauty.txt").read_text().splitlines()
    rows = [line.split() for line in lines]
    chance = random.Random(0)
    found = set()
    for number in range(3):
        last = [row[-1] for row in rows]
        if number:
            chance.shuffle(last)
        path = tmp_path / f"{number}.txt"
        pairs = zip(rows, last, strict=True)
        path.write_text("\n".join(" ".join([*r[:-1], new]) for r, new in pairs))
        log = read_log(path, format="sequences")
        found.add(graph_hash(build_graph(leave_one_out(log), steps)))
    assert len(found) == 1


def test_numbers_of_nodes_may_be_of_numpy(tmp_path: Path) -> None:
    graph = build_graph(leave_one_out(log()))
    before = graph_hash(graph)
    graph["item"].num_nodes = np.int64(graph["item"].num_nodes)
    assert graph_hash(graph) == before
    save_graph(graph, tmp_path / "graph")
    assert graph_hash(load_graph(tmp_path / "graph")) == before
