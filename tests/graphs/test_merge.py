"""Graphs of the same events are merged; any difference is refused in words."""

import polars as pl
import pytest
import torch

import graphseq as gs
from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, PRECEDES
from graphseq.data import Interactions
from graphseq.data.synthetic import markov
from graphseq.errors import GraphError
from graphseq.graphs import ItemVectors, graph_hash, merge_graphs, part_of, whole_hash

LOG = markov(30, 12, length=9, seed=0)


def vectors(value: float) -> ItemVectors:
    table = {"item": LOG.items.ids, "vector": [[value]] * 12}
    return ItemVectors(pl.DataFrame(table))


def graph(*steps, log: Interactions = LOG):
    return gs.build_graph(gs.leave_one_out(log), steps)


def test_relations_of_both_are_those_of_a_graph_built_with_both() -> None:
    items, order = gs.CoOccurrence("item"), gs.Transitions()
    merged = merge_graphs([graph(items), graph(order)])
    both = graph(items, order)
    assert merged.edge_types == both.edge_types
    assert graph_hash(merged) == graph_hash(both)
    assert gs.evaluate(gs.models.POP(30, 12), merged).means == (
        gs.evaluate(gs.models.POP(30, 12), both).means
    )


def test_steps_of_several_are_recorded_once() -> None:
    items, order = gs.CoOccurrence("item"), gs.Transitions()
    merged = merge_graphs([graph(items), graph(items, order)])
    expected = graph(items, order).provenance["transforms"]
    assert len(expected) == 2
    assert merged.provenance["transforms"] == expected


def test_parts_of_one_graph_are_merged_to_a_part_of_it() -> None:
    whole = graph(gs.CoOccurrence("item"), gs.Transitions(), gs.CoOccurrence("user"))
    parts = [part_of(whole, [relation]) for relation in (PRECEDES, ITEM_CO_OCCURS)]
    merged = merge_graphs(parts)
    assert {*merged.edge_types} == {INTERACTS, PRECEDES, ITEM_CO_OCCURS}
    assert whole_hash(merged) == graph_hash(whole)


def test_the_graphs_are_not_changed() -> None:
    one, other = graph(), graph(gs.CoOccurrence("item"))
    before = graph_hash(one), graph_hash(other)
    merge_graphs([one, other])
    assert (graph_hash(one), graph_hash(other)) == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: graph(log=markov(30, 12, length=9, seed=1)), "has other edges"),
        (lambda: graph(log=markov(30, 13, length=9, seed=0)), "items have other ids"),
        (lambda: graph(gs.CoOccurrence("item", top_k=2)), "has other edges or weights"),
        (lambda: part_of(graph(), [], users=False), "without the events"),
        (lambda: graph(vectors(2.0)), "items have other vectors"),
    ],
)
def test_other_graphs_are_refused(other, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        merge_graphs([graph(gs.CoOccurrence("item"), vectors(1.0)), other()])


def test_vectors_of_either_are_kept() -> None:
    merged = merge_graphs([graph(gs.Transitions()), graph(vectors(1.0))])
    assert merged["item"].x.tolist() == [[1.0]] * 12


def test_other_held_out_events_are_refused() -> None:
    one, other = graph(), graph()
    targets = other.test.target.clone()
    targets[0] = (targets[0] + 1) % 12
    other.test = other.test._replace(target=targets)
    with pytest.raises(GraphError, match="the test users, histories or targets differ"):
        merge_graphs([one, other])
    assert not torch.equal(one.test.target, other.test.target)


def test_each_two_graphs_are_compared() -> None:
    short, long = graph(gs.Transitions(window=1)), graph(gs.Transitions(window=3))
    with pytest.raises(GraphError, match=r"precedes.* has other edges or weights"):
        merge_graphs([graph(), short, long])
    assert merge_graphs([graph(), short, short]).edge_types == short.edge_types


def test_anything_but_a_list_of_graphs_is_refused() -> None:
    with pytest.raises(GraphError, match="takes a list of graphs; found none"):
        merge_graphs([])
    with pytest.raises(GraphError, match="takes a list of graphs; found one graph"):
        merge_graphs(graph())  # type: ignore[arg-type]
