"""Importance: the toy models of the specification, loops, differences, completeness."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.nn import GRU, Convolution, Transformer, importance
from graphseq.nn.importance import (
    integrated_gradients,
    occlusion,
    popularity,
    random_scores,
    saliency,
    top_score,
)

TABLE = torch.tensor([[1.0, 0], [0, 1], [1, 1], [2, 1]], dtype=torch.float64)
ENCODERS = {
    "transformer": lambda: Transformer(4, 6, layers=2, heads=2),
    "pre-LN": lambda: Transformer(4, 6, norm="pre", positions="end"),
    "query-LN": lambda: Transformer(4, 6, norm="query", activation="relu", scale=True),
    "gru": lambda: GRU(4, hidden=5),
    "caser": lambda: Convolution(4, window=3),
}


def mean(x: Tensor, mask: Tensor, rows: Any = None) -> Tensor:
    """The toy model of U-7(b)."""
    h = (x * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return top_score(h, TABLE)


def weighted(x: Tensor, mask: Tensor, rows: Any = None) -> Tensor:
    """Its non-linear variant."""
    logits = x @ torch.tensor([1.0, -1], dtype=torch.float64)
    weights = logits.masked_fill(~mask, -torch.inf).softmax(dim=1)
    return top_score((weights[..., None] * x).sum(dim=1), TABLE)


def toy(padding: int = 0) -> tuple[Tensor, Tensor]:
    """The sequence (1, 2, 3), with padding that must have no effect."""
    x = F.pad(TABLE[None, :3], (0, 0, 0, padding), value=3.0)
    return x, torch.arange(3 + padding)[None] < 3


def rows_of(name: str) -> tuple:
    """A model, and 3 rows of 1 … 6 items, in double precision."""
    torch.manual_seed(0)
    encoder = ENCODERS[name]().double().eval()
    table = torch.randn(9, 4, dtype=torch.float64)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    mask = torch.arange(6) < torch.tensor([6, 3, 1])[:, None]

    def explained(x: Tensor, mask: Tensor, rows: Any = None) -> Tensor:
        return top_score(encoder.last(x, mask), table)

    return explained, x, mask, encoder


def normal(scores: Tensor) -> list[float]:
    """Eq. (5) of a row."""
    return (scores[0, :3] / scores[0, :3].sum()).tolist()


@pytest.mark.parametrize("padding", [0, 2])
def test_the_linear_toy_of_the_specification(padding: int) -> None:
    """U-7(b)."""
    x, mask = toy(padding)
    assert mean(x, mask).item() == pytest.approx(2)
    assert saliency(mean, x, mask)[0, :3].tolist() == pytest.approx([1, 1, 1])
    for method in (occlusion, integrated_gradients):
        scores = method(mean, x, mask)
        assert scores[0, :3].tolist() == pytest.approx([2 / 3, 1 / 3, 1])
        assert normal(scores) == pytest.approx([1 / 3, 1 / 6, 1 / 2])
        assert (scores[0, 3:] == 0).all()


@pytest.mark.parametrize("padding", [0, 2])
def test_the_non_linear_toy_of_the_specification(padding: int) -> None:
    """U-7(b)."""
    x, mask = toy(padding)
    assert weighted(x, mask).item() == pytest.approx(2.154697897, abs=1e-9)
    found = normal(saliency(weighted, x, mask))
    assert found == pytest.approx([0.665240956, 0.090030573, 0.244728471], abs=1e-9)
    found = occlusion(weighted, x, mask)[0, :3].tolist()
    assert found == pytest.approx([0.732379100, 0.366639456, 0.734185413], abs=1e-9)
    scores = integrated_gradients(weighted, x, mask, steps=1000)
    expected = [0.970035, 0.281467, 0.903196]  # printed as 0.903192, which is not their
    assert scores[0, :3].tolist() == pytest.approx(expected, abs=1e-6)  # sum, given too
    assert scores.sum().item() == pytest.approx(2.154697934, abs=1e-9)


def test_saliency_adds_absolute_gradients() -> None:
    """U-7(a): 0.7, 0.1, 1.2, and normalised 0.35, 0.05, 0.60."""
    slopes = torch.tensor([[[0.3, -0.4], [0, 0.1], [-0.6, 0.6]]], dtype=torch.float64)

    def linear(x: Tensor, mask: Tensor, rows: Any = None) -> Tensor:
        return (x * slopes).sum(dim=(1, 2))

    scores = saliency(linear, torch.ones_like(slopes), torch.ones(1, 3).bool())
    assert scores[0].tolist() == pytest.approx([0.7, 0.1, 1.2])
    assert normal(scores) == pytest.approx([0.35, 0.05, 0.60])


@pytest.mark.parametrize("name", ENCODERS)
def test_saliency_equals_finite_differences(name: str) -> None:
    explained, x, mask, _ = rows_of(name)
    scores = saliency(explained, x, mask)

    @torch.no_grad()
    def change(row: int, position: int, j: int) -> float:
        up, down = x[row : row + 1].clone(), x[row : row + 1].clone()
        up[0, position, j] += 1e-6
        down[0, position, j] -= 1e-6
        own = mask[row : row + 1]
        return abs(float(explained(up, own) - explained(down, own))) / 2e-6

    for row, n in enumerate([6, 3, 1]):
        for position in range(n):
            total = sum(change(row, position, j) for j in range(4))
            assert scores[row, position].item() == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("cells", [1, 600, 2**24])
def test_occlusion_equals_a_loop_over_positions(
    name: str, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In chunks of one or a few replicas, and all at once."""
    monkeypatch.setattr(importance, "CELLS", cells)
    explained, x, mask, _ = rows_of(name)
    scores = occlusion(explained, x, mask)
    whole = explained(x, mask).detach()
    for row, n in enumerate(mask.sum(dim=1).tolist()):
        for position in range(n):
            without = x[row : row + 1].clone()
            without[0, position] = 0
            lost = (whole[row] - explained(without, mask[row : row + 1])[0]).detach()
            assert scores[row, position].item() == pytest.approx(float(lost), abs=1e-12)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.usefixtures("unchecked_shapes")
