"""NT-Xent against loops, closed forms and the specification's numbers."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.objectives import nt_xent, same_id_mask

SCHEMES = ["symmetric", "one_sided", "cross_only"]
A = torch.tensor([[1.0, 0], [0, 2]], dtype=torch.float64)
B = torch.tensor([[1.0, 1], [0, 1]], dtype=torch.float64)


def views(b: int, d: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(b)
    a, p = torch.randn(2, b, d, dtype=torch.float64, generator=generator)
    return a.requires_grad_(), p.requires_grad_()


def loops(
    a: Tensor,
    p: Tensor,
    temperature: float,
    similarity: str,
    scheme: str,
    excluded: set[tuple[int, int]],
    directions: str,
) -> float:
    """The equation, anchor by anchor."""

    def psi(x: Tensor, y: Tensor) -> float:
        sim = float(x.dot(y))
        if similarity == "cosine":
            sim /= float(x.norm()) * float(y.norm())
        return math.exp(sim / temperature)

    def anchored(first: Tensor, second: Tensor, masked: set[tuple[int, int]]) -> float:
        total = 0.0
        for i in range(len(first)):
            own = psi(first[i], second[i])
            mass = own
            for j in range(len(first)):
                if j != i and (i, j) not in masked:
                    mass += psi(first[i], second[j])
                    if scheme != "cross_only":
                        mass += psi(first[i], first[j])
            total -= math.log(own / mass)
        return total / len(first)

    loss = anchored(a, p, excluded)
    if scheme == "symmetric":
        flipped = {(j, i) for i, j in excluded}
        loss += anchored(p, a, flipped)
        loss /= 2 if directions == "mean" else 1
    return loss


@pytest.mark.parametrize("b, d", [(1, 3), (2, 2), (5, 7)])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 5.0])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize(
    "scheme, directions", [*((each, "mean") for each in SCHEMES), ("symmetric", "sum")]
)
@pytest.mark.parametrize("exclude", ["none", "identity", "any pairs"])
def test_nt_xent_equals_the_equation_as_loops(
    b: int,
    d: int,
    temperature: float,
    similarity: str,
    scheme: str,
    directions: str,
    exclude: str,
) -> None:
    a, p = views(b, d)
    mask = None
    if exclude == "identity":
        mask = same_id_mask(torch.arange(b) // 2)
    if exclude == "any pairs":  # not symmetric, and the diagonal must be ignored
        mask = torch.rand(b, b, generator=torch.Generator().manual_seed(1)) < 0.5
    pairs = set() if mask is None else {tuple(ij) for ij in mask.nonzero().tolist()}
    given = {"temperature": temperature, "similarity": similarity, "scheme": scheme}
    found = nt_xent(a, p, exclude=mask, directions=directions, **given)
    rows = a.detach(), p.detach()
    expected = loops(*rows, temperature, similarity, scheme, pairs, directions)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


FIGURES = [  # 6.5 and U-1: one-sided, its reverse per anchor, symmetric, cross only
    ("cosine", 0.5, 0.46107910, (1.09861229, 0.52591315), 0.63667091, 0.33008465),
    ("cosine", 1.0, 0.71738238, (1.09861229, 0.74857302), 0.82048752, 0.47910965),
    ("dot", 0.5, 0.47090404, (2.23954477, 0.14293163), 0.83107112, 0.41003760),
    ("dot", 1.0, 0.65503419, (1.55144471, 0.40760596), 0.81727977, 0.50320443),
]


@pytest.mark.parametrize("similarity, t, one, reverse, both, cross", FIGURES)
def test_nt_xent_of_the_specification(
    similarity: str,
    t: float,
    one: float,
    reverse: tuple[float, float],
    both: float,
    cross: float,
) -> None:
    def found(a: Tensor, b: Tensor, scheme: str) -> float:
        made = nt_xent(a, b, temperature=t, similarity=similarity, scheme=scheme)
        return made.item()

    assert found(A, B, "one_sided") == pytest.approx(one, abs=1e-8)
    assert found(B, A, "one_sided") == pytest.approx(sum(reverse) / 2, abs=1e-8)
    assert found(A, B, "symmetric") == pytest.approx(both, abs=1e-8)
    assert found(A, B, "cross_only") == pytest.approx(cross, abs=1e-8)


def test_each_row_has_the_value_of_the_specification() -> None:
    """U-1: per anchor, and per user as the sum of both directions."""
    one = nt_xent(A, B, scheme="one_sided", reduction="none")
    assert one.tolist() == pytest.approx([0.551444714, 0.758623676])
    both = nt_xent(A, B, directions="sum", reduction="none")
    assert both.tolist() == pytest.approx([2.102889427, 1.166229640])
    torch.testing.assert_close(nt_xent(A, B, reduction="none"), both / 2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_mean_of_the_rows_is_the_loss(scheme: str) -> None:
    a, p = views(5, 3)
    given = {"scheme": scheme, "exclude": same_id_mask(torch.arange(5) // 2)}
    rows = nt_xent(a, p, reduction="none", **given)
    assert rows.shape == (5,)
    torch.testing.assert_close(rows.mean(), nt_xent(a, p, **given))


@pytest.mark.parametrize("scheme", ["symmetric", "one_sided"])
def test_identical_orthonormal_views_have_a_closed_form(scheme: str) -> None:
    eye = torch.eye(2, dtype=torch.float64)
    loss = nt_xent(eye, eye, temperature=0.5, scheme=scheme)
    assert loss.item() == pytest.approx(math.log(1 + 2 * math.exp(-2)))


@pytest.mark.parametrize("b", [1, 2, 128])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_equal_rows_give_the_log_number_of_candidates(b: int, similarity: str) -> None:
    rows = torch.ones(b, 3, dtype=torch.float64)
    found = {
        scheme: nt_xent(rows, rows, similarity=similarity, scheme=scheme).item()
        for scheme in SCHEMES
    }
    whole = pytest.approx(math.log(2 * b - 1))
    assert found["symmetric"] == whole and found["one_sided"] == whole
    assert found["cross_only"] == pytest.approx(math.log(b))


def test_pairs_with_the_same_id_are_masked_as_specified() -> None:
    rows = torch.tensor([[1.0, 0], [1, 0], [0, 1]], dtype=torch.float64)
    given = {"temperature": 0.5, "similarity": "cosine", "scheme": "one_sided"}
    masked = nt_xent(rows, rows, exclude=same_id_mask(torch.tensor([0, 0, 1])), **given)
    expected = (0.23954477 + 0.23954477 + 0.43265290) / 3
    assert masked.item() == pytest.approx(expected, abs=1e-8)
    plain = (1.18499503 + 1.18499503 + 0.43265290) / 3
    assert nt_xent(rows, rows, **given).item() == pytest.approx(plain, abs=1e-8)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_without_negatives_the_loss_has_no_gradient(scheme: str) -> None:
    a, p = views(4, 3)
    loss = nt_xent(a, p, scheme=scheme, exclude=torch.ones(4, 4, dtype=torch.bool))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert a.grad.abs().max() < 1e-12


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_gradients_are_exact(scheme: str, similarity: str) -> None:
    mask = same_id_mask(torch.tensor([0, 1, 0, 2]))
    given = {"scheme": scheme, "similarity": similarity, "exclude": mask}
    assert torch.autograd.gradcheck(
        lambda a, p: nt_xent(a, p, temperature=0.5, **given), views(4, 3)
    )


def test_the_cosine_with_a_zero_vector_is_zero() -> None:
    a, p = views(3, 2)
    with torch.no_grad():
        a[0] = 0
    loss = nt_xent(a, p, similarity="cosine", scheme="one_sided")
    loss.backward()
    assert loss.isfinite() and a.grad.isfinite().all() and p.grad.isfinite().all()
    unit = F.normalize(p.detach(), dim=1)
    alone = nt_xent(torch.zeros(1, 2).double(), unit[:1], similarity="cosine")
    assert alone.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_invariant_to_row_order_and_with_cosine_to_length(
    scheme: str,
) -> None:
    a, p = views(6, 3)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    longer = torch.arange(1.0, 7.0, dtype=torch.float64)[:, None]
    given = {"scheme": scheme, "similarity": "cosine", "temperature": 0.3}
    expected = nt_xent(a, p, **given)
    torch.testing.assert_close(nt_xent(a[order], p[order], **given), expected)
    torch.testing.assert_close(nt_xent(a * longer, p, **given), expected)


def test_symmetric_is_symmetric_in_its_views() -> None:
    a, p = views(5, 3)
    torch.testing.assert_close(nt_xent(a, p), nt_xent(p, a))


def test_large_similarities_do_not_overflow() -> None:
    a, p = (v.detach().float() * 1e3 for v in views(5, 3))
    assert nt_xent(a, p, temperature=0.01).isfinite()


def test_views_of_different_sizes_are_refused() -> None:
    unchecked = inspect.unwrap(nt_xent)  # as a user runs it, without shape checks
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(4, 2\)"):
        unchecked(torch.ones(3, 2), torch.ones(4, 2))


@pytest.mark.parametrize("option", ["scheme", "similarity", "directions", "reduction"])
def test_an_unknown_option_is_refused_with_the_choices(option: str) -> None:
    unchecked = inspect.unwrap(nt_xent)
    with pytest.raises(ValueError, match=f"{option}.*'symetric'"):
        unchecked(torch.ones(3, 2), torch.ones(3, 2), **{option: "symetric"})
