"""Item features: a table, or one propagated over the item graph."""

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS
from graphseq.errors import GraphError
from graphseq.nn import Embedding, Features, Propagated, embed_items
from graphseq.schema import describe


@pytest.fixture
def triangle() -> HeteroData:
    """Items 0-1-2 in a weighted path, item 3 alone."""
    graph = HeteroData()
    graph["item"].num_nodes = 4
    edges = graph[ITEM_CO_OCCURS]
    edges.edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    edges.edge_weight = torch.tensor([3.0, 3.0, 1.0, 1.0])
    return graph


def smoothed(table: Tensor, steps: int, readout: str) -> Tensor:
    """Â by hand, dense: the degrees are 3, 4, 1 and 0."""
    a = torch.zeros(4, 4)
    a[0, 1] = a[1, 0] = 3 / (3 * 4) ** 0.5
    a[1, 2] = a[2, 1] = 1 / (4 * 1) ** 0.5
    layers = [table]
    for _ in range(steps):
        layers.append(a @ layers[-1])
    return layers[-1] if readout == "last" else torch.stack(layers).mean(dim=0)


def test_embedding_returns_its_table_without_using_the_graph() -> None:
    features = Embedding(5, dim=3)
    assert features(HeteroData()) is features.weight
    assert features.weight.shape == (5, 3) and features.dim == 3


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
@pytest.mark.parametrize("readout", ["last", "mean"])
def test_propagated_equals_dense_powers(
    triangle: HeteroData, layers: int, readout: str
) -> None:
    features = Propagated(4, dim=6, layers=layers, readout=readout)
    found = features(triangle)
    torch.testing.assert_close(found, smoothed(features.weight, layers, readout))
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    mine = torch.autograd.grad((found * weight).sum(), features.weight)
    dense = smoothed(features.weight, layers, readout)
    its = torch.autograd.grad((dense * weight).sum(), features.weight)
    torch.testing.assert_close(mine, its)


def test_an_isolated_item_keeps_only_its_term_of_the_mean(
    triangle: HeteroData,
) -> None:
    mean = Propagated(4, dim=6, layers=2)
    torch.testing.assert_close(mean(triangle)[3], mean.weight[3] / 3)
    last = Propagated(4, dim=6, layers=2, readout="last")
    assert not last(triangle)[3].any()


def test_a_missing_relation_is_reported() -> None:
    with pytest.raises(GraphError, match="co_occurs"):
        Propagated(4, dim=6)(HeteroData())


@pytest.mark.parametrize("kind", [Embedding, Propagated])
def test_initial_standard_deviation_is_std(kind: type[Features]) -> None:
    torch.manual_seed(0)
    for std in (0.02, 0.5):
        weight = kind(2000, dim=16, std=std).weight
        assert weight.std().item() == pytest.approx(std, rel=0.05)
        assert abs(weight.mean().item()) < std / 20


def test_features_record_their_options() -> None:
    assert describe(Propagated(4, dim=6, layers=2)) == {
        "Propagated": {
            "num_items": 4,
            "dim": 6,
            "relation": "item",
            "layers": 2,
            "readout": "mean",
            "std": 0.02,
        }
    }


def test_embed_items_equals_an_embedding_with_a_zero_row_for_padding() -> None:
    table = torch.randn(5, 3, requires_grad=True)
    items = torch.tensor([[0, 4, 5], [5, 5, 5]])
    found = embed_items(table, items)
    padded = torch.cat([table, torch.zeros(1, 3)])
    torch.testing.assert_close(found, padded[items])
    found.sum().backward()
    expected = torch.tensor([1.0, 0, 0, 0, 1])[:, None].expand(5, 3)
    assert torch.equal(table.grad, expected), "padding must not train the last item"


def test_the_table_is_a_parameter() -> None:
    holder = nn.Module()
    holder.features = Embedding(5, dim=3)
    assert [name for name, _ in holder.named_parameters()] == ["features.weight"]
