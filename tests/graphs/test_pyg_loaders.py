"""A saved graph is what PyG's own tools expect."""

import pytest
import torch
import torch_geometric.typing as optional
from torch_geometric.data import Batch, HeteroData
from torch_geometric.loader import LinkNeighborLoader, NeighborLoader
from torch_geometric.nn import SAGEConv, to_hetero
from torch_geometric.transforms import ToUndirected

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.data import leave_one_out, synthetic
from graphseq.graphs import (
    CoOccurrence,
    Transitions,
    build_graph,
    load_graph,
    save_graph,
)
from graphseq.nn.adjacency import operator

samples = pytest.mark.skipif(
    not (optional.WITH_PYG_LIB or optional.WITH_TORCH_SPARSE),
    reason="neighbours are sampled by pyg-lib or torch-sparse; neither is here",
)
samples_by_time = pytest.mark.skipif(
    not optional.WITH_PYG_LIB,
    reason="neighbours are sampled by time by pyg-lib alone, which is not here",
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> HeteroData:
    log = synthetic.communities(num_users=80, num_items=60, num_communities=4, seed=0)
    steps = [CoOccurrence("user"), CoOccurrence("item"), Transitions(window=2)]
    path = tmp_path_factory.mktemp("pyg") / "graph"
    return load_graph(save_graph(build_graph(leave_one_out(log), steps), path))


def test_a_loaded_graph_is_valid(graph: HeteroData) -> None:
    assert graph.validate()


def test_a_plain_heterogeneous_network_runs_on_it(graph: HeteroData) -> None:
    both = ToUndirected()(graph)

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SAGEConv(8, 4)

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            return self.conv(x, edge_index)

    network = to_hetero(Layer(), both.metadata())
    x = {kind: torch.randn(both[kind].num_nodes, 8) for kind in both.node_types}
    found = network(x, both.edge_index_dict)
    assert {kind: tuple(v.shape) for kind, v in found.items()} == {
        "user": (80, 4),
        "item": (60, 4),
    }


@pytest.mark.accel
@pytest.mark.filterwarnings("ignore:Using 'NeighborSampler' without a 'pyg-lib'")
@samples
def test_neighbours_of_users_are_sampled(graph: HeteroData) -> None:
    loader = NeighborLoader(
        ToUndirected()(graph), [5, 5], input_nodes="user", batch_size=16
    )
    batches = list(loader)
    assert sum(batch["user"].batch_size for batch in batches) == 80
    for batch in batches:
        index = batch["item", "co_occurs", "item"].edge_index
        items = batch["item"].n_id[index]
        known = {tuple(pair) for pair in graph[ITEM_CO_OCCURS].edge_index.T.tolist()}
        assert {tuple(pair) for pair in items.T.tolist()} <= known


@pytest.mark.accel
@pytest.mark.filterwarnings("ignore:Using 'NeighborSampler' without a 'pyg-lib'")
@samples
def test_links_are_sampled_with_negatives(graph: HeteroData) -> None:
    loader = LinkNeighborLoader(
        graph,
        [4],
        edge_label_index=(INTERACTS, graph[INTERACTS].edge_index),
        neg_sampling="binary",
        batch_size=64,
    )
    batch = next(iter(loader))
    labels = batch[INTERACTS].edge_label
    assert (int((labels == 1).sum()), int((labels == 0).sum())) == (64, 64)


@samples_by_time
def test_nothing_later_than_a_link_is_sampled_by_the_time_of_nodes(
    graph: HeteroData,
) -> None:
    graph, store = graph.clone(), graph[INTERACTS]
    first = torch.full((graph["item"].num_nodes,), int(store.time.max()))
    first = first.scatter_reduce(0, store.edge_index[1], store.time, "amin")
    graph["item"].seen, graph["user"].seen = first, torch.zeros(80, dtype=torch.int64)
    loader = LinkNeighborLoader(
        graph,
        [3, 3],
        edge_label_index=(INTERACTS, store.edge_index),
        edge_label_time=store.time,
        time_attr="seen",
        batch_size=1,
    )
    for edge, batch in zip(range(100), loader, strict=False):
        assert (batch["item"].seen <= store.time[edge]).all()


@samples_by_time
def test_nothing_later_than_a_link_is_sampled_by_the_time_of_edges(
    graph: HeteroData,
) -> None:
    store = graph[INTERACTS]
    loader = LinkNeighborLoader(
        graph.edge_type_subgraph([INTERACTS]),
        [3],
        edge_label_index=(INTERACTS, store.edge_index),
        edge_label_time=store.time - 1,
        time_attr="time",
        batch_size=1,
    )
    for edge, batch in zip(range(100), loader, strict=False):
        assert (batch[INTERACTS].time < store.time[edge]).all()


def test_joined_graphs_are_propagated_like_one_graph() -> None:
    """PyG joins what is cached in each graph, too."""
    graphs = [build_graph(leave_one_out(synthetic.cycle(6, 4, length=5)))] * 2
    graphs = [graph.clone() for graph in graphs]
    fresh = operator(Batch.from_data_list(graphs), INTERACTS)
    for graph in graphs:
        operator(graph, INTERACTS)
    cached = operator(Batch.from_data_list(graphs), INTERACTS)
    x = torch.rand(fresh.num_nodes, 3)
    assert torch.equal(cached.multiply(x), fresh.multiply(x))
