"""The graph encoder: propagation, with edge dropout in training."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import USER_CO_OCCURS
from graphseq.nn import GraphEncoder, operator, propagate


@pytest.fixture
def ring() -> HeteroData:
    """Thirty users, each connected to the three on either side."""
    graph = HeteroData()
    graph["user"].num_nodes = 30
    node = torch.arange(30).repeat(6)
    step = torch.tensor([-3, -2, -1, 1, 2, 3]).repeat_interleave(30)
    graph[USER_CO_OCCURS].edge_index = torch.stack([node, (node + step) % 30])
    return graph


X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
ROWS = torch.tensor([4, 0, 29])


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("readout", ["last", "mean"])
def test_it_returns_rows_of_a_propagation(
    ring: HeteroData, layers: int, readout: str
) -> None:
    encoder = GraphEncoder(layers=layers, readout=readout, dropout=0.5).eval()
    whole = propagate(X, operator(ring, USER_CO_OCCURS), layers, readout)
    torch.testing.assert_close(encoder(ring, USER_CO_OCCURS, X, ROWS), whole[ROWS])


def test_it_has_no_parameters() -> None:
    assert not [*GraphEncoder().parameters()]


def test_each_call_in_training_drops_other_entries(ring: HeteroData) -> None:
    encoder = GraphEncoder(dropout=0.5).train()
    calls = [encoder(ring, USER_CO_OCCURS, X, ROWS) for _ in range(2)]
    assert not torch.allclose(*calls)
    still = GraphEncoder(dropout=0.0).train()
    calls = [still(ring, USER_CO_OCCURS, X, ROWS) for _ in range(2)]
    assert torch.equal(*calls)


def test_dropout_keeps_the_graph_and_the_mean_of_one_step(
    ring: HeteroData,
) -> None:
    encoder, everyone = GraphEncoder(layers=1, dropout=0.3), torch.arange(30)
    expected = encoder.eval()(ring, USER_CO_OCCURS, X, everyone)
    torch.manual_seed(0)
    encoder.train()
    calls = [encoder(ring, USER_CO_OCCURS, X, everyone) for _ in range(100)]
    off = (torch.stack(calls).mean(dim=0) - expected).abs()
    assert off.max() < 0.25
    assert torch.equal(encoder.eval()(ring, USER_CO_OCCURS, X, everyone), expected)


def test_gradient_of_a_dropped_operator_is_its_transpose(ring: HeteroData) -> None:
    """The mask is not symmetric: the forward matrix would be wrong."""
    encoder, x = GraphEncoder(layers=2, dropout=0.4).train(), X.double()

    def forward(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return encoder(ring, USER_CO_OCCURS, x, ROWS)

    assert torch.autograd.gradcheck(forward, x[:, :1].clone().requires_grad_())


def test_edges_can_be_left_out_of_one_call(ring: HeteroData) -> None:
    encoder, gone = GraphEncoder(layers=2), torch.tensor([[4, 0], [5, 29]])
    expected = operator(ring, USER_CO_OCCURS).without_edges(*gone)
    found = encoder(ring, USER_CO_OCCURS, X, ROWS, gone)
    torch.testing.assert_close(found, propagate(X, expected, 2)[ROWS])
    assert not torch.allclose(found, encoder(ring, USER_CO_OCCURS, X, ROWS))
