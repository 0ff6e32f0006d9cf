"""LightGCN against the numbers of the specification and PyG's layer."""

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.nn import LGConv

from graphseq.constants import INTERACTS
from graphseq.models import LightGCN
from graphseq.sequences import Batch, SequenceLoader

Tables = tuple[Tensor, Tensor]


def batch(users: list[int], targets: list[int], negatives: list[list[int]]) -> Batch:
    n = len(users)
    return Batch(
        torch.tensor(users),
        torch.full((n, 1), 4),
        torch.zeros(n, dtype=torch.int64),
        4,
        torch.tensor(targets)[:, None],
        torch.tensor(negatives)[:, None],
    )


def on_t1(tables: Tables, **options) -> LightGCN:
    model = LightGCN(3, 4, dim=2, **options).double()
    with torch.no_grad():
        for parameter, table in zip((model.users, model.items), tables, strict=True):
            parameter[:] = table
    return model


def test_vectors_are_the_mean_of_the_layers_of_the_specification(
    t1: HeteroData, t1_tables: Tables
) -> None:
    """6.1, layers 0 … 2."""
    model = on_t1(t1_tables, layers=2)
    users = [
        [1.27807353, 1.14985855],
        [1.72088257, 2.59266759],
        [1.10036213, 1.29281222],
    ]
    items = [
        [1.02437739, 1.38490018],
        [2.57254979, 3.32055543],
        [2.78867513, 3.62060244],
        [2.33333333, 2.66666667],
    ]
    found = model.represent(batch([0, 1, 2], [0] * 3, [[0]] * 3), t1)
    torch.testing.assert_close(found, torch.tensor(users).double(), rtol=0, atol=1e-6)
    found = model.item_vectors(t1)
    torch.testing.assert_close(found, torch.tensor(items).double(), rtol=0, atol=1e-6)


def test_last_read_out_is_the_last_layer(t1: HeteroData, t1_tables: Tables) -> None:
    model = on_t1(t1_tables, layers=3, readout="last")
    found = model.represent(batch([0, 1, 2], [0] * 3, [[0]] * 3), t1)
    expected = [
        [2.48952919, 3.55507451],
        [3.90374275, 4.96928807],
        [2.15470054, 2.87293405],
    ]
    torch.testing.assert_close(
        found, torch.tensor(expected).double(), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_vectors_and_their_gradients_are_those_of_pyg(
    cycle: HeteroData, layers: int
) -> None:
    torch.manual_seed(0)
    model = LightGCN(48, 12, dim=5, layers=layers)
    user, item = cycle[INTERACTS].edge_index.unique(dim=1)
    edges = torch.stack([torch.cat([user, item + 48]), torch.cat([item + 48, user])])
    conv, x = LGConv(), model.nodes.detach().clone().requires_grad_()
    steps = [x]
    for _ in range(layers):
        steps.append(conv(steps[-1], edges))
    expected = torch.stack(steps).mean(dim=0)
    found = torch.cat(
        [model.propagated(cycle, torch.arange(48)), model.item_vectors(cycle)]
    )
    torch.testing.assert_close(found, expected)
    weight = torch.randn(60, 5)
    both = [model.users, model.items]
    mine = torch.cat(torch.autograd.grad((found * weight).sum(), both))
    (its,) = torch.autograd.grad((expected * weight).sum(), x)
    torch.testing.assert_close(mine, its)


def test_loss_and_penalty_of_the_specification(t1: HeteroData) -> None:
    """6.8, with the vectors before propagation (layers=0)."""
    users = torch.tensor([[1.0, 0], [0, 1], [9, 9]]).double()
    items = torch.tensor([[1.0, 1], [0, 2], [0, 1], [1, 1]]).double()
    model = on_t1((users, items), layers=0, decay=0.5)
    terms = model.losses(batch([0, 1], [0, 1], [[2], [3]]), t1)
    assert terms["pairs"].item() == pytest.approx(0.31326169, abs=1e-8)
    assert terms["decay"].item() == pytest.approx(0.5 * 2.75)


def test_penalty_is_on_the_vectors_before_propagation(
    t1: HeteroData, t1_tables: Tables
) -> None:
    given = batch([0, 2], [1, 1], [[2], [3]])
    terms = [
        on_t1(t1_tables, layers=layers, decay=1.0).losses(given, t1)
        for layers in (0, 2)
    ]
    assert terms[0]["decay"] == terms[1]["decay"]
    assert terms[0]["pairs"] != terms[1]["pairs"]


def test_the_loss_reads_propagated_vectors(t1: HeteroData, t1_tables: Tables) -> None:
    model = on_t1(t1_tables, layers=2, num_negatives=2)
    given = batch([0, 2], [1, 1], [[2, 3], [0, 3]])
    users = model.propagated(t1, torch.arange(3))
    items = model.item_vectors(t1)
    total = 0.0
    for u, i, drawn in [(0, 1, [2, 3]), (2, 1, [0, 3])]:
        for j in drawn:
            total += torch.log1p(torch.exp(users[u] @ (items[j] - items[i]))).item()
    assert model.losses(given, t1)["pairs"].item() == pytest.approx(total / 4)


def test_the_default_penalty_is_a_ten_thousandth(cycle: HeteroData) -> None:
    model = LightGCN(48, 12, dim=6)
    (batch,) = SequenceLoader(cycle, "pairs", 10_000, 8, num_negatives=2)
    lengths = model.nodes.detach().square().sum(dim=1).tolist()
    both = torch.cat([batch.targets[:, :1], batch.negatives[:, 0]], dim=1)
    total = 0.0
    for user, items in zip(batch.user.tolist(), both.tolist(), strict=True):
        total += lengths[user] + sum(lengths[48 + item] for item in items)
    found = model.losses(batch, cycle)["decay"].item()
    assert found == pytest.approx(1e-4 * total / 2 / len(batch), rel=1e-4)
