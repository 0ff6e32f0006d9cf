"""The gated graph network: the specification's numbers, loops, separate graphs."""

import pytest
import torch
from torch import Tensor

from graphseq.nn import GatedGraph

# the session [1, 2, 3, 2, 4] as a graph of its nodes 1, 2, 3, 4 (6.8)
EDGES = torch.tensor([[0, 1, 1, 2], [1, 2, 3, 1]])
OUT = torch.tensor([1, 0.5, 0.5, 1], dtype=torch.float64)
IN = torch.tensor([0.5, 1, 1, 0.5], dtype=torch.float64)
H = torch.tensor([[1, 0], [0, 1], [1, 1], [-1, 0.5]], dtype=torch.float64)


def specified(*, inner: float = 0.0, outer: float = 0.0) -> GatedGraph:
    """The weights of 6.8.

    Its update gate weights the new state, a GRU cell's the old: z becomes 1 - z, that
    is, the gate's weights change sign.
    """
    network = GatedGraph(2, bias=bool(outer)).double()
    with torch.no_grad():
        network.messages.weight[:] = torch.eye(2).repeat(2, 1)
        network.messages.bias.fill_(inner)
        if network.bias is not None:
            network.bias.fill_(outer)
        cell = network.cell
        cell.weight_ih.fill_(0.1)
        cell.weight_hh[:] = 0.2 * torch.eye(2).repeat(3, 1)
        cell.weight_ih[2:4] *= -1
        cell.weight_hh[2:4] *= -1
        cell.bias_ih.zero_(), cell.bias_hh.zero_()
    return network


def loops(network: GatedGraph, x: Tensor, edges: list, win: list, wout: list) -> Tensor:
    """One step, node by node and edge by edge, gates written out."""
    d = x.shape[1]
    w, b = network.messages.weight, network.messages.bias
    extra = x.new_zeros(2 * d) if network.bias is None else network.bias
    cell, states = network.cell, []
    for i in range(len(x)):
        sum_in, sum_out = extra[:d].clone(), extra[d:].clone()
        for (source, target), a, c in zip(edges, win, wout, strict=True):
            if target == i:
                sum_in += a * (w[:d] @ x[source] + b[:d])
            if source == i:
                sum_out += c * (w[d:] @ x[target] + b[d:])
        m = torch.cat([sum_in, sum_out])
        gi = (cell.weight_ih @ m + cell.bias_ih).split(d)
        gh = (cell.weight_hh @ x[i] + cell.bias_hh).split(d)
        r, z = torch.sigmoid(gi[0] + gh[0]), torch.sigmoid(gi[1] + gh[1])
        new = torch.tanh(gi[2] + r * gh[2])
        states.append((1 - z) * new + z * x[i])
    return torch.stack(states)


def test_the_specifications_numbers() -> None:
    expected = torch.tensor(
        [
            [0.54713298, 0.05232362],
            [0.12303390, 0.59653774],
            [0.58646822, 0.58646822],
            [-0.52260608, 0.30962235],
        ],
        dtype=torch.float64,
    )
    found = specified()(H, EDGES, IN, OUT)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    "outer, expected",
    [(0.0, (0.58646822, 0.10852366)), (0.25, (0.62696500, 0.16734235))],
)
def test_the_specifications_biases(outer: float, expected: tuple[float, float]) -> None:
    """Node 0 has no incoming edge, but the outer bias."""
    found = specified(inner=0.5, outer=outer)(H, EDGES, IN, OUT)[0].tolist()
    assert found == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("steps", [1, 3])
def test_it_equals_the_equations_as_loops(bias: bool, steps: int) -> None:
    torch.manual_seed(0)
    network = GatedGraph(4, steps=steps, bias=bias).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    edges = [(0, 1), (1, 1), (1, 2), (2, 0), (4, 2)]  # a loop; nodes 3 and 5 alone
    weights = torch.rand(2, len(edges), dtype=torch.float64)
    found = network(x, torch.tensor(edges).T.contiguous(), *weights)
    expected = x
    for _ in range(steps):
        expected = loops(network, expected, edges, *weights.tolist())
    torch.testing.assert_close(found, expected)


def test_components_do_not_exchange_messages() -> None:
    network = specified(inner=0.5, outer=0.25)
    other = torch.tensor([[5.0, 5], [6, 6]], dtype=torch.float64)
    edges = torch.cat([EDGES, torch.tensor([[4], [5]])], dim=1)
    one = torch.ones(1, dtype=torch.float64)
    both = network(
        torch.cat([H, other]), edges, torch.cat([IN, one]), torch.cat([OUT, one])
    )
    torch.testing.assert_close(both[:4], network(H, EDGES, IN, OUT))


def test_gradients_are_exact_and_an_empty_graph_is_accepted() -> None:
    network = specified()
    assert torch.autograd.gradcheck(
        lambda x: network(x, EDGES, IN, OUT), H.clone().requires_grad_()
    )
    none = torch.zeros(2, 0, dtype=torch.long)
    empty = torch.zeros(0, dtype=torch.float64)
    assert network(H[:0], none, empty, empty).shape == (0, 2)
