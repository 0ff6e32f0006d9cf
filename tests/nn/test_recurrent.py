"""The recurrent encoder against its equations."""

import math

import pytest
import torch
from torch import Tensor

from graphseq.nn import GRU

F64 = torch.float64


def built(**options) -> GRU:
    torch.manual_seed(0)
    made = GRU(**({"dim": 3, "hidden": 4, "dropout": 0.0} | options)).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn_like(weight))
    return made


def sequences() -> tuple[Tensor, Tensor]:
    x = torch.randn(4, 5, 3, dtype=F64, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(5) < torch.tensor([5, 1, 3, 0])[:, None]
    return x * mask[..., None], mask


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def naive(made: GRU, x: Tensor, layers: int, bias: bool) -> Tensor:
    """The states of one row of real items, gate by gate."""
    w = dict(made.named_parameters())
    sequence = [row.tolist() for row in x]
    for layer in range(layers):
        ih, hh = (w[f"units.weight_{n}_l{layer}"].tolist() for n in ("ih", "hh"))
        size = len(hh) // 3
        zero = [0.0] * (3 * size)
        bi, bh = (
            w[f"units.bias_{n}_l{layer}"].tolist() if bias else zero
            for n in ("ih", "hh")
        )
        g, remembered = [0.0] * size, []
        for vector in sequence:
            a = [sum(p * q for p, q in zip(r, vector, strict=True)) for r in ih]
            u = [sum(p * q for p, q in zip(r, g, strict=True)) for r in hh]
            new = []
            for i in range(size):
                r = sigmoid(a[i] + bi[i] + u[i] + bh[i])
                j, k = i + size, i + 2 * size
                z = sigmoid(a[j] + bi[j] + u[j] + bh[j])
                n = math.tanh(a[k] + bi[k] + r * (u[k] + bh[k]))
                new.append((1 - z) * n + z * g[i])
            g = new
            remembered.append(g)
        sequence = remembered
    states = torch.tensor(sequence, dtype=F64).view(len(x), -1)
    return states @ w["out.weight"].T + w["out.bias"]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_states_equal_the_equations_as_loops(layers: int, bias: bool) -> None:
    made, (x, mask) = built(layers=layers, bias=bias), sequences()
    states = made(x, mask)
    for row in range(len(x)):
        n = int(mask[row].sum())
        if n:
            expected = naive(made, x[row, :n], layers, bias)
            torch.testing.assert_close(states[row, :n], expected)
        assert not states[row, n:].any(), "states at padding are zero"


def test_last_equals_the_state_at_the_last_item() -> None:
    made, (x, mask) = built(), sequences()
    states, last = made(x, mask), made.last(x, mask)
    for row, n in enumerate([5, 1, 3]):
        torch.testing.assert_close(last[row], states[row, n - 1])
    assert not last[3].any()


def test_a_state_does_not_depend_on_later_items_or_padding() -> None:
    made, (x, mask) = built(), sequences()
    changed = x.clone()
    changed[:, 3:] = 7
    torch.testing.assert_close(made(changed, mask)[:, :3], made(x, mask)[:, :3])
    wider = torch.nn.functional.pad(x, (0, 0, 0, 2), value=9.0)
    wide_mask = torch.nn.functional.pad(mask, (0, 2))
    torch.testing.assert_close(made(wider, wide_mask)[:, :5], made(x, mask))
    torch.testing.assert_close(made.last(wider, wide_mask), made.last(x, mask))


def test_gates_have_no_biases_by_default_and_are_initialised_as_in_recbole() -> None:
    made = GRU(64)
    names = [name for name, _ in made.named_parameters()]
    assert not any("bias" in name for name in names if name.startswith("units"))
    assert sum(weight.numel() for weight in made.parameters()) == (
        3 * 128 * (64 + 128) + 64 * 128 + 64
    )
    bound = math.sqrt(6 / (3 * 128 + 64))  # Xavier-uniform
    assert 0.95 * bound < made.units.weight_ih_l0.abs().max() <= bound


def test_dropout_acts_on_items_in_training_only() -> None:
    made, (x, mask) = built(dropout=0.5), sequences()
    assert torch.equal(made(x, mask), made(x, mask))
    made.train()
    assert not torch.equal(made(x, mask), made(x, mask))


@pytest.mark.parametrize("option", ["layers", "hidden"])
def test_no_layers_or_width_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}: expected .* 1 or more, found 0"):
        GRU(8, **{option: 0})