def test_integrated_gradients_are_complete(name: str) -> None:
    """They sum to y(x) - y(0); more steps reduce the error, slowly at a maximum."""
    most = 1000 if name == "caser" else 200
    explained, x, mask, _ = rows_of(name)
    x, mask = x[:1], mask[:1]
    gain = explained(x, mask) - explained(torch.zeros_like(x), mask)
    errors = [
        (integrated_gradients(explained, x, mask, steps=n).sum(dim=1) - gain)
        .abs()
        .max()
        for n in (4, most)
    ]
    assert errors[1] < 0.01 and errors[1] < errors[0] / 2, errors


def test_a_mid_point_rule_is_exact_for_a_square() -> None:
    def square(x: Tensor, mask: Tensor, rows: Any = None) -> Tensor:
        return (x**2).sum(dim=(1, 2))

    x, mask = toy(1)
    scores = integrated_gradients(square, x, mask, steps=3)
    torch.testing.assert_close(scores, (x**2).sum(dim=2) * mask)


@pytest.mark.parametrize("method", [saliency, occlusion, integrated_gradients])
@pytest.mark.parametrize("name", ENCODERS)
def test_scores_do_not_depend_on_padding_and_inputs_are_unchanged(
    method, name: str
) -> None:
    explained, x, mask, encoder = rows_of(name)
    before = x.clone()
    scores = method(explained, x, mask)
    assert torch.equal(x, before) and not x.requires_grad
    assert all(p.grad is None for p in encoder.parameters())
    assert not scores.requires_grad and (scores[~mask] == 0).all()
    with torch.no_grad():
        inner = method(explained, x[1:2, :3], mask[1:2, :3])
    torch.testing.assert_close(inner[0], scores[1, :3])


@pytest.mark.parametrize("cells", [1, 20, 2**24])
def test_the_top_score_is_the_largest_logit_with_its_gradient(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importance, "CELLS", cells)
    h = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    found = top_score(h, TABLE)
    expected = (h @ TABLE.T).amax(dim=1)
    torch.testing.assert_close(found, expected)
    (a,) = torch.autograd.grad(found.sum(), h)
    (b,) = torch.autograd.grad(expected.sum(), h)
    torch.testing.assert_close(a, b)


@torch.no_grad()
@pytest.mark.parametrize("name", ["transformer", "pre-LN", "query-LN"])
def test_attention_of_the_last_position_equals_loops(name: str) -> None:
    _, x, mask, encoder = rows_of(name)
    found = encoder.attention(x, mask)
    for row, n in enumerate(mask.sum(dim=1).tolist()):
        h = encoder.embed(x[row : row + 1, :n], mask[row : row + 1, :n])
        paid = torch.zeros(n, dtype=torch.float64)
        for block in encoder.blocks:
            asking = h if block.norm == "post" else block.norm1(h)
            seen = h if block.norm == "query" else asking
            q, _, _ = block.qkv(asking)[0].split(4, dim=1)
            _, k, _ = block.qkv(seen)[0].split(4, dim=1)
            for head in (slice(0, 2), slice(2, 4)):
                scores = [
                    float(q[-1, head] @ k[t, head]) / math.sqrt(2) for t in range(n)
                ]
                mass = sum(math.exp(s) for s in scores)
                paid += torch.tensor([math.exp(s) / mass for s in scores])
            h = block(h, h, None)
        torch.testing.assert_close(found[row, :n], paid / 4)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3, dtype=torch.float64))
    assert (found[~mask] == 0).all()


def test_popularity_counts_events_and_is_zero_at_padding() -> None:
    items = torch.tensor([[2, 0, 3], [3, 1, 3]])
    mask = torch.tensor([[True, True, False], [True, True, False]])
    count = torch.tensor([5, 7, 1])
    expected = [[1.0, 5, 0], [0, 7, 0]]  # id V = 3 within a row is a masked item
    assert popularity(items, mask, count).tolist() == expected


def test_random_scores_are_uniform_and_depend_on_the_seed() -> None:
    mask = torch.arange(100) < torch.tensor([100] * 100 + [0])[:, None]
    torch.manual_seed(0)
    first = random_scores(mask)
    torch.manual_seed(0)
    assert torch.equal(first, random_scores(mask))
    assert not torch.equal(first, random_scores(mask))
    assert (first[-1] == 0).all()
    assert first[:-1].mean().item() == pytest.approx(0.5, abs=0.02)
