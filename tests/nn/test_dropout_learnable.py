"""Learnable dropout: kept elements, and gradients of the probability."""

from itertools import product

import pytest
import torch
from torch import Tensor

from graphseq.nn.dropout import LearnableDropout, kept, mirrored

MID_POINTS = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000


def test_arm_on_a_grid_of_noise_is_as_specified() -> None:
    """U-19: f(z) = (z - .3)² at α = .3."""
    alpha = torch.tensor(0.3, dtype=torch.float64)

    def f(z: Tensor) -> Tensor:
        return (z.double() - 0.3) ** 2

    first, second = f(kept(MID_POINTS, alpha)), f(mirrored(MID_POINTS, alpha))
    assert first.mean().item() == pytest.approx(0.319777007, abs=3e-6)
    arm = ((first - second) * (MID_POINTS - 0.5)).mean()
    assert arm.item() == pytest.approx(0.097783177, abs=1e-9)
    assert arm.item() == pytest.approx(0.097783325, abs=2e-7)  # exactly


def test_kept_and_mirrored_have_the_same_probability() -> None:
    for alpha in (-2.0, 0.0, 1.5):
        chance = torch.sigmoid(torch.tensor(alpha)).item()
        for rule in (kept, mirrored):
            fraction = rule(MID_POINTS, torch.tensor(alpha)).double().mean().item()
            assert fraction == pytest.approx(chance, abs=1e-5)


def test_evaluation_returns_the_input() -> None:
    x = torch.randn(3, 4)
    assert torch.equal(LearnableDropout().eval()(x), x)


@pytest.mark.parametrize("estimator", ["arm", "concrete"])
def test_values_are_scaled_by_the_probability(estimator: str) -> None:
    torch.manual_seed(0)
    layer = LearnableDropout(2, estimator=estimator, temperature=0.1).train()
    with torch.no_grad():
        layer.logit.copy_(torch.tensor([-1.0, 2.0]))
    x = torch.ones(20_000, 2)
    found = layer(x).detach()
    assert found.mean(dim=0).tolist() == pytest.approx([1, 1], abs=0.05)
    if estimator == "arm":
        for unit, probability in enumerate(torch.sigmoid(layer.logit).tolist()):
            values = found[:, unit].unique().tolist()
            assert values == pytest.approx([0, 1 / probability])


def exact(logit: Tensor, x: Tensor) -> Tensor:
    """The expected loss, over every outcome of two units."""
    keep, total = torch.sigmoid(logit), torch.zeros(())
    for z in product((0.0, 1.0), repeat=2):
        chosen = torch.tensor(z)
        chance = torch.where(chosen > 0, keep, 1 - keep).prod()
        total = total + chance * loss(x * chosen / keep)
    return total


def loss(y: Tensor) -> Tensor:
    return ((y.sum(-1) - 1.5) ** 2 + y[..., 0] ** 3).mean()


def one_draw(layer: LearnableDropout, x: Tensor) -> None:
    """Two passes with the same noise, and ARM's gradient added to α's."""
    with torch.no_grad(), torch.random.fork_rng([]):
        layer.set_phase("mirrored")
        other = loss(layer(x))
    layer.set_phase("first")
    first = loss(layer(x))
    total = first + layer.arm(first - other)
    assert total.item() == first.item()
    total.backward()
    layer.set_phase("plain")


@pytest.mark.parametrize("units", [None, 2])
def test_arm_and_the_scale_give_the_gradient_of_the_expected_loss(
    units: int | None,
) -> None:
    x = torch.tensor([1.0, 0.7])
    alpha = torch.full((units or 1,), 0.4, requires_grad=True)
    exact(alpha.expand(2), x).backward()
    assert alpha.grad is not None and alpha.grad.abs().min() > 0.3
    layer = LearnableDropout(units, logit=0.4).train()
    torch.manual_seed(0)
    for _ in range(4_000):
        one_draw(layer, x)
    assert layer.logit.grad is not None
    torch.testing.assert_close(
        layer.logit.grad / 4_000, alpha.grad, atol=0.12, rtol=0.0
    )


def test_both_passes_use_the_same_noise_mirrored() -> None:
    layer = LearnableDropout(logit=0.8).train()
    x = torch.ones(50, 4)
    torch.manual_seed(0)
    with torch.random.fork_rng([]):
        layer.set_phase("mirrored")
        second = layer(x).detach()
    layer.set_phase("first")
    first = layer(x)
    torch.manual_seed(0)
    u = torch.rand(50, 4)
    keep = torch.sigmoid(layer.logit)
    assert torch.equal(first > 0, u > 1 - keep)
    assert torch.equal(second > 0, u < keep)
    assert layer.noise is not None
    torch.testing.assert_close(layer.noise, (u - 0.5).sum()[None])


def test_noise_of_several_passes_adds_up_until_the_next_phase() -> None:
    layer = LearnableDropout(3).train()
    layer.set_phase("first")
    torch.manual_seed(0)
    layer(torch.ones(2, 3)), layer(torch.ones(5, 2, 3))
    torch.manual_seed(0)
    u = [torch.rand(2, 3), torch.rand(5, 2, 3).reshape(-1, 3)]
    torch.testing.assert_close(layer.noise, (torch.cat(u) - 0.5).sum(dim=0))
    layer.set_phase("plain")
    with pytest.raises(ValueError, match="found none"):
        layer.arm(torch.tensor(1.0))


def test_noise_at_padding_is_left_out() -> None:
    layer = LearnableDropout(3).train()
    layer.set_phase("first")
    real = torch.tensor([[True, True, False], [True, False, False]])
    torch.manual_seed(0)
    layer(torch.ones(2, 3, 3), real)
    torch.manual_seed(0)
    u = torch.rand(2, 3, 3)
    expected = u[0, 0] + u[0, 1] + u[1, 0] - 1.5
    torch.testing.assert_close(layer.noise, expected)


def test_the_probability_is_constant_in_a_plain_pass() -> None:
    layer = LearnableDropout().train()
    x = torch.ones(10, 2, requires_grad=True)
    layer(x).sum().backward()
    assert layer.logit.grad is None and x.grad is not None


def test_concrete_is_its_formula() -> None:
    layer = LearnableDropout(logit=0.3, estimator="concrete", temperature=0.7).train()
    torch.manual_seed(0)
    found = layer(torch.full((6, 2), 2.0))
    torch.manual_seed(0)
    u = torch.rand(6, 2).double()
    z = torch.sigmoid((0.3 + torch.log(u) - torch.log(1 - u)) / 0.7)
    keep = torch.sigmoid(torch.tensor(0.3, dtype=torch.float64))
    torch.testing.assert_close(found.double(), 2 * z / keep, rtol=1e-4, atol=1e-5)
    found.sum().backward()
    assert layer.logit.grad is not None and layer.logit.grad.any()
