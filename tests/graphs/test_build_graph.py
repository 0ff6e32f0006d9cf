"""The content of a graph: training events only, and how it was made."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, PRECEDES, USER_CO_OCCURS
from graphseq.data import (
    HeldOut,
    Interactions,
    Split,
    by_user,
    leave_one_out,
    synthetic,
)
from graphseq.errors import DataError, GraphError
from graphseq.graphs import (
    Attributes,
    CoOccurrence,
    Transitions,
    build_graph,
    graph_hash,
    update_graph,
)

STEPS = [CoOccurrence("user"), CoOccurrence("item"), Transitions(window=3)]


def private_items(num_users: int = 12, length: int = 6) -> Interactions:
    """Every user's last two events are of items that only this user chose."""
    chance = np.random.default_rng(0)
    item = chance.integers(0, 8, (num_users, length))
    item[:, -2:] = 8 + np.arange(2 * num_users).reshape(num_users, 2)
    user = np.repeat(np.arange(num_users), length)
    return Interactions.from_arrays(user, item.ravel())


def test_edges_are_the_training_events_in_order_with_repeats() -> None:
    log = Interactions.from_arrays([0] * 5 + [1] * 4, [3, 1, 3, 0, 2, 2, 2, 1, 0])
    graph = build_graph(leave_one_out(log))
    edges = graph[INTERACTS]
    assert edges.edge_index.tolist() == [[0, 0, 0, 1, 1], [3, 1, 3, 2, 2]]
    assert edges.time.tolist() == [0, 1, 2, 0, 1]
    assert edges.edge_index.dtype is torch.int64
    assert edges.edge_index.is_contiguous()
    assert (graph["user"].num_nodes, graph["item"].num_nodes) == (2, 4)
    assert graph["item"].vocabulary == log.items
    assert graph.test.target.tolist() == [2, 0]


@pytest.mark.parametrize("split", [leave_one_out, by_user])
def test_the_events_of_a_graph_share_the_memory_of_its_split(split: object) -> None:
    made: Split = split(private_items())  # type: ignore[operator]
    edges, train = build_graph(made)[INTERACTS], made.train
    user, item = edges.edge_index.numpy()
    for column, shared in zip(
        (train.user, train.item, train.time), (user, item, edges.time), strict=True
    ):
        assert np.shares_memory(column, np.asarray(shared))
        assert np.array_equal(column, shared)


@pytest.mark.parametrize("split", [leave_one_out, by_user])
def test_no_held_out_event_is_an_edge_of_any_relation(split: object) -> None:
    made: Split = split(private_items())  # type: ignore[operator]
    graph = build_graph(made, STEPS)
    hidden = torch.cat([graph.validation.target, graph.test.target])
    hidden = hidden[hidden >= 8]
    assert len(hidden)
    for relation in (INTERACTS, ITEM_CO_OCCURS, PRECEDES):
        index = graph[relation].edge_index
        for side, kind in enumerate((relation[0], relation[2])):
            if kind == "item":
                assert not torch.isin(index[side], hidden).any()


def test_held_out_users_have_no_edge_under_the_user_split() -> None:
    graph = build_graph(by_user(private_items()), STEPS)
    hidden = torch.cat([graph.validation.user, graph.test.user])
    assert len(hidden)
    assert not torch.isin(graph[INTERACTS].edge_index[0], hidden).any()
    assert not torch.isin(graph[USER_CO_OCCURS].edge_index, hidden).any()


def test_steps_compose_as_in_pyg_and_leave_their_input_alone() -> None:
    split = leave_one_out(private_items())
    plain = build_graph(split)
    before = graph_hash(plain)
    composed = Compose(STEPS)(plain)
    assert plain.edge_types == [INTERACTS]
    assert graph_hash(plain) == before
    built = build_graph(split, STEPS)
    assert composed.edge_types == built.edge_types
    for relation in built.edge_types:
        assert torch.equal(composed[relation].edge_index, built[relation].edge_index)


def test_steps_within_compose_are_described() -> None:
    split = by_user(private_items(), seed=3)
    graph = build_graph(split, [Compose([CoOccurrence("item", top_k=7)])])
    [found] = graph.provenance["transforms"]
    assert found["Compose"][0]["CoOccurrence"]["top_k"] == 7


