"""What every graph step must do: its input, its edges, held-out events, storage."""

import copy
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, ITEM, USER, EdgeType
from graphseq.data import HeldOut, Interactions, leave_one_out
from graphseq.errors import GraphSeqError
from graphseq.graphs import build_graph, graph_hash, load_graph, save_graph
from graphseq.schema import Configurable, describe
from graphseq.testing.samples import (
    changes,
    graph_of,
    snapshot,
    weighted_log,
    without_held_out,
)
from graphseq.testing.suite import Suite, expect, expect_json


@dataclass(frozen=True)
class GraphStepCase:
    """A graph step, and a graph that it reads.

    Attributes:
        make: Returns a new step on each call.
        log: The log of the graph.
        before: The steps that come before it.
    """

    make: Callable[[], BaseTransform]
    log: Interactions | None = None
    before: Sequence[BaseTransform] = ()

    @cached_property
    def graph(self) -> HeteroData:
        """The graph that the step reads."""
        return graph_of(self.log or weighted_log(), self.before)

    @cached_property
    def result(self) -> Any:
        """What it returns; the input is a copy."""
        return self.make()(copy.deepcopy(self.graph))

    @property
    def new_relations(self) -> list[EdgeType]:
        """The relations that the step adds."""
        known = self.graph.edge_types
        return [
            relation for relation in self.result.edge_types if relation not in known
        ]


GRAPH_STEP = Suite(GraphStepCase)


@GRAPH_STEP.add
def it_is_a_transform_of_pyg(case: GraphStepCase) -> None:
    """It is a BaseTransform of PyG that returns a HeteroData."""
    step = case.make()
    advice = "derive it from BaseTransform and graphseq.schema.Configurable"
    expect(isinstance(step, BaseTransform), f"a {type(step).__name__}", advice)
    found = type(case.result).__name__
    expect(found == "HeteroData", f"it returned a {found}", "return the graph")


@GRAPH_STEP.add
def users_and_items_stay(case: GraphStepCase) -> None:
    """The numbers of users and items and their raw ids stay."""
    for kind in (USER, ITEM):
        before, after = case.graph[kind], case.result[kind]
        expect(
            before.num_nodes == after.num_nodes,
            f"{after.num_nodes} nodes of kind {kind}, before {before.num_nodes}",
            "add nodes of another kind; ids of users and items are rows of tables",
        )
        same = after.vocabulary.ids.equals(before.vocabulary.ids)
        advice = "keep graph[kind].vocabulary"
        expect(same, f"the raw ids of kind {kind} changed", advice)


@GRAPH_STEP.add
def the_input_stays_as_it_is(case: GraphStepCase) -> None:
    """The graph that is passed in keeps its relations and values."""
    graph = copy.deepcopy(case.graph)
    before = snapshot(graph)
    case.make()(graph)
    found = ", ".join(changes(graph, before))
    expect(not found, f"changed: {found}", "replace tensors, never write into them")


@GRAPH_STEP.add
def it_does_something(case: GraphStepCase) -> None:
    """It adds a relation, nodes or values, or changes some."""
    found = changes(case.result, snapshot(case.graph))
    advice = "return the graph with the new edges, or pass a larger log"
    expect(found, "the graph is the same after it", advice)


@GRAPH_STEP.add
def edges_are_within_their_nodes(case: GraphStepCase) -> None:
    """Both ends of every relation have num_nodes, and edges are ids below it."""
    for relation in case.result.edge_types:
        for side, kind in enumerate((relation[0], relation[2])):
            size = case.result[kind].num_nodes
            advice = f"set graph[{kind!r}].num_nodes"
            expect(size is not None, f"{kind} has no number of nodes", advice)
            ids = case.result[relation].edge_index[side]
            outside = int(((ids < 0) | (ids >= size)).sum())
            found = f"{outside} ends of {relation} are outside of 0 … {size - 1}"
            expect(not outside, found, "use the dense ids of the graph")


