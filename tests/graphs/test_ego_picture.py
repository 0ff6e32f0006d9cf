"""The plot of an ego network: what it shows, and what it says that it left out."""

from math import hypot
from pathlib import Path

import pytest
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER_CO_OCCURS
from graphseq.graphs import CoOccurrence, draw, to_networkx
from graphseq.graphs.ego_picture import _parents, _positions, cut


def test_the_plot_has_labels_a_legend_and_what_was_left_out(
    t2: HeteroData, tmp_path: Path
) -> None:
    ego = to_networkx(CoOccurrence("user")(t2), 0, max_nodes=4)
    titles = {0: "Black tea", 1: "Milk"}
    text = draw(ego, tmp_path / "ego.svg", titles=titles).read_text("utf-8")
    for shown in ("Black tea", "Milk", "user 0", "item (2)", "user (2)"):
        assert f">{shown}<" in text
    assert "user co_occurs user, weight 2" in text
    assert "user interacts item, weight 1<" in text
    assert "3 of 6 neighbours shown, those of largest weight" in text


def test_the_same_network_gives_the_same_file(t2: HeteroData, tmp_path: Path) -> None:
    ego = to_networkx(CoOccurrence("user")(t2), 1, hops=2)
    for ending in ("svg", "png", "pdf"):
        files = [draw(ego, tmp_path / f"{name}.{ending}") for name in "ab"]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_what_was_left_out_is_stated_for_each_distance(t2: HeteroData) -> None:
    graph = CoOccurrence("user")(t2)

    def words(**options: int) -> str:
        return cut(to_networkx(graph, 1, relations=[INTERACTS], **options))

    assert words() == "all 2 neighbours shown"
    assert words(hops=2) == "all 2 neighbours shown; all 2 nodes at distance 2 shown"
    assert words(hops=2, max_nodes=2) == (
        "1 of 2 neighbours shown, those of largest weight; none further away"
    )
    assert words(hops=2, max_nodes=4).endswith(
        "1 of 2 nodes at distance 2 shown, those of largest weight"
    )


def test_nodes_lie_on_the_ring_of_their_distance_without_overlaps(
    t2: HeteroData,
) -> None:
    ego = to_networkx(t2, 0, kind="item", hops=3)
    parents = _parents(ego)
    positions = _positions(ego, parents)
    assert set(positions) == set(ego)
    for node, distance in ego.nodes(data="distance"):
        radius = 1 + 0.7 * (distance - 1) if distance else 0
        assert hypot(*positions[node]) == pytest.approx(radius)
        if distance:
            assert ego.nodes[parents[node]]["distance"] == distance - 1
            assert ego.has_edge(node, parents[node]) or ego.has_edge(
                parents[node], node
            )
    places = {(round(x, 6), round(y, 6)) for x, y in positions.values()}
    assert len(places) == len(ego)


def test_a_node_hangs_on_its_heaviest_edge(t2: HeteroData) -> None:
    ego = to_networkx(CoOccurrence("user")(t2), 2, hops=2, relations=[USER_CO_OCCURS])
    assert _parents(ego)["user", 0] == ("user", 2)
    assert _parents(ego)["user", 1] == ("user", 0)
