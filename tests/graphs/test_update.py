"""An updated graph is the graph of a build, bit for bit, with fewer rows computed."""

from collections.abc import Iterator
from inspect import signature
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import (
    Interactions,
    Split,
    by_time,
    by_user,
    deduplicate,
    k_core,
    leave_one_out,
    min_length,
)
from graphseq.data.append import append
from graphseq.data.split import held_out
from graphseq.errors import DataError
from graphseq.graphs import (
    Attributes,
    CoOccurrence,
    EdgeDropout,
    Transitions,
    build_graph,
    graph_hash,
    held_out_hash,
    plan_update,
    update_graph,
)

Rows = list[tuple[int, int, int]]
WEIGHTS = ["count", "binary", "cosine", "jaccard", "adamic_adar", "iuf"]
WAYS = ["max", "none", "min"]

rows = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 7), st.integers(0, 20)), max_size=60
)


def log_of(found: Rows) -> Interactions:
    table = np.array(found, dtype=np.int64).reshape(-1, 3)
    columns = dict(zip(("user", "item", "time"), table.T, strict=True))
    return Interactions.from_frame(pl.DataFrame(columns))


def tensors(graph: HeteroData) -> dict[str, Tensor]:
    found = {"validation": graph.validation, "test": graph.test}
    parts = {f"{p} {n}": v for p, t in found.items() for n, v in t._asdict().items()}
    for relation in graph.edge_types:
        for name, value in graph[relation].items():
            parts[f"{relation} {name}"] = value
    return parts


def assert_same(a: HeteroData, b: HeteroData) -> None:
    first, second = tensors(a), tensors(b)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == second[name].dtype, name
        assert torch.equal(first[name], second[name]), name
    for kind in ("user", "item"):
        assert a[kind].vocabulary == b[kind].vocabulary
    assert a.provenance == b.provenance
    assert graph_hash(a) == graph_hash(b)
    assert held_out_hash(a) == held_out_hash(b)


FILTERS = {
    "none": lambda log: log,
    "k_core": lambda log: k_core(log, 2, 2),
    "first": lambda log: deduplicate(log, "first"),
    "last": lambda log: deduplicate(log, "last"),
    "last and k_core": lambda log: k_core(deduplicate(log, "last"), 2, 2),
    "min_length": lambda log: min_length(log, 3),
}
SPLITS = {
    "leave_one_out": leave_one_out,
    "by_user": lambda log: by_user(log, fractions=(0.6, 0.2, 0.2)),
    "by_time": by_time,
    "all train": lambda log: all_train(log),
}


def all_train(log: Interactions) -> Split:
    """Every event trains; what is held out does not matter here."""
    parts = leave_one_out(log)
    return Split(log, parts.validation, parts.test, "all", {}, {})


def all_train_only(log: Interactions) -> Split:
    """Every event trains, and nothing is held out."""
    nothing = np.zeros(0, dtype=np.int64)
    parts = held_out(nothing, log.item, nothing, nothing, nothing)
    return Split(log, parts, parts, "all", {}, {})


HUBS = {"hub_cap": st.sampled_from([None, 1, 2, 4])}
HUBS = HUBS if "hub_cap" in signature(CoOccurrence).parameters else {}
co_occurrences = st.fixed_dictionaries(
    {
        "weight": st.sampled_from(WEIGHTS),
        "top_k": st.sampled_from([None, 1, 2, 3, 50]),
        "symmetrize": st.sampled_from(WAYS),
        **HUBS,
    }
)
successions = st.fixed_dictionaries(
    {
        "window": st.integers(1, 4),
        "top_k": st.sampled_from([None, 1, 2]),
        "decay": st.sampled_from([1.0, 0.7]),
        "self_loops": st.booleans(),
    }
)
options = st.tuples(co_occurrences, co_occurrences, successions)
cuts = st.tuples(st.sampled_from([*FILTERS]), st.sampled_from([*SPLITS]))


