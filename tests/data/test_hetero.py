"""Graphs of PyG as logs."""

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.data import from_hetero
from graphseq.errors import DataError

RATES = ("user", "rates", "movie")


@pytest.fixture
def movies() -> HeteroData:
    """As MovieLens100K: ratings and times, the reverse relation, and held-out edges."""
    data = HeteroData()
    data["user"].num_nodes, data["movie"].num_nodes = 3, 5
    data[RATES].edge_index = torch.tensor([[1, 0, 1, 1], [4, 2, 0, 2]])
    data[RATES].time = torch.tensor([30, 5, 10, 20])
    data[RATES].rating = torch.tensor([1, 2, 3, 4])
    data["movie", "rated_by", "user"].edge_index = data[RATES].edge_index.flip([0])
    return data


def test_events_are_the_edges_in_the_order_of_their_times(movies: HeteroData) -> None:
    log = from_hetero(movies, weight="rating")
    assert log.user.tolist() == [0, 1, 1, 1]
    assert log.item.tolist() == [2, 0, 2, 4]
    assert log.time.tolist() == [5, 10, 20, 30]
    assert log.weight.tolist() == [2, 3, 4, 1]
    assert (log.num_users, log.num_items) == (3, 5)
    assert log == gs.Interactions.from_arrays(
        *movies[RATES].edge_index.numpy(),
        movies[RATES].time.numpy(),
        users=log.users,
        items=log.items,
        weight=np.array([1.0, 2, 3, 4]),
    )


def test_a_data_set_is_read_as_its_graph(movies: HeteroData) -> None:
    assert from_hetero([movies]) == from_hetero(movies)


def test_without_times_the_order_of_the_edges_counts(movies: HeteroData) -> None:
    del movies[RATES].time
    log = from_hetero(movies)
    assert not log.has_time
    assert log.item.tolist() == [2, 4, 0, 2]


def test_held_out_edges_are_never_left_out_in_silence(movies: HeteroData) -> None:
    movies[RATES].edge_label_index = torch.tensor([[0, 2], [1, 3]])
    with pytest.raises(DataError, match="holds out 2 edges"):
        from_hetero(movies)
    assert len(from_hetero(movies, include_held_out=False)) == 4
    with pytest.raises(DataError, match="have no time and no weight"):
        from_hetero(movies, include_held_out=True)
    del movies[RATES].time
    log = from_hetero(movies, include_held_out=True)
    assert log.user.tolist() == [0, 0, 1, 1, 1, 2]
    assert log.item.tolist() == [2, 1, 4, 0, 2, 3]


def test_relations_and_attributes_must_be_there(movies: HeteroData) -> None:
    with pytest.raises(DataError, match=r"no relation \('user', 'likes', 'movie'\)"):
        from_hetero(movies, ("user", "likes", "movie"))
    for options in ({"weight": "stars"}, {"time": "stars"}):
        with pytest.raises(DataError, match="no attribute 'stars'; they have edge_in"):
            from_hetero(movies, **options)
    movies["user", "tags", "movie"].edge_index = torch.tensor([[0], [1]])
    with pytest.raises(DataError, match="2 relations from user to another kind"):
        from_hetero(movies)
    movies[RATES].time = torch.zeros(3)
    with pytest.raises(DataError, match=r"found the shape \(3,\)"):
        from_hetero(movies, RATES)


def test_times_have_one_unit_and_may_have_fractions(movies: HeteroData) -> None:
    movies[RATES].time = torch.tensor([1.5, 2.0, 4.25, 3.0], dtype=torch.float64)
    log = from_hetero(movies, include_held_out=False)
    assert sorted(log.time.tolist()) == [1500, 2000, 3000, 4250]
    assert log.time_steps == 1
    moment = 1_600_000_000
    movies[RATES].time = torch.tensor([moment, moment, moment * 1000, moment])
    with pytest.raises(DataError, match="found 1600000000000, milliseconds; most are"):
        from_hetero(movies, include_held_out=False)


def test_other_objects_of_pyg_are_refused_by_name(movies: HeteroData) -> None:
    with pytest.raises(DataError, match="data set of one; found Data"):
        from_hetero(movies.to_homogeneous())
    del movies[RATES].edge_index
    with pytest.raises(DataError, match="have no edge_index; they have"):
        from_hetero(movies, RATES)


def test_a_graph_of_pyg_becomes_one_of_graphseq(movies: HeteroData) -> None:
    graph = gs.build_graph(gs.leave_one_out(from_hetero(movies)))
    assert graph["item"].num_nodes == 5


def test_an_unknown_number_of_nodes_is_refused() -> None:
    bare = HeteroData()
    bare["user", "interacts", "item"].edge_index = torch.zeros(2, 1, dtype=torch.int64)
    with pytest.raises(DataError, match=r"number of user nodes is not known; set data"):
        from_hetero(bare)


def test_sampled_negatives_are_no_events() -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 3, 4
    edges = graph["user", "buys", "item"]
    edges.edge_index = torch.tensor([[0, 1], [0, 1]])
    edges.edge_label_index = torch.tensor([[0, 2], [2, 3]])
    edges.edge_label = torch.tensor([1.0, 0.0])
    with pytest.raises(DataError, match=r"1 of the 2 edges .* pairs without an event"):
        from_hetero(graph, include_held_out=True)
    assert len(from_hetero(graph, include_held_out=False)) == 2
    edges.edge_label = torch.tensor([1.0, 5.0])  # ratings
    assert len(from_hetero(graph, include_held_out=True)) == 4


def test_half_precision_is_read_and_nothing_is_refused() -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 1, 2
    edges = graph["user", "buys", "item"]
    edges.edge_index = torch.tensor([[0, 0], [0, 1]])
    edges.rating = torch.tensor([1.5, 2.0], dtype=torch.bfloat16)
    assert from_hetero(graph, weight="rating").weight.tolist() == [1.5, 2.0]
    with pytest.raises(DataError, match="takes a HeteroData or a data set"):
        from_hetero([])