def test_provenance_says_how_the_graph_was_made() -> None:
    found = build_graph(by_user(private_items(), seed=3), STEPS[2:]).provenance
    assert found["split"] == {
        "protocol": "by_user",
        "parameters": {"fractions": [0.8, 0.1, 0.1], "history": 0.8, "seed": 3},
    }
    options = {"window": 3, "decay": 1.0, "top_k": None, "self_loops": False}
    assert found["transforms"] == [{"Transitions": options}]
    assert found["counts"]["users"] == 12
    assert found["has_time"] is False


def test_held_out_rows_move_with_the_graph() -> None:
    graph = build_graph(leave_one_out(private_items())).to("meta")
    assert graph.test.history.device.type == "meta"
    assert graph[INTERACTS].edge_index.device.type == "meta"


def test_other_arguments_are_refused() -> None:
    log = synthetic.cycle(5, 4, length=5)
    build = inspect.unwrap(build_graph)
    with pytest.raises(GraphError, match="found Interactions and tuple"):
        build(log)
    with pytest.raises(GraphError, match="found Split and CoOccurrence"):
        build(leave_one_out(log), CoOccurrence("item"))


class Append:
    """A step of another package that appends an event."""

    def __init__(self, user: int, **stored: object) -> None:
        self.user, self.stored = user, stored

    def __call__(self, graph: HeteroData) -> HeteroData:
        edges = graph[INTERACTS]
        added = torch.tensor([[self.user], [0]])
        edges.edge_index = torch.cat([edges.edge_index, added], dim=1)
        edges.time = torch.cat([edges.time, torch.tensor([10**9])])
        for name, value in self.stored.items():
            edges[name] = value
        return graph


def test_a_step_of_others_cannot_break_the_sequences() -> None:
    split = leave_one_out(private_items())
    assert build_graph(split, [Append(11)])[INTERACTS].edge_index.shape == (2, 49)
    for step, found in (
        (Append(3), "must be ordered by user, then time, and edge 48 is not"),
        (Append(11, time=torch.zeros(3)), "times of the shape"),
        (Append(99), "name user nodes 0 … 99"),
        (lambda graph: None, "returned NoneType; a transform returns the graph"),
    ):
        for make in (
            lambda s: build_graph(split, [s]),
            lambda s: update_graph(build_graph(split), split, [s]),
        ):
            with pytest.raises(GraphError, match=found):
                make(step)


def test_steps_of_others_are_named_the_same_in_every_process() -> None:
    class Nothing:
        def __call__(self, graph: HeteroData) -> HeteroData:
            return graph

    def nothing(graph: HeteroData) -> HeteroData:
        return graph

    split = leave_one_out(private_items())
    for step, name in ((Nothing(), "Nothing"), (nothing, "nothing")):
        graph = build_graph(split, [step])  # type: ignore[list-item]
        [named] = graph.provenance["transforms"]
        assert named.endswith(f"<locals>.{name}") and "0x" not in named


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"user": torch.tensor([0, 0])}, "ascending ids below 12"),
        ({"user": torch.tensor([0, 99])}, "ascending ids below 12"),
        ({"target_ptr": torch.tensor([0, 0, 2])}, "one item or more"),
        ({"history_ptr": torch.tensor([0, 1])}, "one item or more"),
        ({"target": torch.tensor([0, 99])}, "ids below 32"),
        ({"target": np.array([0, 1])}, "int64 tensors"),
    ],
)
def test_held_out_rows_of_ones_own_follow_the_rules(
    changed: dict[str, object], found: str
) -> None:
    split = leave_one_out(private_items())
    rows = HeldOut(
        user=torch.tensor([0, 3]),
        history=torch.tensor([1, 2, 3]),
        history_ptr=torch.tensor([0, 1, 3]),
        target=torch.tensor([4, 5]),
        target_ptr=torch.tensor([0, 1, 2]),
    )
    build_graph(replace(split, test=rows))
    with pytest.raises(DataError, match=f"the test part of this split .*{found}"):
        build_graph(replace(split, test=rows._replace(**changed)))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([CoOccurrence("item"), CoOccurrence("item", top_k=2)], "item–co_occurs–item"),
        ([Transitions(), Transitions()], "item–precedes–item"),
        ([Attributes({0: ["a"]}), Attributes({0: ["b"]})], "item–has–attribute"),
    ],
)
def test_steps_that_would_replace_each_other_are_refused(
    steps: list[BaseTransform], message: str
) -> None:
    split = leave_one_out(synthetic.cycle(5, 4, length=5))
    with pytest.raises(GraphError, match=f"both add the relation {message}"):
        build_graph(split, steps)