def steps_of(chosen: tuple[Any, Any, Any]) -> list[Any]:
    user_user, item_item, follow = chosen
    users = CoOccurrence("user", **user_user)
    return [users, CoOccurrence("item", **item_item), Transitions(**follow)]


def cut(log: Interactions, names: tuple[str, str]) -> Split:
    filtered, split = names
    return SPLITS[split](FILTERS[filtered](log))


@pytest.fixture(scope="module", autouse=True)
def never_all_rows() -> Iterator[None]:
    """However much has changed, rows are computed one by one."""
    patch = pytest.MonkeyPatch()
    patch.setattr("graphseq.graphs.update.MOST_WORK", 1.0)
    yield
    patch.undo()


@given(rows, rows, options, cuts)
def test_an_update_is_a_build_of_both_logs(
    old: Rows, new: Rows, options: tuple[Any, Any, Any], cuts: tuple[str, str]
) -> None:
    before, steps = log_of(old), steps_of(options)
    try:
        older = build_graph(cut(before, cuts), steps)
        both = cut(append(before, log_of(new)), cuts)
    except DataError:  # nothing is left of the log, or nothing to hold out
        return
    found = update_graph(older, both, steps)
    assert_same(found.graph, build_graph(both, steps))
    for seen, done in zip(plan_update(older, both, steps), found.updates, strict=True):
        assert seen.rows <= done.rows <= done.all_rows == seen.all_rows
        assert seen.work <= done.work <= done.all_work == seen.all_work


@given(rows, rows, options, cuts)
def test_whatever_the_older_graph_was_of(
    old: Rows, new: Rows, options: tuple[Any, Any, Any], cuts: tuple[str, str]
) -> None:
    """Events, users and items gone, in another order, or nothing in common."""
    steps = steps_of(options)
    try:
        older = build_graph(cut(log_of(old), cuts), steps)
        now = cut(log_of(new), cuts)
    except DataError:
        return
    assert_same(update_graph(older, now, steps).graph, build_graph(now, steps))


def random_rows(seed: int, events: int, since: int) -> Rows:
    """A few of 40 users and of 25 items have most of the events."""
    chance = np.random.default_rng(seed)
    users, items = (chance.dirichlet(np.full(n, 0.4)) for n in (40, 25))
    columns = chance.choice(40, events, p=users), chance.choice(25, events, p=items)
    times = since + np.sort(chance.integers(0, 99, events))
    return [*zip(*(c.tolist() for c in columns), times.tolist(), strict=True)]


@pytest.mark.parametrize("symmetrize", WAYS)
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("kind", ["user", "item"])
def test_crowded_rows_with_many_ties(kind: str, weight: str, symmetrize: str) -> None:
    rows_ = CoOccurrence(kind, weight=weight, top_k=4, symmetrize=symmetrize)
    for seed in range(5):
        before = log_of(random_rows(seed, 250, 0))
        both = all_train(append(before, log_of(random_rows(seed + 50, 6, 99))))
        found = update_graph(build_graph(all_train(before), [rows_]), both, [rows_])
        assert_same(found.graph, build_graph(both, [rows_]))


def test_two_updates_are_one() -> None:
    steps = [CoOccurrence("user", weight="cosine", top_k=3), Transitions()]
    logs = [log_of(random_rows(n, 30, 99 * n)) for n in range(3)]
    one = append(logs[0], logs[1])
    two = append(one, logs[2])
    graph = build_graph(leave_one_out(logs[0]), steps)
    for log in (one, two):
        graph = update_graph(graph, leave_one_out(log), steps).graph
    assert_same(graph, build_graph(leave_one_out(two), steps))


