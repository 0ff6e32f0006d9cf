"""Items without events in a graph."""

from typing import Any

import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE, ITEM_CO_OCCURS
from graphseq.data import Interactions, leave_one_out
from graphseq.errors import DataError, GraphError
from graphseq.graphs import (
    Attributes,
    CoOccurrence,
    ItemVectors,
    build_graph,
    extend_items,
    graph_hash,
    part_of,
    whole_hash,
)
from graphseq.nn.adjacency import operator

HAS = {"a": ["red"], "b": ["big"], "c": ["red", "big"], "d": ["red"]}
X = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [1.0, 1.0], "d": [3.0, 2.0]}


def vectors(rows: dict[Any, list[float]], **options: Any) -> ItemVectors:
    table = pl.DataFrame({"item": [*rows], "vector": [*rows.values()]})
    return ItemVectors(table, **options)


def graph_of(items: str = "abcd") -> HeteroData:
    a, b, c, d = items
    frame = {"user": [*"uuuuvvv"], "item": [d, a, b, c, a, b, d], "time": [*range(7)]}
    log = Interactions.from_frame(pl.DataFrame(frame))
    steps = [CoOccurrence("item"), Attributes(HAS), vectors(X)]
    return build_graph(leave_one_out(log), steps if items == "abcd" else [])


def test_new_items_follow_the_others_with_their_vectors_and_attributes() -> None:
    graph = graph_of()
    before, old = graph_hash(graph), operator(graph, ITEM_CO_OCCURS)
    more = {"f": ["big", "blue"], "e": ["red", "red"]}
    steps = [vectors({**X, "e": [5.0, 6.0], "f": [7.0, 8.0]}), Attributes(HAS | more)]
    found = extend_items(graph, steps)
    assert found["item"].vocabulary.ids.to_list() == [*"abcdef"]
    assert found["item"].num_nodes == 6
    assert torch.equal(found["item"].x[:4], graph["item"].x)
    assert found["item"].x[4:].tolist() == [[5, 6], [7, 8]]
    edges = graph[HAS_ATTRIBUTE].edge_index
    names = graph["attribute"].vocabulary
    red, big = names.encode(["red", "big"]).tolist()
    added = torch.tensor([[4, 5], [red, big]])
    assert torch.equal(found[HAS_ATTRIBUTE].edge_index, torch.cat([edges, added], 1))
    assert found["attribute"].vocabulary == names, "blue is of no known item"
    assert operator(found, ITEM_CO_OCCURS).num_nodes == 6
    assert operator(graph, ITEM_CO_OCCURS) is old and graph_hash(graph) == before
    part = part_of(graph, [HAS_ATTRIBUTE])
    assert whole_hash(extend_items(part, steps)) != whole_hash(part) == before


def test_items_can_be_chosen_and_others_are_left_out_with_a_warning() -> None:
    graph, rows = graph_of(), {"e": [1.0, 1.0], "f": [2.0, 2.0], "g": [3.0, 3.0]}
    chosen = extend_items(graph, [vectors(rows)], ["g", "e"])
    assert chosen["item"].vocabulary.ids[4:].to_list() == ["g", "e"]
    assert chosen["item"].x[4:].tolist() == [[3, 3], [1, 1]]
    steps = [vectors(rows), Attributes({"f": ["red"], "h": ["red"], "e": ["blue"]})]
    with pytest.warns(UserWarning, match=r"3 new items \('e', 'g', 'h'\) are left out"):
        found = extend_items(graph, steps)
    assert found["item"].vocabulary.ids[4:].to_list() == ["f"]
    with pytest.raises(GraphError, match=r"2 new items \('e', 'h'\) are not described"):
        extend_items(graph, steps, ["f", "e", "h"])


def test_the_rule_for_missing_vectors_holds() -> None:
    steps = [vectors({"z": [9.0, 9.0]}, missing="mean"), Attributes({"e": ["red"]})]
    found = extend_items(graph_of(), steps, ["e"])
    assert found["item"].x[4].tolist() == [1.25, 1]


@pytest.mark.parametrize(
    ("step", "items", "found"),
    [
        (vectors(X), None, "no items to add"),
        (vectors(X), ["a", "e"], r"1 item to add \('a'\) is in the graph already"),
        (vectors({"e": [1.0]}), None, "have 1 numbers, and those of the graph have 2"),
        (Attributes({"e": ["blue"]}), None, "no items to add"),
        (Attributes({"e": ["blue"]}), ["e"], r"1 new item \('e'\) is not described"),
    ],
)
def test_what_cannot_be_added_is_refused(step: Any, items: Any, found: str) -> None:
    with pytest.raises(GraphError, match=found):
        extend_items(graph_of(), [step], items)


def test_ids_have_the_type_of_the_graph() -> None:
    graph = graph_of("1234")
    del graph["item"].x
    assert graph["item"].vocabulary.ids.to_list() == ["1", "2", "3", "4"]
    numbers = Interactions.from_frame(
        pl.DataFrame({"user": [1, 1, 1], "item": [5, 6, 7], "time": [1, 2, 3]})
    )
    step = vectors({5: [1.0], 6: [2.0], 7: [3.0]})
    graph = build_graph(leave_one_out(numbers), [step])
    found = extend_items(graph, [vectors({"8": [4.0]})])
    assert found["item"].vocabulary.ids.to_list() == [5, 6, 7, 8]
    with pytest.raises(DataError, match="integers, and new ones have other ids: 'x'"):
        extend_items(graph, [vectors({"x": [4.0]})])
    with pytest.raises(GraphError, match="have no attributes"):
        extend_items(graph, [Attributes({"8": ["red"]})])


def test_sources_that_do_not_describe_items_of_the_graph_are_refused() -> None:
    graph = graph_of()
    with pytest.raises(GraphError, match="new items need a source"):
        extend_items(graph, [])
    del graph["item"].x
    with pytest.raises(GraphError, match="the items of this graph have no vectors"):
        extend_items(graph, [vectors({**X, "e": [1.0, 2.0]})])


def test_without_their_vectors_the_graph_has_none() -> None:
    graph = graph_of()
    found = extend_items(graph, [Attributes({**HAS, "e": ["red"]})])
    assert found["item"].num_nodes == 5
    assert "x" not in found["item"]
    assert graph["item"].x.shape == (4, 2)