@GRAPH_STEP.add
def edges_have_the_types_of_the_package(case: GraphStepCase) -> None:
    """edge_index is (2, E) int64; edge_weight, if any, (E,) float32, from 0, finite."""
    for relation in case.result.edge_types:
        store = case.result[relation]
        index, advice = store.edge_index, "store torch.int64 indices of shape (2, E)"
        right = index.dtype == torch.int64 and index.dim() == 2 and len(index) == 2
        found = f"{relation}: edge_index is {index.dtype} {tuple(index.shape)}"
        expect(right, found, advice)
        if "edge_weight" not in store:
            continue
        weight = store.edge_weight
        right = weight.dtype == torch.float32 and weight.shape == index.shape[1:]
        found = f"{relation}: edge_weight is {weight.dtype} {tuple(weight.shape)}"
        expect(right, found, "store one float32 for each edge")
        bad = int((~weight.isfinite() | (weight < 0)).sum())
        found = f"{relation}: {bad} weights are negative, infinite or NaN"
        expect(not bad, found, "leave out such edges")


@GRAPH_STEP.add
def added_weights_are_above_zero(case: GraphStepCase) -> None:
    """An edge of a relation that it adds has a weight above 0."""
    for relation in case.new_relations:
        weight = case.result[relation].get("edge_weight", torch.ones(0))
        found = f"{relation}: {int((weight == 0).sum())} weights are 0"
        expect(bool((weight != 0).all()), found, "leave out such edges")


@GRAPH_STEP.add
def added_relations_have_each_pair_once(case: GraphStepCase) -> None:
    """A relation that it adds has each pair of nodes at most once."""
    for relation in case.new_relations:
        index = case.result[relation].edge_index
        repeats = index.shape[1] - torch.unique(index, dim=1).shape[1]
        found = f"{relation}: {repeats} edges repeat another one"
        expect(not repeats, found, "sum repeated pairs into the weight of one edge")


@GRAPH_STEP.add
def events_of_a_user_stay_together(case: GraphStepCase) -> None:
    """The user-item edges stay ordered by user: they are the sequences."""
    users = case.result[INTERACTS].edge_index[0]
    breaks = int((users.diff() < 0).sum())
    advice = "keep the order of the user-item edges; drop edges with a mask"
    expect(not breaks, f"{breaks} edges follow one of a later user", advice)


@GRAPH_STEP.add
def held_out_events_are_not_read(case: GraphStepCase) -> None:
    """Its edges are the same for other held-out events, and without any."""
    other = copy.deepcopy(case.graph)
    for name in ("validation", "test"):
        rows: HeldOut = getattr(other, name)
        reverse = rows._replace(
            target=rows.target.flip(0), history=rows.history.flip(0)
        )
        setattr(other, name, reverse)
    expected = snapshot(case.result)
    for graph in (other, without_held_out(case.graph)):
        try:
            found = ", ".join(changes(case.make()(graph), expected))
        except (AttributeError, KeyError) as error:
            found = f"{error} (without held-out events)"
        advice = "read graph['user', 'interacts', 'item'] only: the rest is the test"
        expect(not found, f"different: {found}", advice)


@GRAPH_STEP.add
def held_out_events_stay(case: GraphStepCase) -> None:
    """The held-out events are those of the input."""
    for name in ("validation", "test"):
        before, after = getattr(case.graph, name), getattr(case.result, name, None)
        same = after is not None and all(map(torch.equal, before, after))
        expect(same, f"graph.{name} changed", "leave the held-out events as they are")


@GRAPH_STEP.add
def equal_steps_give_equal_graphs(case: GraphStepCase) -> None:
    """Two new steps give the same graph; random ones have a seed as an option."""
    found = ", ".join(changes(case.make()(case.graph), snapshot(case.result)))
    advice = "sort what comes from sets; draw from a torch.Generator with a seed"
    expect(not found, f"different: {found}", advice)


@GRAPH_STEP.add
def the_random_state_of_the_process_stays(case: GraphStepCase) -> None:
    """Torch's global generator is neither read nor seeded."""
    torch.manual_seed(3)
    expected = torch.random.get_rng_state()
    case.make()(case.graph)
    same = torch.equal(torch.random.get_rng_state(), expected)
    expect(same, "the global generator changed", "draw from a torch.Generator")


