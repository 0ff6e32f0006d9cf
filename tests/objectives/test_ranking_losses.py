"""Losses with sampled negatives against loops and the specification."""

import math

import pytest
import torch
from torch import Tensor

from graphseq.objectives import bce, bpr, gbce

SHAPES = [(1, 1), (3, 1), (4, 5)]


def scores(n: int, k: int, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n * 10 + k)
    positive = torch.randn(n, dtype=torch.float64, generator=generator) * scale
    negative = torch.randn(n, k, dtype=torch.float64, generator=generator) * scale
    return positive.requires_grad_(), negative.requires_grad_()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("n, k", SHAPES)
def test_bce_equals_the_equation_as_loops(n: int, k: int) -> None:
    positive, negative = scores(n, k)
    total = 0.0
    for i in range(n):
        total -= math.log(sigmoid(positive[i].item()))
        for j in range(k):
            total -= math.log(1 - sigmoid(negative[i, j].item()))
    assert bce(positive, negative).item() == pytest.approx(total / n)


@pytest.mark.parametrize("n, k", SHAPES)
@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce_equals_the_equation_as_loops(n: int, k: int, calibration: float) -> None:
    positive, negative = scores(n, k)
    alpha = k / 19
    beta = alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)
    total = 0.0
    for i in range(n):
        total -= math.log(sigmoid(positive[i].item()) ** beta)
        for j in range(k):
            total -= math.log(1 - sigmoid(negative[i, j].item()))
    loss = gbce(positive, negative, num_items=20, calibration=calibration)
    assert loss.item() == pytest.approx(total / n)


@pytest.mark.parametrize("n, k", SHAPES)
def test_bpr_equals_the_equation_as_loops(n: int, k: int) -> None:
    positive, negative = scores(n, k)
    total = 0.0
    for i in range(n):
        for j in range(k):
            total -= math.log(sigmoid((positive[i] - negative[i, j]).item()))
    assert bpr(positive, negative).item() == pytest.approx(total / (n * k))


@pytest.mark.parametrize("loss", [bce, bpr])
def test_gradients_are_exact(loss) -> None:
    assert torch.autograd.gradcheck(loss, scores(3, 2))


@pytest.mark.parametrize("loss", [bce, bpr])
def test_scores_of_any_size_give_finite_losses_and_gradients(loss) -> None:
    positive, negative = scores(3, 2, scale=1e6)
    made = loss(positive, negative)
    made.backward()
    assert made.isfinite()
    assert positive.grad.isfinite().all() and negative.grad.isfinite().all()


def test_bce_of_the_specification() -> None:
    """U-8: two target positions, logits 1, 1 against 0, -1."""
    loss = bce(torch.tensor([1.0, 1.0]), torch.tensor([[0.0], [-1.0]]))
    assert loss.item() == pytest.approx(0.816466122, abs=1e-6)


def test_bpr_of_the_specification() -> None:
    """U-8, then 6.8: u = (1,0), (0,1), with positives and negatives."""
    single = bpr(torch.tensor([3.0]), torch.tensor([[1.0]]))
    assert single.item() == pytest.approx(0.126928011, abs=1e-6)
    pair = bpr(torch.tensor([1.0, 2.0]), torch.tensor([[0.0], [1.0]]))
    assert pair.item() == pytest.approx(0.31326169, abs=1e-6)


@pytest.mark.parametrize(
    "calibration, expected",
    [(0.0, 0.711112293), (0.75, 0.695246292), (1.0, 0.689957625)],
)
def test_gbce_of_the_specification(calibration: float, expected: float) -> None:
    """U-8: target 2 and negatives 0 and 1 of five items."""
    positive = torch.tensor([2.0], dtype=torch.float64)
    negative = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    loss = gbce(positive, negative, num_items=5, calibration=calibration)
    # The specification takes the mean over the n + 1 scores of a target.
    assert loss.item() / 3 == pytest.approx(expected, abs=1e-9)


def test_gbce_of_beauty_has_the_exponent_of_the_specification() -> None:
    """U-8: k = 256 of 12,101 items, t = .75: β = 0.265867769."""
    positive = torch.tensor([-50.0], dtype=torch.float64)
    negative = torch.full((1, 256), -1e3, dtype=torch.float64)
    loss = gbce(positive, negative, num_items=12101, calibration=0.75)
    assert loss.item() / 50 == pytest.approx(0.265867769, abs=1e-9)


def test_gbce_without_calibration_is_bce() -> None:
    positive, negative = scores(4, 3)
    found = gbce(positive, negative, num_items=50, calibration=0.0)
    torch.testing.assert_close(found, bce(positive, negative))
