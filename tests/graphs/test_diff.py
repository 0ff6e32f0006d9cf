"""What changed between two graphs, against sets of raw ids."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.data import Interactions, leave_one_out
from graphseq.graphs import CoOccurrence, build_graph, difference

EVENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=25)


def graph_of(pairs: list[tuple[int, int]], weight: str = "count") -> HeteroData:
    frame = {"user": [9, 9, 9], "item": [0, 1, 2], "time": [0, 1, 2]}
    for time, (user, item) in enumerate(pairs):
        frame["user"].append(user)
        frame["item"].append(item)
        frame["time"].append(3 + time)
    import polars as pl

    log = Interactions.from_frame(pl.DataFrame(frame))
    return build_graph(leave_one_out(log), [CoOccurrence("item", weight=weight)])  # type: ignore[arg-type]


def edges_of(graph: HeteroData) -> dict[tuple[int, int], float]:
    ids, store = graph["item"].vocabulary.ids.to_numpy(), graph[ITEM_CO_OCCURS]
    pairs = [tuple(pair) for pair in ids[store.edge_index.numpy()].T.tolist()]
    return dict(zip(pairs, store.edge_weight.tolist(), strict=True))


@given(one=EVENTS, other=EVENTS)
def test_nodes_and_edges_are_counted_by_raw_ids(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    a, b = graph_of(one), graph_of(other)
    found = {row["what"]: row for row in difference(a, b).rows}
    first, second = edges_of(a), edges_of(b)
    both = first.keys() & second.keys()
    assert found["item co_occurs item"] == {
        "what": "item co_occurs item",
        "in_both": len(both),
        "only_a": len(first) - len(both),
        "only_b": len(second) - len(both),
        "changed": sum(first[pair] != second[pair] for pair in both),
    }
    users = [set(g["user"].vocabulary.ids.to_list()) for g in (a, b)]
    assert found["users"]["in_both"] == len(users[0] & users[1])
    assert found["users"]["only_b"] == len(users[1] - users[0])


def test_a_graph_is_the_same_as_itself() -> None:
    found = difference(graph_of([(1, 2)]), graph_of([(1, 2)]))
    assert found.same
    assert not found.options


def test_options_that_differ_are_named() -> None:
    found = difference(graph_of([(1, 2)]), graph_of([(1, 2)], weight="cosine"))
    assert list(found.options) == ["transforms"]
    assert not found.same_training
    assert found.same_held_out


def test_another_order_alone_is_reported() -> None:
    pairs = [(1, 3), (2, 4)]
    found = difference(graph_of(pairs), graph_of(pairs[::-1]))
    assert not found.same_training
    assert found.only_order


RATED = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5)), max_size=20
)


@given(one=RATED, other=RATED)
def test_ratings_are_compared_by_pair(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    def rated(events: list[tuple[int, int, int]]) -> HeteroData:
        events = [(9, item, 1) for item in range(3)] + events
        user, item, weight = np.array(events).T
        time = range(len(events))
        log = Interactions.from_arrays(user, item, time, weight=weight)
        return build_graph(leave_one_out(log))

    def sums(graph: HeteroData) -> dict[tuple[int, int], float]:
        found: dict[tuple[int, int], float] = {}
        users, items = (graph[kind].vocabulary.ids for kind in ("user", "item"))
        store = graph[INTERACTS]
        for user, item, weight in zip(
            *store.edge_index.tolist(), store.weight.tolist(), strict=True
        ):
            pair = users[user], items[item]
            found[pair] = found.get(pair, 0) + weight
        return found

    a, b = rated(one), rated(other)
    found = difference(a, b)
    [row] = [row for row in found.rows if row["what"] == "user interacts item"]
    first, second = sums(a), sums(b)
    both = first.keys() & second.keys()
    changed = sum(first[pair] != second[pair] for pair in both)
    assert (row["in_both"], row["changed"]) == (len(both), changed)
    assert not (found.only_order and changed)


def test_a_missing_relation_is_all_on_one_side() -> None:
    events = [(9, 3), (9, 4)]
    whole, part = graph_of(events), graph_of(events)
    del part[ITEM_CO_OCCURS]
    rows = {row["what"]: row for row in difference(part, whole).rows}
    edges = whole[ITEM_CO_OCCURS].edge_index.shape[1]
    assert rows["item co_occurs item"]["only_b"] == edges > 0


def test_an_id_and_its_decimal_spelling_are_one() -> None:
    def named(ids: list[str] | list[int]) -> HeteroData:
        graph = HeteroData()
        graph["item"].num_nodes = 2
        from graphseq.data import Vocabulary

        graph["item"].vocabulary = Vocabulary(ids)
        return graph

    for first, second in (([1, 2], ["x", "2"]), (["x", "2"], [1, 2])):
        [row] = difference(named(first), named(second)).rows
        assert (row["in_both"], row["only_a"], row["only_b"]) == (1, 1, 1)
    assert np.array_equal(named([1, 2])["item"].vocabulary.ids.to_numpy(), [1, 2])


def test_other_vectors_are_named_and_not_taken_for_another_order() -> None:
    one, other = graph_of([(1, 3)]), graph_of([(1, 3)])
    one["item"].x, other["item"].x = torch.zeros(4, 2), torch.zeros(4, 2)
    assert difference(one, other).vectors == []
    other["item"].x = torch.ones(4, 2)
    found = difference(one, other)
    assert (found.vectors, found.only_order, found.same) == (["item"], False, False)
    del other["item"].x
    assert difference(one, other).vectors == ["item"]
    del one["item"].x, other["user"].vocabulary
    assert difference(one, other).vectors == ["user"]
