"""The convolutional encoder against its equations."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.nn import Convolution

F64 = torch.float64


def built(**options) -> Convolution:
    torch.manual_seed(0)
    given = {"dim": 3, "window": 4, "vertical": 2, "horizontal": 3, "dropout": 0.0}
    made = Convolution(**(given | options)).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn_like(weight))
    return made


def sequences() -> tuple[Tensor, Tensor]:
    x = torch.randn(4, 6, 3, dtype=F64, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(6) < torch.tensor([6, 1, 3, 0])[:, None]
    return x * mask[..., None], mask


def relu(value: float) -> float:
    return max(value, 0.0)


def naive(made: Convolution, x: Tensor, window: int) -> Tensor:
    """The state at the end of one row of real items: one image, filter by filter."""
    w = dict(made.named_parameters())
    dim = x.shape[1]
    rows = [row.tolist() for row in x[-window:]]
    image = [[0.0] * dim] * (window - len(rows)) + rows
    answers = []
    for d in range(dim):  # the layer's columns: by dimension, then by filter
        for f in range(len(w["vertical.weight"])):
            total = w["vertical.bias"][f].item()
            for i in range(window):
                total += w["vertical.weight"][f, 0, i].item() * image[i][d]
            answers.append(total)
    for k in range(1, window + 1):
        weight, bias = w[f"horizontal.{k - 1}.weight"], w[f"horizontal.{k - 1}.bias"]
        for f in range(len(weight)):
            best = []
            for start in range(window - k + 1):
                total = bias[f].item()
                for i in range(k):
                    for d in range(dim):
                        total += weight[f, d, i].item() * image[start + i][d]
                best.append(relu(total))
            answers.append(max(best))
    state = w["out.weight"] @ torch.tensor(answers, dtype=F64) + w["out.bias"]
    return torch.stack([v.clamp(min=0) for v in state])


@pytest.mark.parametrize("window", [1, 2, 4, 9])
def test_states_equal_the_equations_as_loops(window: int) -> None:
    made, (x, mask) = built(window=window), sequences()
    states = made(x, mask)
    for row in range(len(x)):
        n = int(mask[row].sum())
        for position in range(n):
            expected = naive(made, x[row, : position + 1], window)
            torch.testing.assert_close(states[row, position], expected)
        assert not states[row, n:].any(), "states at padding are zero"
    assert (states > 0).any()


@pytest.mark.parametrize("window", [1, 2, 4, 9])
def test_last_equals_the_state_at_the_last_item(window: int) -> None:
    made, (x, mask) = built(window=window), sequences()
    states, last = made(x, mask), made.last(x, mask)
    for row, n in enumerate([6, 1, 3]):
        torch.testing.assert_close(last[row], states[row, n - 1])
    assert not last[3].any()


def test_a_state_depends_on_its_window_only() -> None:
    made = built(window=3)
    with torch.no_grad():
        made.out.bias.fill_(50.0)  # so that no state is cut off at zero
    x, mask = sequences()
    for changed in range(6):
        other = x.clone()
        other[0, changed] += 1.0
        moved = (made(other, mask) - made(x, mask))[0].abs().amax(dim=1) > 1e-9
        read = [changed <= position <= changed + 2 for position in range(6)]
        assert moved.tolist() == read


def test_states_do_not_depend_on_the_content_of_padding() -> None:
    made, (x, mask) = built(), sequences()
    wider, wide_mask = F.pad(x, (0, 0, 0, 2), value=9.0), F.pad(mask, (0, 2))
    torch.testing.assert_close(made(wider, wide_mask)[:, :6], made(x, mask))
    torch.testing.assert_close(made.last(wider, wide_mask), made.last(x, mask))


def test_dropout_acts_on_filter_outputs_in_training_only() -> None:
    made, (x, mask) = built(dropout=0.5), sequences()
    assert torch.equal(made(x, mask), made(x, mask))
    made.train()
    assert not torch.equal(made(x, mask), made(x, mask))


@pytest.mark.parametrize("option", ["window", "vertical", "horizontal"])
def test_sizes_of_zero_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}: expected .* 1 or more, found 0"):
        Convolution(8, **{option: 0})
