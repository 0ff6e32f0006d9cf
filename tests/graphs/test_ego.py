"""The surroundings of a node."""

import pytest
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER_CO_OCCURS
from graphseq.data import Interactions, Vocabulary, leave_one_out
from graphseq.errors import DataError, GraphError
from graphseq.graphs import CoOccurrence, build_graph, to_networkx


def test_one_hop_holds_the_neighbours_and_the_edges_among_them(t2: HeteroData) -> None:
    ego = to_networkx(CoOccurrence("user")(t2), 1)
    assert set(ego.nodes) == {
        ("user", 1),
        ("item", 0),
        ("item", 1),
        ("user", 0),
        ("user", 3),
    }
    among = {
        (a[1], b[1]) for a, b, name in ego.edges(data="relation") if name == "co_occurs"
    }
    assert among == {(0, 1), (1, 0), (0, 3), (3, 0), (1, 3), (3, 1)}
    assert ego.edges[("user", 0), ("user", 1), 0]["weight"] == 2
    assert ego.nodes["user", 1]["distance"] == 0


def test_hops_and_relations_bound_the_search(t2: HeteroData) -> None:
    graph = CoOccurrence("user")(t2)
    along = {"relations": [INTERACTS], "kind": "item"}
    assert set(to_networkx(graph, 1, hops=0, **along)) == {("item", 1)}
    one = to_networkx(graph, 1, **along)
    assert set(one) == {("item", 1), ("user", 0), ("user", 1)}
    two = to_networkx(graph, 1, hops=2, **along)
    assert set(two) - set(one) == {("item", 0), ("item", 2)}
    assert {name for *_, name in two.edges(data="relation")} == {"interacts"}


def test_the_heaviest_neighbours_stay_then_those_of_smaller_id(t2: HeteroData) -> None:
    graph = CoOccurrence("user")(t2)
    few = to_networkx(graph, 0, relations=[USER_CO_OCCURS], max_nodes=3)
    assert list(few) == [("user", 0), ("user", 1), ("user", 2)]
    assert few.graph["reached"] == [(2, 3)]


def test_raw_ids_go_in_and_come_out() -> None:
    users, items = (
        Vocabulary(["ann", "bob"]),
        Vocabulary(["tea", "milk", "bread", "jam"]),
    )
    log = Interactions.from_arrays(
        [0, 0, 0, 0, 1, 1, 1], [0, 1, 0, 3, 2, 2, 3], users=users, items=items
    )
    graph = build_graph(leave_one_out(log), [CoOccurrence("user")])
    ego = to_networkx(graph, "ann")
    labels = {label for _, label in ego.nodes(data="label")}
    assert labels == {"ann", "tea", "milk"}
    assert ego.graph["centre"] == ("user", 0)
    with pytest.raises(DataError, match=r"anne.*did you mean 'ann'"):
        to_networkx(graph, "anne")


def test_repeated_events_are_one_edge_of_their_number() -> None:
    log = Interactions.from_arrays([0] * 5, [1, 1, 1, 0, 0])
    ego = to_networkx(build_graph(leave_one_out(log)), 0)
    assert ego.edges[("user", 0), ("item", 1), 0]["weight"] == 3


def test_unknown_kinds_relations_and_ids_are_named(t1: HeteroData) -> None:
    with pytest.raises(GraphError, match=r"from person 1: .* has nodes"):
        to_networkx(t1, 1, kind="person")
    with pytest.raises(GraphError, match=r"co_occurs.*relations \[\('user', 'inter"):
        to_networkx(t1, 1, relations=[USER_CO_OCCURS])
    with pytest.raises(GraphError, match=r"users are numbered 0 … 2; got 3"):
        to_networkx(t1, 3)
