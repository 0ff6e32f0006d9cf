"""R of MCLRec: its definition with clamps as loops, U-5, closed forms."""

import pytest
import torch
from torch import Tensor

from graphseq.objectives import contrastive_regularization

SCOPES = ["anchor", "batch"]
A = torch.tensor([[1.0, 0], [0, 1]], dtype=torch.float64)
B = torch.tensor([[0.6, 0.8], [0.8, 0.6]], dtype=torch.float64)


def views(b: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, p = torch.randn(2, b, d, dtype=torch.float64, generator=generator)
    return a.requires_grad_(), p.requires_grad_()


def loops(a: Tensor, b: Tensor, scope: str) -> list[float]:
    """Eqs. (12)-(13) as printed, with their clamps; the two anchors of each row."""
    rows, size = [*a, *b], len(a)
    positive, negative = [], []
    for i, row in enumerate(rows):
        partner = (i + size) % (2 * size)
        positive.append(float(row @ rows[partner]))
        others = [j for j in range(2 * size) if j not in (i, partner)]
        negative.append([float(row @ rows[j]) for j in others])
    everything = [n for ns in negative for n in ns]
    values = []
    for p, ns in zip(positive, negative, strict=True):
        low = p if scope == "anchor" else min(positive)
        high = max(ns) if scope == "anchor" else max(everything)
        o_min, o_max = min(low, high), max(low, high)
        down = [max(o_max - n, 0) for n in ns]
        values.append(max(p - o_min, 0) + sum(down) / len(down))
    return [(values[i] + values[i + size]) / 2 for i in range(size)]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("b, d", [(2, 2), (3, 5), (7, 4)])
def test_it_equals_the_definition_as_loops(scope: str, b: int, d: int) -> None:
    a, p = views(b, d, seed=b)
    found = contrastive_regularization(a, p, scope=scope).item()
    expected = loops(a.detach(), p.detach(), scope)
    assert found == pytest.approx(sum(expected) / b, rel=1e-12)
    rows = contrastive_regularization(a, p, scope=scope, reduction="none")
    assert rows.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "second, anchor, batch", [(B, 0.24, 0.32), (B.flip(0), 0.44, 0.42)]
)
def test_the_specifications_numbers(
    second: Tensor, anchor: float, batch: float
) -> None:
    """U-5."""
    assert contrastive_regularization(A, second).item() == pytest.approx(anchor)
    assert contrastive_regularization(A, second, scope="batch").item() == pytest.approx(
        batch
    )


@pytest.mark.parametrize("scope", SCOPES)
def test_gradients_are_exact(scope: str) -> None:
    assert torch.autograd.gradcheck(
        lambda a, p: contrastive_regularization(a, p, scope=scope), views(4, 3)
    )


def test_a_positive_above_the_hardest_negative_is_pulled_down() -> None:
    """R counteracts the contrast: it is smaller for less similar views."""
    first = torch.eye(3, dtype=torch.float64)
    values = [
        contrastive_regularization(first, scale * first).item()
        for scale in (0.5, 1.0, 2.0)
    ]
    assert values == pytest.approx([2 * 0.5, 2 * 1.0, 2 * 2.0])


@pytest.mark.parametrize("scope", SCOPES)
def test_invariant_to_exchanging_views_and_rows(scope: str) -> None:
    a, p = views(5, 3)
    value = contrastive_regularization(a, p, scope=scope)
    torch.testing.assert_close(contrastive_regularization(p, a, scope=scope), value)
    torch.testing.assert_close(
        contrastive_regularization(a.flip(0), p.flip(0), scope=scope), value
    )


@pytest.mark.parametrize("scope", SCOPES)
def test_one_row_gives_zero(scope: str) -> None:
    a, p = views(1, 3)
    value = contrastive_regularization(a, p, scope=scope)
    value.backward()
    assert value.item() == 0 and not a.grad.any() and not p.grad.any()


def test_inputs_are_unchanged() -> None:
    a, p = A.clone(), B.clone()
    contrastive_regularization(a, p)
    assert torch.equal(a, A) and torch.equal(p, B)
