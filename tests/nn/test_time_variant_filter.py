"""TV-Rec's filter against its oracle (U-F4) and against the spectral form."""

from typing import Any

import pytest
import torch
from torch import Tensor

from graphseq.nn import TimeVariantFilter
from graphseq.nn.time_variant_filter import TimeVariantMixer

F64 = torch.float64
MATRIX = (
    (-0.39321563, 0, 0, -0.02740219),
    (0.15252970, 0.15668138, 0, 0),
    (-0.08568440, -0.21281709, 0.26281071, 0),
    (-0.32001548, 0.35494547, 0.02459661, -0.37541707),
)
FILTERED = (
    (-0.04285012, -0.75725073, -0.77543850, -0.08069170),
    (0.22577349, -0.14760116, -0.38527199, -0.26872553),
)
LAYER = (
    (-1.21012565, -0.67349671, 0.54939464, 1.33422772),
    (-1.61953079, 0.10462546, 1.08813715, 0.42676818),
)
FIRST = (0.01470327, -0.34239304, -0.38469478, -0.07330991)


def equal(found: Tensor, expected: Any) -> None:
    wanted = torch.tensor(expected, dtype=F64)
    torch.testing.assert_close(found, wanted, atol=6e-9, rtol=0)


def test_the_layer_is_that_of_the_oracle(naive: Any) -> None:
    mixer = TimeVariantMixer(4, 4, 2, 0.0, True, "column").double()
    with torch.no_grad():
        mixer.basis.copy_(naive.sines(400, 2, 5, 2))
        mixer.weight.copy_(naive.sines(430, 7, 2)[:4])
    x = naive.sines(0, 4, 4).repeat(2, 1, 1)
    x[1, :2] = 0
    real = torch.tensor([[True] * 4, [False, False, True, True]])
    equal(mixer.matrix(), MATRIX)
    equal(mixer.filter(x)[0, 0], FIRST)
    for last in (True, False):
        equal(mixer.filter(x, last=last)[:, -1], FILTERED)
        equal(mixer(x, real, last=last)[:, -1], LAYER)
    equal(mixer.correlation(), 2.88554297)


@pytest.mark.parametrize("wrap", [True, False])
def test_the_encoder_is_a_spectral_filter_of_a_cycle(naive: Any, wrap: bool) -> None:
    """V diag(h_t(λ)) V⁻¹ of the shift of 2 W - 1 nodes, W appended columns of zeros."""
    size, nodes = 5, 9

    def mix(w: dict[str, Tensor], x: Tensor, real: Tensor) -> Tensor:
        basis = torch.view_as_complex(w["mixer.basis"].clone())
        norm = basis.abs().square().sum(dim=1).sqrt()
        if not wrap:
            basis[:, size] = 0  # the longest tap; the norm keeps it
        taps = w["mixer.weight"].to(basis) @ (basis / norm[:, None])
        node, k = torch.arange(nodes), torch.arange(size + 1)
        node = node.to(torch.complex128)
        vectors = torch.exp(2j * torch.pi * node[:, None] * node / nodes)
        values = torch.exp(-2j * torch.pi * node / nodes)  # of x[t] = x[t - 1]
        response = taps @ (values[None] ** k[:, None])  # (W, nodes)
        padded = torch.cat([x, x.new_zeros(nodes - size, x.shape[1])])
        spectrum = torch.linalg.inv(vectors.to(basis)) @ padded.to(basis)
        y = ((vectors[:size] * response).to(basis) @ spectrum).real
        return naive.layer_norm(y + x, w["mixer.norm.weight"], w["mixer.norm.bias"])

    naive.check(TimeVariantFilter(4, size, bases=3, wrap=wrap), mix)


def test_the_wrapped_tap_acts_on_full_windows_only(naive: Any) -> None:
    torch.manual_seed(0)
    cycle = naive.randomise(TimeVariantFilter(4, 5, bases=2))
    line = TimeVariantFilter(4, 5, bases=2, wrap=False).double().eval()
    line.load_state_dict(cycle.state_dict())
    x, mask = torch.randn(2, 5, 4, dtype=F64), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 4:] = False
    x = x * mask[..., None]
    difference = (cycle.last(x, mask) - line.last(x, mask)).abs().amax(dim=1)
    assert difference[0] > 1e-6 and difference[1] < 1e-12


def test_taps_by_position_give_the_states_of_prefixes(naive: Any) -> None:
    """Position by position: loops over earlier items."""
    encoder = naive.randomise(TimeVariantFilter(4, 6, bases=2, taps="position"))
    assert encoder.prefix_states
    x = torch.randn(1, 5, 4, dtype=F64)
    mask = torch.ones(1, 5, dtype=torch.bool)
    every = encoder(x, mask)
    for number in range(1, 6):
        cut = x[:, :number], mask[:, :number]
        torch.testing.assert_close(encoder(*cut), every[:, :number])
        torch.testing.assert_close(encoder.last(*cut), every[:, number - 1])
    mixer = encoder.blocks[0].mixer
    basis, weight = mixer.basis.detach(), mixer.weight.detach()
    filtered = mixer.filter(x)[0]
    for t in range(5):
        expected = torch.zeros(4, dtype=F64)
        for k in range(t + 1):
            for c, part in zip(weight[t], basis, strict=True):
                tap = c * part[k, 0] / part.square().sum().sqrt()
                expected += tap * x[0, t - k]
        torch.testing.assert_close(filtered[t], expected)


def test_the_correlation_is_that_of_both_parts_of_every_block(naive: Any) -> None:
    encoder = naive.randomise(TimeVariantFilter(4, 5, bases=3))
    total = 0.0
    for block in encoder.blocks:
        for part in block.mixer.basis.detach().unbind(dim=2):
            rows = [row / row.square().sum().sqrt() for row in part]
            for i, one in enumerate(rows):
                for j, other in enumerate(rows):
                    total += (float(one @ other) - (i == j)) ** 2
    assert encoder.correlation().item() == pytest.approx(total, rel=1e-12)


def test_parameters_are_as_many_as_the_authors() -> None:
    """854,208 on Beauty, with 49 unused rows of weights in each of two blocks."""
    count = sum(p.numel() for p in TimeVariantFilter(64, 50).parameters())
    assert count + 2 * 49 * 32 + 12_102 * 64 == 854_208
