"""The contrast of negative views against loops, in both denominators."""

import math

import pytest
import torch
from torch import Tensor

from graphseq.objectives import negative_contrast


def views(b: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(b)
    made = torch.randn(3, b, 4, dtype=torch.float64, generator=generator)
    return [view.requires_grad_() for view in made]


def loops(
    first: Tensor, second: Tensor, negative: Tensor, t: float, form: str
) -> list[float]:
    """``supcon_fake``, anchor by anchor."""
    b = len(first)
    everything = [*first, *second, *negative]
    values = [0.0] * b
    for u in range(b):
        for v in range(b):
            if v == u:
                continue
            own = math.exp(float(negative[u] @ negative[v]) / t)
            if form == "code":
                others = [z for w, z in enumerate(everything) if w != 2 * b + u]
                mass = sum(math.exp(float(negative[u] @ z) / t) for z in others)
            else:
                good = everything[: 2 * b]
                mass = own + sum(math.exp(float(negative[u] @ z) / t) for z in good)
            values[u] -= math.log(own / mass) / (b - 1)
    return values


@pytest.mark.parametrize("b", [2, 3, 7])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("form", ["code", "paper"])
def test_it_equals_the_equation_as_loops(b: int, temperature: float, form: str) -> None:
    given = views(b)
    found = negative_contrast(*given, temperature=temperature, denominator=form)
    expected = loops(*(view.detach() for view in given), temperature, form)
    assert found.item() == pytest.approx(sum(expected) / b)
    options = {"temperature": temperature, "denominator": form, "reduction": "none"}
    assert negative_contrast(*given, **options).tolist() == pytest.approx(expected)


def test_for_two_sequences_both_denominators_are_the_same() -> None:
    """U-7; for three they differ, and the code's is larger."""
    two, three = views(2), views(3)
    code, paper = (negative_contrast(*two, denominator=d) for d in ("code", "paper"))
    torch.testing.assert_close(code, paper)
    code, paper = (negative_contrast(*three, denominator=d) for d in ("code", "paper"))
    assert code > paper


def test_equal_rows_give_the_log_number_of_candidates() -> None:
    rows = torch.ones(5, 3, dtype=torch.float64)
    code = negative_contrast(rows, rows, rows, denominator="code")
    paper = negative_contrast(rows, rows, rows, denominator="paper")
    assert code.item() == pytest.approx(math.log(14))
    assert paper.item() == pytest.approx(math.log(11))


@pytest.mark.parametrize("form", ["code", "paper"])
def test_one_sequence_gives_zero(form: str) -> None:
    given = views(1)
    loss = negative_contrast(*given, denominator=form)
    assert negative_contrast(*given, reduction="none").tolist() == [0]
    loss.backward()
    assert loss.item() == 0
    for view in given:
        assert view.grad is not None and (view.grad == 0).all()


@pytest.mark.parametrize("form", ["code", "paper"])
def test_gradients_are_exact_and_pull_negative_views_together(form: str) -> None:
    def loss(*given: Tensor) -> Tensor:
        return negative_contrast(*given, temperature=0.5, denominator=form)

    assert torch.autograd.gradcheck(loss, views(4))
    first, second, negative = views(6)
    loss(first, second, negative).backward()
    with torch.no_grad():
        moved = negative - 0.01 * negative.grad
    together = (moved.mean(dim=0) ** 2).sum() > (negative.mean(dim=0) ** 2).sum()
    assert together


def test_large_similarities_do_not_overflow() -> None:
    given = [view.detach().float() * 1e3 for view in views(5)]
    assert negative_contrast(*given, temperature=0.01).isfinite()


def test_an_unknown_denominator_is_refused(unchecked_shapes: None) -> None:
    views = [torch.ones(2, 4)] * 3
    with pytest.raises(ValueError, match="denominator"):
        negative_contrast(*views, denominator="Code")  # type: ignore[arg-type]
