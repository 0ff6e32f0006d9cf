"""Item features of one length."""

import math

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models import create
from graphseq.nn import Embedding, Normalized, Propagated
from graphseq.schema import OptionError, describe


def test_each_vector_is_divided_by_its_length() -> None:
    table = Embedding(3, dim=2).double()
    with torch.no_grad():
        table.weight.copy_(torch.tensor([[3.0, 4.0], [-0.5, 0.0], [0.0, 0.0]]))
    features = Normalized(3, features=table, length=2.0)
    found = features(HeteroData()).tolist()
    for row, vector in zip(found, table.weight.tolist(), strict=True):
        size = math.sqrt(sum(x * x for x in vector))
        expected = [2 * x / size if size else 0.0 for x in vector]
        assert row == pytest.approx(expected, abs=1e-15)


def test_a_vector_of_zeros_has_a_gradient_of_usual_size() -> None:
    table = Embedding(3, dim=2).double()
    with torch.no_grad():
        table.weight[1] = 0
    Normalized(3, features=table, length=2.0)(HeteroData()).sum().backward()
    assert table.weight.grad is not None
    assert table.weight.grad[1].tolist() == [2, 2]


def test_the_gradient_is_that_of_finite_differences() -> None:
    table = Embedding(4, dim=3, std=1.0).double()
    features = Normalized(4, features=table, length=0.7)
    weights = torch.randn(4, 3, dtype=torch.float64)

    def value(rows: torch.Tensor) -> torch.Tensor:
        called = torch.func.functional_call(
            features, {"features.weight": rows}, HeteroData()
        )
        return (called * weights).sum()

    assert torch.autograd.gradcheck(value, table.weight)


def test_it_reads_what_its_features_read(relations: HeteroData) -> None:
    inner = Propagated(4, 3, dim=2, relation="interacts", target_edges="left_out")
    features = Normalized(4, features=inner, length=1.0)
    assert (features.dim, features.num_items) == (2, 4)
    assert features.requires == (INTERACTS,)
    edges = relations[INTERACTS].edge_index[:, :1]
    found = features.in_training(relations, edges)
    expected = torch.nn.functional.normalize(inner(relations, edges), dim=1)
    torch.testing.assert_close(found, expected)
    assert not torch.equal(found, features(relations))  # without an edge


def test_scores_are_cosines_times_the_lengths() -> None:
    features = {"Normalized": {"features": {"Embedding": {}}}}
    backbone = {"dim": 8, "features": features}
    model = create({"SASRec": {"backbone": backbone}}, 3, 5).eval()
    items = model.item_vectors(HeteroData())
    assert items.shape == (5, 8)
    assert items.norm(dim=1).tolist() == pytest.approx([1.2] * 5)
    written = describe(model)
    again = create(written, 3, 5)
    assert again.state_dict().keys() == model.state_dict().keys()


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match="expected num_items=4 rows, found 3"):
        Normalized(4, features=Embedding(3, dim=2))
    with pytest.raises(OptionError, match="expected width 2, found dim=3"):
        Normalized(3, features=Embedding(3, dim=2), dim=3)
    with pytest.raises(OptionError, match="length"):
        Normalized(3, features=Embedding(3, dim=2), length=0.0)
