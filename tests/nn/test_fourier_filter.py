"""FMLP-Rec's filter against its oracle (U-F1) and against torch's transform."""

from typing import Any

import pytest
import torch
from torch import Tensor

from graphseq.nn import FourierFilter
from graphseq.nn.fourier_filter import FourierMixer

F64 = torch.float64
G0 = (0.02800441, 0.07941587, 0.22502224, 0.52723158, 0.37779236, -0.39599548)
G1 = (0.04217193, 0.12956589, -0.02443777, -0.10175353, 0.93221823, -0.06846733)
FILTERED = (
    (0.11766826, -1.09302337, 0.16880590, 0.32928501),
    (-0.11803844, -0.09954889, -0.29472875, -0.15077134),
    (-0.25159471, 0.41116398, 0.01545652, -0.31795736),
)
LAYER = (
    (1.57865342, -0.61470006, 0.09482232, -1.05877568),
    (0.98317315, 0.90607153, -0.48213872, -1.40710596),
    (0.52862731, 1.18344372, -0.20242228, -1.50964875),
)


def built(naive: Any, window: int) -> FourierMixer:
    mixer = FourierMixer(4, window, 0.0).double()
    bins = window // 2 + 1
    parts = [naive.sines(first, bins, 4) for first in (1, 2)]
    with torch.no_grad():
        mixer.weight.copy_(torch.stack(parts, dim=2))
    return mixer


@pytest.mark.parametrize("last", [True, False])
def test_the_layer_is_that_of_the_oracle(
    naive: Any, windows: tuple[Tensor, Tensor], last: bool
) -> None:
    x, real = windows
    mixer = built(naive, 6)
    kernel = mixer.kernel()[:, :2].T
    assert_equal(kernel, (G0, G1))
    assert_equal(mixer.filter(x, last=last)[:, -1], FILTERED)
    assert_equal(mixer(x, real, last=last)[:, -1], LAYER)


def test_an_odd_window_is_that_of_the_oracle(naive: Any) -> None:
    found = built(naive, 5).filter(naive.sines(0, 1, 5, 4))[0, -1]
    assert_equal(found, (-0.18981012, -0.28942418, 1.25339255, 0.06893001))


@pytest.mark.parametrize("padding", ["token", "zero"])
@pytest.mark.parametrize("window", [6, 7])
def test_the_encoder_is_that_of_the_fourier_transform(
    naive: Any, padding: Any, window: int
) -> None:
    def mix(w: dict[str, Tensor], x: Tensor, real: Tensor) -> Tensor:
        weight = torch.view_as_complex(w["mixer.weight"].contiguous())
        spectrum = torch.fft.rfft(x, dim=0, norm="ortho") * weight
        y = torch.fft.irfft(spectrum, n=window, dim=0, norm="ortho")
        return naive.layer_norm(y + x, w["mixer.norm.weight"], w["mixer.norm.bias"])

    naive.check(FourierFilter(4, window, padding=padding), mix)


def test_a_transform_of_the_rows_own_length_is_another_model(naive: Any) -> None:
    x = naive.sines(0, 6, 4)[None, 3:]
    found = built(naive, 6)(x, torch.ones(1, 3, dtype=torch.bool), last=True)[0, 0]
    other = torch.tensor((-0.05899413, 0.97221522, 0.69106773, -1.60428883), dtype=F64)
    assert (found - other).abs().max() > 0.1
    assert_equal(found, LAYER[1])  # zeros before the three items


def test_parameters_are_as_many_as_the_authors(naive: Any) -> None:
    """851,200 on Beauty, with rows for V items and the padding."""
    count = sum(p.numel() for p in FourierFilter(64, 50).parameters())
    assert count - 64 + 12_102 * 64 == 851_200  # the token is a row of the table


def assert_equal(found: Tensor, expected: Any) -> None:
    wanted = torch.tensor(expected, dtype=F64)
    torch.testing.assert_close(found, wanted, atol=6e-9, rtol=0)
