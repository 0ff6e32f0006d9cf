"""Offsets of single items in the logits, against torch and loops."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.objectives import Offsets, cross_entropy, products_in
from graphseq.objectives.cross_entropy import CHUNK


def problem(n: int, scale: float, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """States, items and values that require gradients; ids with duplicates; targets."""
    generator = torch.Generator().manual_seed(n)
    random = partial(torch.randn, dtype=dtype, generator=generator)
    states, items, values = random(n, 8) * scale, random(9, 8), random(n, 5) * 3
    targets, ids = (torch.randint(9, s, generator=generator) for s in ((n,), (n, 5)))
    with_gradients = (x.requires_grad_() for x in (states, items, values))
    return (*with_gradients, ids, targets)


def expected(problem: tuple[Tensor, ...]) -> Tensor:
    states, items, values, ids, targets = problem
    return F.cross_entropy((states @ items.T).scatter_add(1, ids, values), targets)


@pytest.mark.parametrize("n", [1, 3, CHUNK, 2 * CHUNK + 1])
@pytest.mark.parametrize("scale", [1.0, 300.0], ids=["plain", "huge"])
def test_the_loss_and_its_gradients_equal_torch(n: int, scale: float) -> None:
    states, items, values, ids, targets = given = problem(n, scale, torch.float64)
    loss = cross_entropy(states, items, targets, Offsets(ids, values))
    torch.testing.assert_close(loss, expected(given))
    theirs = torch.autograd.grad(-2.5 * expected(given), given[:3])
    ours = torch.autograd.grad(-2.5 * loss, given[:3])
    torch.testing.assert_close(ours, theirs)


def test_in_bfloat16_the_gradients_are_near() -> None:
    states, items, values, ids, targets = given = problem(200, 1.0, torch.float32)
    with products_in(torch.bfloat16):
        loss = cross_entropy(states, items, targets, Offsets(ids, values))
    theirs = torch.autograd.grad(expected(given), given[:3])
    for mine, its in zip(torch.autograd.grad(loss, given[:3]), theirs, strict=True):
        assert mine.dtype is torch.float32
        assert (mine - its).norm() / its.norm() < 0.02


def test_large_offsets_do_not_overflow() -> None:
    states, items, values, ids, targets = given = problem(3, 1.0, torch.float32)
    with torch.no_grad():
        values += 200
    loss = cross_entropy(states, items, targets, Offsets(ids, values))
    torch.testing.assert_close(loss, expected(given))


def test_the_offset_of_a_target_is_the_sum_of_its_values() -> None:
    offsets = Offsets(torch.tensor([[2, 2, 0]]), torch.tensor([[1.0, 3.0, 7.0]]))
    assert offsets.of(torch.tensor([2])).tolist() == [4.0]
    assert offsets.of(torch.tensor([1])).tolist() == [0.0]
    assert offsets.add_to(torch.zeros(1, 4)).tolist() == [[7.0, 0.0, 4.0, 0.0]]
