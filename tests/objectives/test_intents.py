"""Contrasts with intents against the specification (U-2) and loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.objectives import intent_contrast, prototype_contrast

M1 = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=torch.float64)
M2 = torch.tensor([[2.0, 0], [0, 1], [1, 0]], dtype=torch.float64)
IDS = torch.tensor([0, 1, 0])
RAW = torch.tensor([[3.0, 4], [0, 2]], dtype=torch.float64)
C = F.normalize(RAW, dim=1)[IDS]


def loops(
    views: list[Tensor], intents: Tensor, ids: list[int] | None, form: str
) -> float:
    """Anchor by anchor: the positive, and all rows that are not masked."""

    def anchored(anchors: Tensor, others: Tensor, within: bool) -> list[float]:
        values = []
        for i in range(len(anchors)):
            positive = float(anchors[i] @ others[i])
            mass = math.exp(positive)
            for j in range(len(anchors)):
                if j == i or (ids is not None and ids[i] == ids[j]):
                    continue
                mass += math.exp(float(anchors[i] @ others[j]))
                if within:
                    mass += math.exp(float(anchors[i] @ anchors[j]))
            values.append(math.log(mass) - positive)
        return values

    total = 0.0
    for view in views:
        if form == "paper":
            values = anchored(view, intents, False)
            total += sum(values) / len(values)
        else:
            values = anchored(view, intents, True) + anchored(intents, view, True)
            total += sum(values) / len(values) / 2
    return total


def test_each_user_has_a_value_whose_mean_is_the_loss() -> None:
    for form in ("symmetric", "paper"):
        rows = intent_contrast(M1, M2, C, form=form, reduction="none")
        assert rows.shape == (3,)
        expected = loops([M1, M2], C, None, form)
        assert rows.mean().item() == pytest.approx(expected)
    rows = prototype_contrast(M1, M2, F.normalize(RAW, dim=1), IDS, reduction="none")
    for u in range(3):
        value = 0.0
        for view in (M1, M2):
            scores = [float(view[u] @ c) for c in F.normalize(RAW, dim=1)]
            value += math.log(sum(map(math.exp, scores))) - scores[IDS[u]]
        assert rows[u].item() == pytest.approx(value)


@pytest.mark.parametrize(
    "form, masked, expected",
    [
        ("symmetric", False, 1.501654991),
        ("symmetric", True, 1.006193794),
        ("paper", False, 1.875504934),
        ("paper", True, 1.196969143),
    ],
)
def test_the_specifications_numbers(form: str, masked: bool, expected: float) -> None:
    """U-2: the code's form and Eqs. (16), (17)."""
    found = intent_contrast(M1, M2, C, identity=IDS if masked else None, form=form)
    assert found.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "masked, first, second",
    [(False, 1.470852596, 1.532457385), (True, 1.057263067, 0.955124521)],
)
def test_the_specifications_parts(masked: bool, first: float, second: float) -> None:
    """U-2: of one view alone, twice."""
    identity = IDS if masked else None
    one = intent_contrast(M1, M1, C, identity=identity).item()
    two = intent_contrast(M2, M2, C, identity=identity).item()
    assert (one, two) == pytest.approx((first, second), abs=1e-9)


@pytest.mark.parametrize("form", ["symmetric", "paper"])
@pytest.mark.parametrize("ids", [None, [0, 1, 0, 2, 1], [3, 3, 3, 3, 3]])
def test_it_equals_the_equation_as_loops(form: str, ids: list[int] | None) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b, c = torch.randn(3, 5, 4, dtype=torch.float64, generator=generator)
    identity = None if ids is None else torch.tensor(ids)
    found = intent_contrast(a, b, c, identity=identity, form=form)
    assert found.item() == pytest.approx(loops([a, b], c, ids, form), abs=1e-12)


@pytest.mark.parametrize("form", ["symmetric", "paper"])
def test_masking_same_intents_never_increases_the_loss(form: str) -> None:
    plain = intent_contrast(M1, M2, C, form=form)
    assert intent_contrast(M1, M2, C, identity=IDS, form=form) <= plain
    alone = torch.zeros(3, dtype=torch.long)
    assert intent_contrast(M1, M2, C, identity=alone, form=form).item() == (
        pytest.approx(0, abs=1e-12)
    )


def test_the_temperature_divides_the_products() -> None:
    """Equal to dividing both factors of each product by its root."""
    root = 0.5**0.5
    torch.testing.assert_close(
        intent_contrast(M1, M2, C, temperature=0.5),
        intent_contrast(M1 / root, M2 / root, C / root),
    )


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_all_prototypes_are_negatives(temperature: float) -> None:
    """Eq. (14) as loops, with an intent that no user of the batch has."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 4, dtype=torch.float64, generator=generator)
    c = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    ids, total = [0, 1, 0, 0, 1], 0.0
    for view in (a, b):
        for row, own in zip(view, ids, strict=True):
            products = [float(row @ each) / temperature for each in c]
            total += math.log(sum(map(math.exp, products))) - products[own]
    found = prototype_contrast(a, b, c, torch.tensor(ids), temperature=temperature)
    assert found.item() == pytest.approx(total / 5, abs=1e-12)
