"""Item features: a row of a table for each item."""

import pytest
import torch
from torch import nn
from torch_geometric.data import HeteroData

from graphseq.nn import Embedding, Features, Propagated, embed_items


def test_embedding_returns_its_table_without_using_the_graph() -> None:
    features = Embedding(5, dim=3)
    assert features(HeteroData()) is features.weight
    assert features.weight.shape == (5, 3) and features.dim == 3


@pytest.mark.parametrize("kind", [Embedding, Propagated])
def test_initial_standard_deviation_is_std(kind: type[Features]) -> None:
    torch.manual_seed(0)
    for std in (0.02, 0.5):
        weight = kind(2000, dim=16, std=std).weight
        assert weight.std().item() == pytest.approx(std, rel=0.05)
        assert abs(weight.mean().item()) < std / 20


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
