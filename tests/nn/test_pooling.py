"""Pooling against loops and the specification (6.4)."""

import inspect
import math

import pytest
import torch
from torch import Tensor

from graphseq.nn import AdditivePooling, QueryPooling, masked_softmax, pool_prefixes
from graphseq.nn.pooling import pool

F64 = torch.float64
E = torch.tensor([[[1.0, 0], [0, 1], [2, 1], [9, 9]]], dtype=F64)
P = torch.tensor([[[0.1, 0], [0, 0.1], [0.1, 0.1], [7, 7]]], dtype=F64)
MASK = torch.tensor([[True, True, True, False]])
CURRENT = [1.25999098, 0.41746852]
GENERAL = [0.33288614, 0.26298700]


@pytest.fixture
def additive() -> AdditivePooling:
    made = AdditivePooling(2, hidden=4).double()
    with torch.no_grad():
        made.inner.weight[:] = torch.tensor([[1.0, 0], [0, 1], [1, 1], [1, -1]])
        made.outer.weight[:] = torch.tensor([[1.0, -1, 0.5, 0.25]])
    return made


@pytest.fixture
def query() -> QueryPooling:
    made = QueryPooling(2).double()
    with torch.no_grad():
        made.query.weight[:] = torch.tensor([[1.0, 0.5], [0, 1]])
    return made


Q = torch.tensor([[0.5, -1]], dtype=F64)
V = torch.tensor([[[0.2, 0.4], [1, 0], [-0.5, 0.5], [9, 9]]], dtype=F64)


def test_additive_pooling_of_the_specification(additive: AdditivePooling) -> None:
    logits = additive.logits(E + P)[0, :3, 0]
    expected = [1.40087329, -0.60037427, 0.85869265]
    assert logits.tolist() == pytest.approx(expected, abs=1e-8)
    found = additive(E + P, E, MASK)
    assert found.shape == (1, 1, 2)
    assert found[0, 0].tolist() == pytest.approx(CURRENT, abs=1e-8)


def test_query_pooling_of_the_specification(query: QueryPooling) -> None:
    logits = query.logits(Q, V)[0, :3]
    expected = [-0.30463766, 0, -0.38079708]
    assert logits.tolist() == pytest.approx(expected, abs=1e-8)
    assert query(Q, V, MASK)[0].tolist() == pytest.approx(GENERAL, abs=1e-8)


def test_several_interests_are_those_of_the_specification() -> None:
    """6.8: the weights of the second interest come from a second row of W2."""
    made = AdditivePooling(2, hidden=4, interests=2).double()
    with torch.no_grad():
        made.inner.weight[:] = torch.tensor([[1.0, 0], [0, 1], [1, 1], [1, -1]])
        made.outer.weight[:] = torch.tensor([[1.0, -1, 0.5, 0.25], [-0.5, 1, 0, 0.5]])
    found = made((E + P)[:, :3], E[:, :3], MASK[:, :3])
    assert found[0, 0].tolist() == pytest.approx(CURRENT, abs=1e-8)
    assert found[0, 1].tolist() == pytest.approx([1.11419556, 0.77768151], abs=1e-8)


def test_bias_and_inner_width_follow_the_options() -> None:
    made = AdditivePooling(6)
    assert [tuple(p.shape) for p in made.parameters()] == [(24, 6), (1, 24)]
    made = AdditivePooling(6, hidden=5, interests=3, bias=True)
    shapes = [tuple(p.shape) for p in made.parameters()]
    assert shapes == [(5, 6), (5,), (3, 5)]


@pytest.mark.parametrize("content", [0.0, 1e3, 1e30])
@pytest.mark.parametrize("extra", [0, 3])
def test_padding_changes_nothing(
    additive: AdditivePooling, query: QueryPooling, content: float, extra: int
) -> None:
    e, p, v, mask = (
        torch.nn.functional.pad(x, (0, 0) * (x.dim() == 3) + (0, extra))
        for x in (E, P, V, MASK)
    )
    for x in (e, p, v):
        x[~mask] = content
    assert additive(e + p, e, mask)[0, 0].tolist() == pytest.approx(CURRENT, abs=1e-8)
    assert query(Q, v, mask)[0].tolist() == pytest.approx(GENERAL, abs=1e-8)


