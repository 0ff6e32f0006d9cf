"""Dropout with one draw for four elements."""

import pytest
import torch

from graphseq.nn import dropout


@pytest.mark.parametrize("shape", [(1,), (3,), (7, 5), (2, 3, 4), (0, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_each_element_is_zero_or_scaled_up(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    x = torch.full(shape, 3.0, dtype=dtype)
    found = dropout(x, 0.25, training=True)
    assert found.shape == x.shape and found.dtype is dtype
    scaled = (3.0 * torch.tensor(4 / 3, dtype=dtype)).item()
    near = torch.isclose(found.double(), torch.tensor(scaled).double(), rtol=1e-2)
    assert ((found == 0) | near).all()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_dropped_fraction_and_the_mean_are_right(p: float) -> None:
    torch.manual_seed(0)
    found = dropout(torch.ones(400_000), p, training=True)
    # six standard deviations of a binomial fraction
    tolerance = 6 * (p * (1 - p) / 400_000) ** 0.5
    assert (found == 0).float().mean().item() == pytest.approx(p, abs=tolerance)
    assert found.mean().item() == pytest.approx(1, abs=tolerance / (1 - p))


def test_the_four_elements_of_a_draw_are_independent_of_each_other() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(100_000, 4), 0.5, training=True) > 0).double()
    off = torch.corrcoef(kept.T) - torch.eye(4)
    assert off.abs().max() < 0.02
    assert (kept.mean(dim=0) - 0.5).abs().max() < 0.01


def test_evaluation_and_probability_zero_return_the_input() -> None:
    x = torch.randn(4, 5)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x


def test_gradient_flows_through_kept_elements() -> None:
    x = torch.ones(1000, requires_grad=True)
    found = dropout(x, 0.4, training=True)
    found.sum().backward()
    torch.testing.assert_close(x.grad, found.detach())


def test_the_seed_decides_and_two_calls_differ() -> None:
    x = torch.ones(1000)
    torch.manual_seed(1)
    first, second = dropout(x, 0.5, True), dropout(x, 0.5, True)
    torch.manual_seed(1)
    assert torch.equal(dropout(x, 0.5, True), first)
    assert not torch.equal(first, second)


def test_a_transposed_tensor_is_dropped_too() -> None:
    found = dropout(torch.ones(30, 40).T, 0.5, training=True)
    assert found.shape == (40, 30) and 0 < (found == 0).sum() < 1200