def islands(count: int) -> Rows:
    """Groups of 4 users and 5 items that share nothing with another group."""
    return [
        (4 * island + user, 5 * island + (user + position) % 5, 0)
        for island in range(count)
        for user in range(4)
        for position in range(4)
    ]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_rows_that_stay_are_not_computed(
    weight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [CoOccurrence(kind, weight=weight, top_k=2) for kind in ("user", "item")]
    steps += [Transitions()]
    before = log_of(islands(50))
    changed = [(0, item, 1) for item in range(5)]  # of user 0 on the first island
    both = all_train(append(before, log_of(changed)))
    older, expected = build_graph(all_train(before), steps), build_graph(both, steps)
    computed: dict[str, set[int]] = {"user": set(), "item": set()}
    pruned = CoOccurrence.pruned

    def spy(self: CoOccurrence, nodes: Any, rows: Any = None) -> Any:
        computed[self.kind] |= {*(range(nodes.shape[0]) if rows is None else rows)}
        return pruned(self, nodes, rows)

    monkeypatch.setattr(CoOccurrence, "pruned", spy)
    found = update_graph(older, both, steps)
    assert_same(found.graph, expected)
    of_users, of_items, follow = found.updates
    assert computed["user"] <= {*range(4)}
    assert computed["item"] <= {*range(5)}
    assert 1 <= of_users.rows == len(computed["user"])
    assert 1 <= of_items.rows == len(computed["item"])
    assert (of_users.all_rows, of_items.all_rows) == (200, 250)
    assert 1 <= follow.rows <= 5


def test_nothing_new_computes_nothing() -> None:
    steps = [CoOccurrence("user"), CoOccurrence("item", weight="iuf"), Transitions()]
    split = all_train(log_of(islands(10)))
    older = build_graph(split, steps)
    found = update_graph(older, split, steps)
    assert_same(found.graph, older)
    assert [each.rows for each in found.updates] == [0, 0, 0]


def test_a_row_whose_weights_fell_is_computed_again() -> None:
    """User 0 has 1 and 2 alike, then 1 grows apart: only 0's own row knows of 2."""
    step = CoOccurrence("user", weight="cosine", top_k=1, symmetrize="none")
    before = log_of([(0, 0, 0), (1, 0, 0), (2, 0, 0), (2, 1, 0), (3, 2, 0)])
    both = all_train_only(append(before, log_of([(1, n, 1) for n in (3, 4, 5)])))
    older = build_graph(all_train_only(before), [step])
    assert older["user", "co_occurs", "user"].edge_index[1, 0] == 1
    found = update_graph(older, both, [step])
    assert found.graph["user", "co_occurs", "user"].edge_index[1, 0] == 2
    assert_same(found.graph, build_graph(both, [step]))
    assert found.updates[0].rows == 2  # user 1, and its neighbour, user 0
    assert plan_update(older, both, [step])[0].rows == 1


def test_most_of_the_work_is_done_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphseq.graphs.update.MOST_WORK", 0.4)
    before = log_of(random_rows(0, 100, 0))
    both = all_train(append(before, log_of(random_rows(1, 90, 99))))
    steps = [CoOccurrence("user"), CoOccurrence("item"), Transitions()]
    found = update_graph(build_graph(all_train(before), steps), both, steps)
    assert [each.rows for each in found.updates] == [
        each.all_rows for each in found.updates
    ]
    assert_same(found.graph, build_graph(both, steps))


@pytest.mark.parametrize(
    "others",
    [
        [],
        [CoOccurrence("user", top_k=3)],
        [EdgeDropout(0.5), CoOccurrence("user")],
        [CoOccurrence("item"), CoOccurrence("user", weight="cosine")],
    ],
)
def test_a_graph_of_other_steps_gives_nothing(others: list[Any]) -> None:
    split = all_train(log_of(islands(6)))
    steps = [CoOccurrence("user")]
    found = update_graph(build_graph(split, others), split, steps)
    assert_same(found.graph, build_graph(split, steps))
    assert found.updates[0].rows == found.updates[0].all_rows


def test_attributes_are_linked_again() -> None:
    table = {n: [f"kind {n % 3}"] for n in range(30)}
    steps = [Attributes(table), CoOccurrence("user")]
    split = all_train(log_of(islands(6)))
    found = update_graph(build_graph(split, steps), split, steps)
    assert_same(found.graph, build_graph(split, steps))
    assert [each.rows for each in found.updates] == [None, 0]