def test_rows_of_a_batch_do_not_mix(
    additive: AdditivePooling, query: QueryPooling
) -> None:
    generator = torch.Generator().manual_seed(0)
    keys, values = torch.randn(2, 3, 5, 2, dtype=F64, generator=generator)
    q = torch.randn(3, 2, dtype=F64, generator=generator)
    mask = torch.arange(5) < torch.tensor([[5], [1], [3]])
    for i in range(3):
        one = slice(i, i + 1)
        torch.testing.assert_close(
            additive(keys[one], values[one], mask[one]),
            additive(keys, values, mask)[one],
        )
        torch.testing.assert_close(
            query(q[one], values[one], mask[one]), query(q, values, mask)[one]
        )


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("length", [1, 4])
def test_pooling_one_item_returns_it(
    additive: AdditivePooling, query: QueryPooling, batch: int, length: int
) -> None:
    values = torch.randn(batch, length, 2, dtype=F64)
    mask = (torch.arange(length) < 1).expand(batch, length)
    expected = values[:, 0]
    torch.testing.assert_close(additive(values, values, mask)[:, 0], expected)
    torch.testing.assert_close(query(values[:, 0], values, mask), expected)
    torch.testing.assert_close(additive.prefixes(values, values, mask)[:, 0], expected)


@pytest.mark.parametrize("batch, length", [(1, 1), (1, 5), (4, 1), (4, 6)])
def test_prefixes_equal_pooling_each_prefix(
    additive: AdditivePooling, query: QueryPooling, batch: int, length: int
) -> None:
    generator = torch.Generator().manual_seed(length)
    keys, values = torch.randn(2, batch, length, 2, dtype=F64, generator=generator)
    q = torch.randn(batch, 2, dtype=F64, generator=generator)
    lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
    lengths[0] = length
    mask = torch.arange(length) < lengths
    currents = additive.prefixes(keys, values, mask)
    generals = query.prefixes(q, values, mask)
    for t in range(length):
        upto = slice(0, t + 1)
        real = mask[:, t]
        whole = torch.ones_like(mask[real, upto])
        current = additive(keys[real, upto], values[real, upto], whole)[:, 0]
        torch.testing.assert_close(currents[real, t], current)
        general = query(q[real], values[real, upto], whole)
        torch.testing.assert_close(generals[real, t], general)
        assert not currents[~real, t].any() and not generals[~real, t].any()


def test_pool_prefixes_equals_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, dtype=F64, generator=generator)
    values = torch.randn(2, 4, 3, dtype=F64, generator=generator)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    found = pool_prefixes(logits, values, mask)
    for b in range(2):
        for t in range(4):
            expected = torch.zeros(3, dtype=F64)
            if mask[b, t]:
                weights = [math.exp(logits[b, s]) for s in range(t + 1)]
                for s in range(t + 1):
                    expected += weights[s] / sum(weights) * values[b, s]
            torch.testing.assert_close(found[b, t], expected)


def test_masked_softmax_is_zero_without_allowed_positions() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], requires_grad=True)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    found = masked_softmax(logits, mask)
    low, high = math.exp(1), math.exp(3)
    expected = [low / (low + high), 0, high / (low + high)]
    assert found[0].tolist() == pytest.approx(expected)
    assert found[1].tolist() == [0, 0, 0]
    (found * torch.tensor([1.0, 5.0, -2.0])).sum().backward()
    assert logits.grad.isfinite().all() and not logits.grad[1].any()


def gradients(outputs: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(outputs.square().sum(), inputs))


def test_gradients_are_finite_also_for_empty_rows(
    additive: AdditivePooling, query: QueryPooling
) -> None:
    values = torch.randn(2, 3, 2, dtype=F64, requires_grad=True)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    q = torch.randn(2, 2, dtype=F64, requires_grad=True)
    for made, inputs in (
        (additive(values, values, mask), [values]),
        (additive.prefixes(values, values, mask), [values]),
        (query(q, values, mask), [q, values]),
        (query.prefixes(q, values, mask), [q, values]),
    ):
        assert not made[1].any()
        for gradient in gradients(made, inputs):
            assert gradient.isfinite().all() and not gradient[1].any()


def test_an_unknown_pooling_is_refused() -> None:
    unchecked = inspect.unwrap(pool)  # as a user runs it, without type checks
    with pytest.raises(ValueError, match="found 'max'"):
        unchecked(torch.ones(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), "max")
