"""Small networks: the specification's figures, and their equations by hand."""

import math

import pytest
import torch

from graphseq.nn import Augmenter, ProjectionHead


@pytest.mark.parametrize(
    "row, expected",
    [
        ([1.25999098, 0.41746852], [1.88504492, 2.50745499]),
        ([0.33288614, 0.26298700], [0.33979830, 0.96231621]),
    ],
)
def test_head_of_the_specification(row: list[float], expected: list[float]) -> None:
    """6.4: two layers with ELU between them."""
    head = ProjectionHead(2).double()
    with torch.no_grad():
        head.inner.weight[:] = torch.tensor([[1.0, -1], [0.5, 2]])
        head.inner.bias[:] = torch.tensor([0.1, -0.2])
        head.outer.weight[:] = torch.tensor([[2.0, 0], [1, 1]])
        head.outer.bias[:] = torch.tensor([0, 0.3])
    found = head(torch.tensor([row], dtype=torch.float64))
    assert found[0].tolist() == pytest.approx(expected, abs=1e-7)


def test_head_bends_below_zero_as_elu_does() -> None:
    """The figures above are of positive inner values only."""
    torch.manual_seed(0)
    head, x = ProjectionHead(3).double(), torch.tensor([2.0, -1.0, 0.5]).double()
    inner = head.inner.weight @ x + head.inner.bias
    assert (inner < 0).any()
    bent = [v if v > 0 else math.exp(v) - 1 for v in inner.tolist()]
    expected = head.outer.weight @ torch.tensor(bent).double() + head.outer.bias
    torch.testing.assert_close(head(x[None])[0], expected)


def test_rows_are_projected_one_by_one() -> None:
    head, x = ProjectionHead(4), torch.randn(5, 4)
    torch.testing.assert_close(head(x)[2:3], head(x[2:3]))


@pytest.mark.parametrize("normalize", [True, False])
def test_the_augmenter_is_three_layers_and_a_length_of_one(normalize: bool) -> None:
    torch.manual_seed(0)
    augmenter = Augmenter(8, normalize=normalize).double()
    x = torch.randn(8, dtype=torch.float64)

    def gelu(values: list[float]) -> torch.Tensor:
        bent = [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in values]
        return torch.tensor(bent).double()

    hidden = gelu((augmenter.down.weight @ x + augmenter.down.bias).tolist())
    hidden = gelu((augmenter.middle.weight @ hidden + augmenter.middle.bias).tolist())
    expected = augmenter.up.weight @ hidden + augmenter.up.bias
    if normalize:
        expected = expected / math.sqrt(sum(v * v for v in expected.tolist()))
    torch.testing.assert_close(augmenter(x[None])[0], expected)


def test_the_augmenter_has_the_specifications_parameters() -> None:
    """2.17: 64 → 32 → 16 → 64."""
    sizes = [parameter.numel() for parameter in Augmenter(64).parameters()]
    assert sum(sizes) == 3696
