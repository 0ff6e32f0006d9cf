"""Every graph step passes the checks, and each check fails for a broken step."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.config.registry import GRAPH
from graphseq.constants import INTERACTS, ITEM
from graphseq.graphs import CoOccurrence, EdgeDropout, NodeDropout, Transitions
from graphseq.graphs import WeightedCoOccurrence as Weighted
from graphseq.graphs.attributes import Attributes
from graphseq.graphs.build import require
from graphseq.graphs.item_vectors import ItemVectors
from graphseq.schema import Configurable
from graphseq.testing import CheckError, check_graph_step, checks

ITEMS = [f"item-{number}" for number in range(12)]
STEPS: dict[str, Callable[[Path], BaseTransform]] = {
    "CoOccurrence of users": lambda _: CoOccurrence("user", weight="cosine"),
    "CoOccurrence": lambda _: CoOccurrence("item", top_k=3),
    "WeightedCoOccurrence": lambda _: Weighted("item", top_k=3),
    "Transitions": lambda _: Transitions(window=2),
    "EdgeDropout": lambda _: EdgeDropout(0.3),
    "NodeDropout": lambda _: NodeDropout(0.3),
    "Attributes": lambda folder: Attributes(folder / "attributes.json"),
    "ItemVectors": lambda folder: ItemVectors(folder / "vectors.parquet"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of attributes and one of vectors of the items."""
    folder = tmp_path_factory.mktemp("files")
    table = {item: [f"a{row % 3}"] for row, item in enumerate(ITEMS)}
    (folder / "attributes.json").write_text(json.dumps(table))
    vectors = np.random.default_rng(0).normal(size=(12, 4)).tolist()
    frame = pl.DataFrame({"item": ITEMS, "vector": vectors})
    frame.write_parquet(folder / "vectors.parquet")
    return folder


@pytest.mark.parametrize("name", STEPS)
def test_a_step_passes_all_checks(name: str, folder: Path) -> None:
    check_graph_step(lambda: STEPS[name](folder))


def test_every_step_of_experiment_files_is_checked() -> None:
    assert {name.split()[0] for name in STEPS} == {*GRAPH}


CHAIN = ("item", "chain", "item")


class Chain(Configurable, BaseTransform):
    """Links each item to the next id; it passes all checks."""

    def __init__(self, seed: Any = 0) -> None:
        self.seed = seed

    def forward(self, graph: HeteroData) -> HeteroData:
        require(graph, INTERACTS, "Chain")
        ids = torch.arange(graph[ITEM].num_nodes - 1)
        graph[CHAIN].edge_index = torch.stack([ids, ids + 1])
        graph[CHAIN].edge_weight = torch.ones(len(ids))
        return graph


def broken(change: Callable[[HeteroData], Any], **options: Any) -> Any:
    """A chain with a change of its result; a returned value replaces the graph."""

    class Broken(Chain):
        def forward(self, graph: HeteroData) -> HeteroData:
            graph = super().forward(graph)
            other = change(graph)
            return graph if other is None else other

    return Broken


def fewer_users(graph: HeteroData) -> None:
    graph["user"].num_nodes = 3


def in_place(graph: HeteroData) -> None:
    graph[INTERACTS].time += 1


def nothing(graph: HeteroData) -> None:
    del graph[CHAIN]


def outside(graph: HeteroData) -> None:
    graph[CHAIN].edge_index = graph[CHAIN].edge_index + 1


def doubles(graph: HeteroData) -> None:
    graph[CHAIN].edge_weight = graph[CHAIN].edge_weight.double()


def repeated(graph: HeteroData) -> None:
    graph[CHAIN].edge_index = graph[CHAIN].edge_index.repeat(1, 2)
    graph[CHAIN].edge_weight = graph[CHAIN].edge_weight.repeat(2)


def weightless(graph: HeteroData) -> None:
    graph[CHAIN].edge_weight = torch.ones(11).index_fill(0, torch.tensor([2]), 0)


def disordered(graph: HeteroData) -> None:
    graph[INTERACTS].edge_index = graph[INTERACTS].edge_index.flip(1)


def peeking(graph: HeteroData) -> None:
    graph[CHAIN].edge_weight = graph[CHAIN].edge_weight + graph.test.target[0]


def forgetting(graph: HeteroData) -> None:
    graph.test = graph.validation


class Unsure(Chain):
    draws = 0

    def forward(self, graph: HeteroData) -> HeteroData:
        graph = super().forward(graph)
        Unsure.draws += 1
        graph[CHAIN].edge_weight = graph[CHAIN].edge_weight * Unsure.draws
        return graph


def drawing(graph: HeteroData) -> None:
    torch.rand(1)


def named(graph: HeteroData) -> None:
    graph[CHAIN].names = ["next"] * 11


class Careless(Chain):
    def forward(self, graph: HeteroData) -> HeteroData:
        ids = torch.arange(graph[INTERACTS].num_edges - 1) % 12
        graph[CHAIN].edge_index = torch.stack([ids.unique(), ids.unique()])
        return graph


def averaging(graph: HeteroData) -> None:
    if not graph[INTERACTS].num_edges:
        raise ZeroDivisionError("no events")


class Plain(BaseTransform):
    def forward(self, graph: HeteroData) -> HeteroData:
        return Chain().forward(graph)


class Unwritten(Chain):
    def __init__(self, seed: Any = 0) -> None:
        super().__init__(seed)
        self.options["seed"] = torch.nn.ReLU()


BROKEN: dict[str, Any] = {
    "it_is_a_transform_of_pyg": broken(lambda graph: graph.to_homogeneous()),
    "users_and_items_stay": broken(fewer_users),
    "the_input_stays_as_it_is": broken(in_place),
    "it_does_something": broken(nothing),
    "edges_are_within_their_nodes": broken(outside),
    "edges_have_the_types_of_the_package": broken(doubles),
    "added_weights_are_above_zero": broken(weightless),
    "added_relations_have_each_pair_once": broken(repeated),
    "events_of_a_user_stay_together": broken(disordered),
    "held_out_events_are_not_read": broken(peeking),
    "held_out_events_stay": broken(forgetting),
    "equal_steps_give_equal_graphs": Unsure,
    "the_random_state_of_the_process_stays": broken(drawing),
    "the_graph_survives_a_folder": broken(named),
    "a_graph_without_events_is_refused": Careless,
    "a_log_of_short_sequences_is_read_or_refused": broken(averaging),
    "options_rebuild_it": Plain,
    "its_record_is_data": Unwritten,
}


def test_a_step_that_keeps_the_claims_passes() -> None:
    check_graph_step(Chain)


@pytest.mark.parametrize("check", checks("graph_step"))
def test_a_check_fails_for_a_step_that_breaks_its_claim(check: Any) -> None:
    with pytest.raises(CheckError, match=f"(?s){check.name}.*checked:.*found:.*to do:"):
        check(BROKEN[check.name])
