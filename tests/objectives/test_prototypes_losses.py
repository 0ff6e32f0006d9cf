"""seq2item and seq2seq against loops over rows and prototypes."""

import math

import pytest
import torch
from torch import Tensor

from graphseq.objectives import seq2item, seq2seq

F64 = torch.float64


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=F64, generator=generator).requires_grad_()


def dot(a: Tensor, b: Tensor) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


def item_loops(phi: Tensor, h: Tensor) -> float:
    batch, prototypes, width = phi.shape
    total = 0.0
    for b in range(batch):
        best = max(
            math.exp(dot(phi[b, k], h[b]) / width**0.5) for k in range(prototypes)
        )
        every = sum(
            math.exp(dot(phi[b, k], h[c]) / width**0.5)
            for k in range(prototypes)
            for c in range(batch)
        )
        total -= math.log2(best / every)
    return total / batch


def sequence_loops(phi: Tensor, psi: Tensor, keep: float) -> float:
    batch, prototypes, width = phi.shape
    values = []
    for b in range(batch):
        for k in range(prototypes):
            own = math.exp(dot(phi[b, k], psi[b, k]) / width**0.5)
            every = sum(
                math.exp(dot(phi[b, k], psi[c, m]) / width**0.5)
                for c in range(batch)
                for m in range(prototypes)
            )
            values.append(-math.log2(own / every))
    kept = sorted(values)[: math.floor(keep * batch * prototypes)]
    return sum(kept) / batch


@pytest.mark.parametrize(("batch", "prototypes"), [(1, 1), (1, 3), (5, 1), (4, 3)])
def test_seq2item_equals_the_formula(batch: int, prototypes: int) -> None:
    phi, h = drawn(batch, prototypes, 4), drawn(batch, 4, seed=1)
    assert seq2item(phi, h).item() == pytest.approx(item_loops(phi, h), abs=1e-10)


@pytest.mark.parametrize(("batch", "prototypes"), [(1, 1), (1, 3), (5, 1), (4, 3)])
@pytest.mark.parametrize("keep", [0.1, 0.5, 1.0])
def test_seq2seq_equals_the_formula(batch: int, prototypes: int, keep: float) -> None:
    phi, psi = drawn(batch, prototypes, 4), drawn(batch, prototypes, 4, seed=1)
    expected = sequence_loops(phi, psi, keep)
    assert seq2seq(phi, psi, keep).item() == pytest.approx(expected, abs=1e-10)


def test_one_row_of_one_prototype_gives_zero() -> None:
    phi = drawn(1, 1, 3)
    assert seq2item(phi, drawn(1, 3, seed=1)).item() == pytest.approx(0, abs=1e-12)
    assert seq2seq(phi, drawn(1, 1, 3, seed=1), 1.0).item() == pytest.approx(0)


def test_equal_vectors_give_the_log_number_of_candidates() -> None:
    ones = torch.ones(4, 2, 3, dtype=F64)
    assert seq2item(ones, ones[:, 0]).item() == pytest.approx(math.log2(8))
    assert seq2seq(ones, ones, 1.0).item() == pytest.approx(2 * math.log2(8))


def test_the_largest_losses_get_no_gradient() -> None:
    phi, psi = drawn(4, 2, 3), drawn(4, 2, 3, seed=1)
    seq2seq(phi, psi, 0.25).backward()
    assert int(phi.grad.any(dim=2).sum()) == 2


def test_gradients_are_exact() -> None:
    phi, psi = drawn(3, 2, 2), drawn(3, 2, 2, seed=1)
    assert torch.autograd.gradcheck(seq2item, (phi, drawn(3, 2, seed=2)))
    assert torch.autograd.gradcheck(seq2seq, (phi, psi))


def test_large_products_do_not_overflow() -> None:
    phi = (drawn(3, 2, 4) * 1e4).float()
    assert seq2item(phi, phi[:, 0]).isfinite() and seq2seq(phi, phi).isfinite()