@GRAPH_STEP.add
def the_graph_survives_a_folder(case: GraphStepCase) -> None:
    """The graph that save_graph wrote and load_graph read has the same content."""
    graph = build_graph(leave_one_out(case.log or weighted_log()), case.before)
    graph = case.make()(graph)
    with TemporaryDirectory() as folder:
        loaded = load_graph(save_graph(graph, Path(folder) / "graph"))
    lost = {
        f"{name} of {kind}"
        for kind, store in [*graph.node_items(), *graph.edge_items()]
        for name in {*store.keys()} - {*loaded[kind].keys(), "operator"}
    }
    found = ", ".join([*changes(loaded, snapshot(graph)), *sorted(lost)])
    advice = "keep dense tensors in the stores of nodes and relations, nothing else"
    expect(not found, f"different after loading: {found}", advice)


@GRAPH_STEP.add
def a_graph_without_events_is_refused(case: GraphStepCase) -> None:
    """A graph without user-item edges is refused with a GraphSeqError."""
    advice = "call require(graph, INTERACTS, 'the step') first"
    try:
        case.make()(HeteroData())
    except GraphSeqError:
        return
    except Exception as error:
        expect(False, f"{type(error).__name__}: {error}", advice)
    expect(False, "the step accepted an empty graph", advice)


@GRAPH_STEP.add
def a_log_of_short_sequences_is_read_or_refused(case: GraphStepCase) -> None:
    """Without any training event it returns a graph, or raises a GraphSeqError."""
    graph = copy.deepcopy(case.graph)
    for name, value in list(graph[INTERACTS].items()):
        if isinstance(value, torch.Tensor):
            graph[INTERACTS][name] = value[..., :0]
    try:
        case.make()(graph)
    except GraphSeqError:
        return
    except Exception as error:
        advice = "handle (2, 0) edges, or raise a GraphError that says what is missing"
        expect(False, f"{type(error).__name__}: {error}", advice)


@GRAPH_STEP.add
def options_rebuild_it(case: GraphStepCase) -> None:
    """Its options are recorded, and make a step that gives the same graph."""
    step = case.make()
    advice = "derive the class from graphseq.schema.Configurable"
    expect(isinstance(step, Configurable), "its options are not recorded", advice)
    assert isinstance(step, Configurable)
    again = type(step)(**copy.deepcopy(step.options))(case.graph)
    found = ", ".join(changes(again, snapshot(case.result)))
    expect(not found, f"different: {found}", "take all that it reads as options")


@GRAPH_STEP.add
def its_record_is_data(case: GraphStepCase) -> None:
    """build_graph records it as JSON data, the same for two equal steps."""
    split = leave_one_out(case.log or weighted_log())
    graphs = [build_graph(split, [*case.before, case.make()]) for _ in range(2)]
    records = [graph.provenance["transforms"][-1] for graph in graphs]
    found = f"recorded as {records[0]}"
    advice = "derive the class from Configurable; options are numbers, texts, lists"
    expect_json(records[0], advice)
    same = records[0] == records[1] and not re.search(r"0x[0-9a-f]{6}", found)
    expect(same, found, advice)
    expect(graph_hash(graphs[0]) == graph_hash(graphs[1]), "two hashes differ", advice)
    step = case.make()
    if isinstance(step, Configurable):
        same = describe(step) == records[0]
        expect(same, f"{found}, described as {describe(step)}", advice)


def check_graph_step(
    make: Callable[[], BaseTransform],
    *,
    log: Interactions | None = None,
    before: Sequence[BaseTransform] = (),
    skip: Collection[str] = (),
) -> None:
    """Check a graph step; :func:`checks` lists what must hold.

    Args:
        make: Returns a new step on each call, such as ``lambda: MyStep(top_k=5)``.
        log: The log of the graph that it reads; by default 24 users and 12 items,
            ``item-0`` … ``item-11``, with weights.
        before: The steps that come before it.
        skip: Names of checks that do not apply to it.

    Raises:
        CheckError: With all checks that failed.
    """
    GRAPH_STEP.run(make, skip=skip, log=log, before=before)
