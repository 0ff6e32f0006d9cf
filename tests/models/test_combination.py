"""Comparable scores against the values of the specification and naive loops."""

import math

import pytest
import torch

from graphseq.models.combination import comparable

A, B = [2.0, 1, 0, -1], [0.0, 30, 10, 20]
NOTHING = torch.empty(1, 0, dtype=torch.int64)


def found(name, scores, excluded=NOTHING, constant=60):
    f = comparable(name, constant)
    return f(torch.tensor([scores], dtype=torch.float64), excluded)[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_softmax", [-15.22011755, -0.72011755, -11.22011755, -6.72011755]),
        ("z_score", [0, 0.89442719, -0.44721360, -0.44721360]),
        ("reciprocal_rank", [0.01600922, 0.016261235, 0.015873015, 0.015877015]),
    ],
)
def test_means_of_two_models_are_those_of_the_specification(name, expected) -> None:
    """U-N; its reciprocal ranks are sums, twice the means."""
    mean = (found(name, A) + found(name, B)) / 2
    assert mean.tolist() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", ["log_softmax", "z_score", "reciprocal_rank"])
def test_values_are_those_of_loops_with_ties_and_equal_rows(name, loops) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(-3, 4, (6, 9), generator=generator).double().tolist()
    for scores in [*rows, [1.5] * 5, [1e3, -1e3, 0.0]]:
        for constant in (1, 60):
            expected = loops.comparable(name, scores, constant=constant)
            values = found(name, scores, constant=constant).tolist()
            assert values == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_excluded_items_take_no_rank(loops) -> None:
    """The padding id V in the list of another row excludes nothing."""
    scores = [5.0, 4, 3, 3, 1]
    excluded = torch.tensor([[0, 2, 5, 5]])
    values = found("reciprocal_rank", scores, excluded, 1)
    expected = loops.comparable("reciprocal_rank", scores, {0, 2}, 1)
    for item in (1, 3, 4):
        assert values[item].item() == pytest.approx(expected[item])
    assert values[[1, 3, 4]].tolist() == pytest.approx([1 / 2, 1 / 3, 1 / 4])
    for name in ("log_softmax", "z_score"):
        assert torch.equal(found(name, scores, excluded), found(name, scores))


@pytest.mark.parametrize("name", ["log_softmax", "z_score", "reciprocal_rank"])
def test_a_score_that_is_nan_is_not_hidden(name) -> None:
    assert found(name, [1.0, math.nan, 0.0])[1].isnan()
