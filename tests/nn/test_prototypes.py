"""The K encodings against the formulas, position by position."""

import math

import pytest
import torch
from torch import Tensor

from graphseq.nn import Prototypes

F64 = torch.float64


def built(dim: int = 4, prototypes: int = 3) -> Prototypes:
    torch.manual_seed(0)
    made = Prototypes(dim, 6, prototypes=prototypes).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return made


def sequences(width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([5, 1, 3, 0])
    mask = torch.arange(width) < lengths[:, None]
    states = torch.randn(4, width, 4, dtype=F64, generator=generator)
    return states * mask[..., None], mask


def norm(x: Tensor, layer: torch.nn.LayerNorm) -> Tensor:
    spread = ((x - x.mean()) ** 2).mean()
    return (x - x.mean()) / (spread + layer.eps) ** 0.5 * layer.weight + layer.bias


@torch.no_grad()
def naive(model: Prototypes, h: Tensor, future: bool) -> Tensor:
    """The K encodings of one sequence of states, without padding."""
    n, width = h.shape
    count = len(model.centres)
    root = math.sqrt(width)
    alpha = [model.position[len(model.position) - n + i] for i in range(n)]
    probabilities, weights = [], []
    for i in range(n):
        logits = [
            float(
                norm(h[i], model.norm_state) @ norm(model.centres[k], model.norm_centre)
            )
            / root
            for k in range(count)
        ]
        total = sum(map(math.exp, logits))
        probabilities.append([math.exp(logit) / total for logit in logits])
        key = norm(h[i] + alpha[i], model.norm_key)
        key = key + (model.key.weight @ key + model.key.bias).clamp(min=0)
        query = norm(model.offset + model.position[-1] + h[-1], model.norm_query)
        weights.append(math.exp(float(key @ query) / root))
    rows = []
    for k in range(count):
        gathered = model.bias[int(future), k]
        for i in range(n):
            gathered = gathered + weights[i] / sum(weights) * probabilities[i][k] * h[i]
        rows.append(norm(gathered, model.norm_out))
    return torch.stack(rows)


@pytest.mark.parametrize("future", [False, True])
def test_encodings_equal_the_formulas(future: bool) -> None:
    model, (states, mask) = built(), sequences()
    found = model(states, mask, future=future)
    for b, n in enumerate(mask.sum(dim=1).tolist()):
        if n:
            expected = naive(model, states[b, :n], future)
            torch.testing.assert_close(found[b], expected)


def test_padding_changes_nothing() -> None:
    model, (states, mask) = built(), sequences()
    wider = torch.nn.functional.pad(states, (0, 0, 0, 1))
    longer = torch.nn.functional.pad(mask, (0, 1))
    torch.testing.assert_close(model(wider, longer), model(states, mask))


def test_an_empty_row_is_encoded_by_its_biases() -> None:
    model, (states, mask) = built(), sequences()
    assert model(states, mask)[3].isfinite().all()


def test_past_and_future_differ_by_their_bias_alone() -> None:
    model, (states, mask) = built(), sequences()
    assert not torch.equal(model(states, mask), model(states, mask, future=True))
    with torch.no_grad():
        model.bias[1] = model.bias[0]
    torch.testing.assert_close(
        model(states, mask), model(states, mask, future=True), rtol=0, atol=0
    )
