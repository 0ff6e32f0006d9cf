"""S3-Rec's pre-training losses against the specification and loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.objectives import attribute_loss, double_sigmoid

F64 = torch.float64


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_double_sigmoid_of_the_specification() -> None:
    found = double_sigmoid(tensor(2), tensor(-1)).item()
    assert found == pytest.approx(0.433303033, abs=1e-9)


def test_the_double_sigmoid_is_bounded_as_specified() -> None:
    best = double_sigmoid(tensor(1e3), tensor(-1e3)).item()
    worst = double_sigmoid(tensor(-1e3), tensor(1e3)).item()
    assert best == pytest.approx(0.313261688, abs=1e-9)
    assert worst == pytest.approx(1.313261688, abs=1e-9)


def test_the_double_sigmoid_sums_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 9, dtype=F64, generator=generator)
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    expected = sum(-math.log(sigmoid(sigmoid(x) - sigmoid(y))) for x, y in pairs)
    assert double_sigmoid(a, b).item() == pytest.approx(expected, abs=1e-12)


def test_attribute_loss_is_a_binary_cross_entropy_over_all_attributes() -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(5, 3, dtype=F64, generator=generator)
    vectors = torch.randn(4, 3, dtype=F64, generator=generator)
    sets: list[list[int]] = [[0, 1], [3], [], [0, 1, 2, 3], [2]]
    expected = 0.0
    for n, owned in enumerate(sets):
        for a in range(4):
            p = sigmoid(float(states[n] @ vectors[a]))
            expected -= math.log(p if a in owned else 1 - p)
    sums = torch.stack([vectors[owned].sum(dim=0) for owned in sets])
    found = attribute_loss(states, vectors, sums)
    assert found.item() == pytest.approx(expected, abs=1e-10)
    table = torch.zeros(5, 4, dtype=F64)
    for n, owned in enumerate(sets):
        table[n, owned] = 1
    whole = F.binary_cross_entropy_with_logits(
        states @ vectors.T, table, reduction="sum"
    )
    torch.testing.assert_close(found, whole)


def test_no_position_gives_zero() -> None:
    none = torch.zeros(0, 3, dtype=F64)
    assert double_sigmoid(none[:, 0], none[:, 0]).item() == 0
    assert attribute_loss(none, torch.ones(2, 3, dtype=F64), none).item() == 0


def test_gradients_are_exact() -> None:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        made = torch.randn(*shape, dtype=F64, generator=generator)
        return made.requires_grad_()

    assert torch.autograd.gradcheck(double_sigmoid, (drawn(4), drawn(4)))
    given = drawn(3, 2), drawn(4, 2), drawn(3, 2)
    assert torch.autograd.gradcheck(attribute_loss, given)
