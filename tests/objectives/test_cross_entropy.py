"""Cross-entropy over all items against loops, torch and the specification."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.objectives import (
    cross_entropy,
    products_in,
)
from graphseq.objectives.cross_entropy import CHUNK

SHAPES = [(1, 1, 2), (3, 4, 5), (CHUNK, 3, 7), (CHUNK + 1, 3, 7), (200, 8, 30)]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(
    n: int, d: int, v: int, dtype: torch.dtype = torch.float64, scale: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """States (N, D), items (V, D), both requiring gradients, and targets."""
    states = torch.randn(n, d, dtype=dtype, generator=seeded(0)) * scale
    items = torch.randn(v, d, dtype=dtype, generator=seeded(1))
    targets = torch.randint(v, (n,), generator=seeded(2))
    return states.requires_grad_(), items.requires_grad_(), targets


@pytest.mark.parametrize("n, d, v", SHAPES)
def test_cross_entropy_equals_loops(n: int, d: int, v: int) -> None:
    states, items, targets = problem(n, d, v)
    total = 0.0
    for state, target in zip(states.detach(), targets.tolist(), strict=True):
        logits = [float(state.dot(item)) for item in items.detach()]
        mass = sum(math.exp(logit) for logit in logits)
        total -= math.log(math.exp(logits[target]) / mass)
    assert cross_entropy(states, items, targets).item() == pytest.approx(total / n)


def test_gradients_are_not_lost_to_float16() -> None:
    """Those of an item are near 1 / (N V), and float16 begins at 6e-8."""
    states, items, targets = problem(2048, 4, 12_101, torch.float32)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = cross_entropy(states, items * 0.02, targets)
    (found,) = torch.autograd.grad(loss, items)
    exact = F.cross_entropy(states @ items.T * 0.02, targets)
    (expected,) = torch.autograd.grad(exact, items)
    assert (found - expected).norm() < 1e-3 * expected.norm()


def test_no_target_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a target; found none"):
        cross_entropy(torch.zeros(0, 4), torch.ones(5, 4), torch.zeros(0).long())


@pytest.mark.parametrize("n, d, v", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1000.0], ids=["plain", "huge"])
@pytest.mark.parametrize("upstream", [1.0, -2.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_cross_entropy_and_both_gradients_equal_torch(
    n: int, d: int, v: int, scale: float, upstream: float, dtype: torch.dtype
) -> None:
    found = problem(n, d, v, dtype, scale)
    torchs = problem(n, d, v, dtype, scale)
    loss = cross_entropy(*found)
    expected = F.cross_entropy(torchs[0] @ torchs[1].T, torchs[2])
    (loss * upstream).backward()
    (expected * upstream).backward()
    torch.testing.assert_close(loss, expected)
    for mine, its in zip(found[:2], torchs[:2], strict=True):
        bound = 1e-5 * its.grad.abs().max().item() + 1e-15
        torch.testing.assert_close(mine.grad, its.grad, rtol=1e-4, atol=bound)


@pytest.mark.parametrize("n, d, v", SHAPES)
@pytest.mark.parametrize(
    "low",
    [
        partial(torch.autocast, "cpu", torch.bfloat16),
        partial(products_in, torch.bfloat16),
    ],
    ids=["autocast", "products"],
)
def test_cross_entropy_in_bfloat16_stays_near_float32(
    n: int, d: int, v: int, low: Callable[[], AbstractContextManager[None]]
) -> None:
    found, exact = problem(n, d, v, torch.float32), problem(n, d, v, torch.float32)
    with low():
        loss = cross_entropy(*found)
    assert loss.dtype is torch.float32
    loss.backward()
    expected = F.cross_entropy(exact[0] @ exact[1].T, exact[2])
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0.02)
    for mine, its in zip(found[:2], exact[:2], strict=True):
        assert mine.grad.dtype is torch.float32
        off = (mine.grad - its.grad).norm() / its.grad.norm()
        assert off < 0.02


def test_products_in_applies_inside_its_context_only() -> None:
    found = problem(200, 8, 30, torch.float32)
    before = cross_entropy(*found)
    with products_in(torch.bfloat16):
        inside = cross_entropy(*found)
        with products_in(None):
            assert torch.equal(cross_entropy(*found), before)
    assert inside != before
    assert torch.equal(cross_entropy(*found), before)


def test_cross_entropy_accumulates_when_run_backwards_again() -> None:
    """Stored gradients must not be changed by accumulation."""
    states, items, targets = problem(5, 3, 4)
    loss = cross_entropy(states, items, targets)
    once = torch.autograd.grad(loss, (states, items), retain_graph=True)
    once = [gradient.clone() for gradient in once]
    for _ in range(3):
        loss.backward(retain_graph=True)
    torch.testing.assert_close(states.grad, 3 * once[0])
    torch.testing.assert_close(items.grad, 3 * once[1])


def test_cross_entropy_refuses_a_second_derivative() -> None:
    states, items, targets = problem(5, 3, 4)
    loss = cross_entropy(states, items, targets)
    (gradient,) = torch.autograd.grad(loss**2, states, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_cross_entropy_without_gradients_gives_the_same_value() -> None:
    states, items, targets = problem(70, 3, 4)
    with torch.no_grad():
        value = cross_entropy(states, items, targets)
    torch.testing.assert_close(value, cross_entropy(states, items, targets).detach())


def test_gradients_of_cross_entropy_flow_further_back() -> None:
    states, items, targets = problem(6, 3, 4)

    def through(loss) -> tuple[Tensor, ...]:
        made = loss(states.tanh()[1:], 2 * items)
        return torch.autograd.grad(made, (states, items))

    found = through(lambda s, i: cross_entropy(s, i, targets[1:]))
    expected = through(lambda s, i: F.cross_entropy(s @ i.T, targets[1:]))
    torch.testing.assert_close(found, expected)


def test_cross_entropy_of_the_specification() -> None:
    """U-8, without a padding class, and 6.6 over items 1 … 4."""
    items = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    loss = cross_entropy(torch.tensor([[1.0, 2]]), items, torch.tensor([2]))
    assert loss.item() == pytest.approx(0.407605964, abs=1e-6)
    queries = torch.tensor([[1.0, 0], [0.5, 0.5]])
    items = torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 2]])
    loss = cross_entropy(queries, items, torch.tensor([0, 2]))
    assert loss.item() == pytest.approx((0.91757580 + 1.03659219) / 2, abs=1e-6)


@pytest.mark.parametrize("size", [79.9, 79.0, 70.0])
@pytest.mark.parametrize("length", [1.0, 50.0])
def test_collapsed_items_do_not_overflow(size: float, length: float) -> None:
    items = torch.ones(12_101, 64) / 8 * length
    states = torch.ones(3, 64) / 8 * (size / length)
    targets = torch.arange(3)
    leaves = [states.requires_grad_(), items.requires_grad_()]
    found = cross_entropy(states, items, targets)
    torch.testing.assert_close(found, F.cross_entropy(states @ items.T, targets))
    assert all(g.isfinite().all() for g in torch.autograd.grad(found, leaves))
