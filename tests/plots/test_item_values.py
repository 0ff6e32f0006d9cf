"""The values behind the colours of items, against loops."""

import math

import numpy as np
import pytest
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import Attributes, CoOccurrence, build_graph
from graphseq.plots.item_values import count_events, item_values, raw_ids

LOG = synthetic.communities(num_users=60, num_items=60, num_communities=4, seed=0)
IDS = [*LOG.items.ids]
TABLE = {name: ["rare"] * (n == 3) + ["common"] for n, name in enumerate(IDS[:15])}


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    return build_graph(leave_one_out(LOG), [CoOccurrence("item"), Attributes(TABLE)])


def test_events_are_counted_as_in_a_loop(graph: HeteroData) -> None:
    naive = np.zeros(60)
    for item in graph["user", "interacts", "item"].edge_index[1].tolist():
        naive[item] += 1
    assert np.array_equal(count_events(graph), naive)
    found = item_values(graph, "events")
    assert found.numbers is not None and np.array_equal(found.numbers, naive)


def test_the_most_frequent_attribute_of_each_item_is_its_category(
    graph: HeteroData,
) -> None:
    expected = ["common" if name in TABLE else None for name in raw_ids(graph)]
    assert item_values(graph, "attribute").categories == expected
    assert expected.count("common") == 15


def test_communities_are_numbered_by_size(graph: HeteroData) -> None:
    found = item_values(graph, "communities").categories
    assert found is not None
    sizes = [found.count(f"community {n}") for n in range(1, len({*found}) + 1)]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == 60 and min(sizes) > 0


def test_a_mapping_of_numbers_is_a_scale_and_one_of_texts_are_categories(
    graph: HeteroData,
) -> None:
    first, second, *_ = raw_ids(graph)
    numbers = item_values(graph, {first: 3, second: 0.5}).numbers
    assert numbers is not None and numbers[:2].tolist() == [3, 0.5]
    assert np.isnan(numbers[2:]).all()
    numbers = item_values(graph, {first: np.int64(3), second: math.nan}).numbers
    assert numbers is not None and numbers[0] == 3 and np.isnan(numbers[1:]).all()
    with pytest.raises(ConfigError, match="none is an item of this graph"):
        item_values(graph, {first: math.nan})
    texts = item_values(graph, {first: 3, second: "a"}).categories
    assert texts is not None and texts[:3] == ["3", "a", None]
    with pytest.raises(ConfigError, match="none is an item of this graph"):
        item_values(graph, {"unknown": 1})


@pytest.mark.parametrize("colour", ["communities", "attribute"])
def test_a_graph_without_the_relation_is_refused(colour: str) -> None:
    with pytest.raises(GraphError, match="Give a graph built with"):
        item_values(build_graph(leave_one_out(LOG)), colour)  # type: ignore[arg-type]
