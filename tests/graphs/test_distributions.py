"""Distributions: values against loops, and what a plot shows of them."""

import math
from pathlib import Path

import numpy as np
import pytest
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER_CO_OCCURS
from graphseq.data import leave_one_out, synthetic
from graphseq.errors import GraphError
from graphseq.graphs import (
    CoOccurrence,
    Distributions,
    Transitions,
    build_graph,
    similarity_distributions,
    weight_distributions,
)


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.communities(num_users=60, num_items=60, num_communities=4, seed=0)
    steps = [CoOccurrence("user", top_k=5), CoOccurrence("item"), Transitions()]
    return build_graph(leave_one_out(log), steps)


def test_weights_are_those_of_the_edges(graph: HeteroData) -> None:
    found = weight_distributions(graph).groups["user co_occurs user"]
    assert found.tolist() == sorted(graph[USER_CO_OCCURS].edge_weight.tolist())
    frame = weight_distributions(graph).frame()
    assert frame["max"][0] == found.max()
    assert frame["median"][0] == np.median(found)


def test_similarity_of_linked_users_is_the_cosine_of_their_items(
    graph: HeteroData,
) -> None:
    items: dict[int, set[int]] = {}
    for user, item in graph[INTERACTS].edge_index.T.tolist():
        items.setdefault(user, set()).add(item)
    naive = sorted(
        len(items[i] & items[j]) / math.sqrt(len(items[i]) * len(items[j]))
        for i, j in graph[USER_CO_OCCURS].edge_index.T.tolist()
    )
    found = similarity_distributions(graph).groups["user co_occurs user: linked"]
    assert found == pytest.approx(naive)


def test_linked_nodes_are_more_alike_than_any_two(graph: HeteroData) -> None:
    means = {
        name: v.mean() for name, v in similarity_distributions(graph).groups.items()
    }
    assert means["user co_occurs user: linked"] > means["any two users"] > 0
    assert means["item precedes item: linked"] > means["any two items"]


def test_the_choice_of_pairs_is_the_same_each_time(graph: HeteroData) -> None:
    one, other = (similarity_distributions(graph, pairs=50).groups for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert all(len(values) == 50 for values in one.values())


def test_nodes_without_events_have_no_similarity(graph: HeteroData) -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 1, 1
    assert similarity_distributions(graph).groups == {}
    assert weight_distributions(graph).frame().is_empty()


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_distributions_are_drawn(
    graph: HeteroData, tmp_path: Path, ending: str
) -> None:
    for kind in (weight_distributions, similarity_distributions):
        path = kind(graph).plot(tmp_path / f"{kind.__name__}.{ending}")
        assert path.stat().st_size > 1000


def test_a_curve_is_the_fraction_of_values_at_least_as_large() -> None:
    values = np.array([0, 1, 1, 2, 5, 5, 5, 9])
    found = Distributions({"a": values}, "degree", "Degrees", logarithmic=True)
    [axes] = found.figure().axes
    [curve, median] = axes.lines
    x, y = curve.get_xdata(), curve.get_ydata()
    naive = [sum(other >= value for other in values) / 8 for value in x]
    assert x.tolist() == [1, 2, 5, 9] and y.tolist() == naive
    assert curve.get_drawstyle() == "steps-pre"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert median.get_xdata()[0] == np.median(values) == 3.5


def test_each_relation_has_a_panel_with_its_edges_and_its_reference(
    graph: HeteroData, tmp_path: Path
) -> None:
    written = weight_distributions(graph).plot(tmp_path / "w.svg").read_text("utf-8")
    for relation in ("user co_occurs user", "item co_occurs item", "item precedes"):
        assert relation in written
    assert f"{graph[USER_CO_OCCURS].num_edges:,} edges" in written
    assert "fraction at least as large" in written and "median " in written
    found = similarity_distributions(graph)
    panels = found.figure().axes
    assert len(panels) == 3
    labels = [[line.get_label() for line in axes.lines[:2]] for axes in panels]
    assert labels[0] == ["any two users", "linked"]
    assert labels[1] == ["any two items", "linked"]


def test_nothing_to_plot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="cannot plot edge weights"):
        weight_distributions(HeteroData()).plot(tmp_path / "w.svg")
    assert not (tmp_path / "w.svg").exists()
