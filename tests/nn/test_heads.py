"""Small networks against the specification and their equations."""

import math

import pytest
import torch

from graphseq.nn import Augmenter, ProjectionHead
from graphseq.nn.heads import ResidualLayers


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


def test_head_applies_elu_to_negative_values() -> None:
    """The specification has positive inner values only."""
    torch.manual_seed(0)
    head, x = ProjectionHead(3).double(), torch.tensor([2.0, -1.0, 0.5]).double()
    inner = head.inner.weight @ x + head.inner.bias
    assert (inner < 0).any()
    bent = [v if v > 0 else math.exp(v) - 1 for v in inner.tolist()]
    expected = head.outer.weight @ torch.tensor(bent).double() + head.outer.bias
    torch.testing.assert_close(head(x[None])[0], expected)


def test_rows_are_projected_independently() -> None:
    head, x = ProjectionHead(4), torch.randn(5, 4)
    torch.testing.assert_close(head(x)[2:3], head(x[2:3]))


@pytest.mark.parametrize("normalize", [True, False])
def test_the_augmenter_is_three_layers_and_a_normalisation(normalize: bool) -> None:
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


def gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def by_hand(layers: ResidualLayers, x: torch.Tensor, which: list[int]) -> torch.Tensor:
    """One state, number by number."""
    for i in which:
        weight, bias = layers.linears[i].weight, layers.linears[i].bias
        inner = [
            gelu(float(sum(w * v for w, v in zip(row, x, strict=True)) + b))
            for row, b in zip(weight, bias, strict=True)
        ]
        y = [a + float(b) for a, b in zip(inner, x, strict=True)]
        mean = sum(y) / len(y)
        variance = sum((v - mean) ** 2 for v in y) / len(y)
        scaled = [(v - mean) / math.sqrt(variance + 1e-12) for v in y]
        norm = layers.norms[i]
        x = torch.tensor(scaled, dtype=torch.float64) * norm.weight + norm.bias
    return x


def random_layers(number: int, drop: int, rate: float = 0.0) -> ResidualLayers:
    torch.manual_seed(0)
    layers = ResidualLayers(4, layers=number, skipped=drop, dropout=rate).double()
    layers.requires_grad_(False)
    for parameter in layers.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return layers


def test_evaluation_applies_all_layers_in_order() -> None:
    layers = random_layers(3, 2).eval()
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    found = layers(x)
    for b in range(2):
        for t in range(3):
            expected = by_hand(layers, x[b, t], [0, 1, 2])
            torch.testing.assert_close(found[b, t], expected)


def test_training_skips_all_subsets_equally_often() -> None:
    layers = random_layers(3, 1).train()
    x = torch.randn(4, dtype=torch.float64)
    choices = [[0, 1], [0, 2], [1, 2]]
    expected = torch.stack([by_hand(layers, x, which) for which in choices])
    count = torch.zeros(3)
    for _ in range(600):
        equal = torch.isclose(layers(x), expected).all(dim=1)
        assert equal.sum() == 1
        count += equal
    assert (count - 200).abs().max() < 60  # 4.5 sigma


def test_skipping_all_or_having_no_layers_changes_nothing() -> None:
    x = torch.randn(5, 4, dtype=torch.float64)
    assert torch.equal(random_layers(2, 2).train()(x), x)
    assert torch.equal(random_layers(0, 0).train()(x), x)


def test_masking_of_neurons_can_be_switched_off() -> None:
    layers = random_layers(1, 0, rate=0.5).train()
    x = torch.randn(50, 4, dtype=torch.float64)
    still = layers(x, masking=False)
    assert torch.equal(still, layers.eval()(x))
    assert not torch.equal(layers.train()(x), still)


@pytest.mark.parametrize("drop", [-1, 3])
def test_an_impossible_number_of_skipped_layers_is_refused(drop: int) -> None:
    with pytest.raises(ValueError, match="skipped: expected"):
        ResidualLayers(4, layers=2, skipped=drop)
