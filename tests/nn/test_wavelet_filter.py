"""WEARec's layer against its oracle (U-F3), and its encoder against transforms."""

from typing import Any

import pytest
import torch
from torch import Tensor

from graphseq.nn import WaveletFilter
from graphseq.nn.wavelet_filter import WaveletMixer
from graphseq.schema import OptionError

F64 = torch.float64
FILTERED = (
    (0.84723905, 0.74254457, -0.14501993, -1.09495585),
    (0.78855446, 0.71553634, -0.21877350, -1.05382184),
    (0.82719245, 0.74724998, -0.44383366, -1.20588407),
)
HAAR = ((0.43387894, -0.70508278, -0.20636392, -0.10360580),) * 3
LAYER = (
    (1.32431647, 0.41821860, -0.34540404, -1.39713103),
    (1.32757448, 0.42281261, -0.36194505, -1.38844204),
    (1.32631381, 0.44355932, -0.39610053, -1.37377260),
)


@pytest.mark.parametrize("last", [True, False])
def test_the_layer_is_that_of_the_oracle(
    naive: Any, windows: tuple[Tensor, Tensor], last: bool
) -> None:
    x, real = windows
    sines = naive.sines
    mixer = WaveletMixer(4, 6, 2, 0.3, 0.0).double()
    given = {
        mixer.detail: sines(200, 2, 3, 2),
        mixer.scale: 1 + sines(210, 2, 4) / 10,
        mixer.shift: -0.1 + sines(220, 2, 4) / 10,
        mixer.inner.weight: sines(230, 4, 4) / 2,
        mixer.inner.bias: sines(250, 4) / 10,
        mixer.outer.weight: sines(260, 16, 4) / 2,
        mixer.outer.bias: sines(330, 16) / 10,
    }
    with torch.no_grad():
        for parameter, value in given.items():
            parameter.copy_(value)
    found = mixer.frequency(x, last=last), mixer.wavelet(x, last=last)
    found = *found, mixer(x, real, last=last)
    for value, expected in zip(found, (FILTERED, HAAR, LAYER), strict=True):
        wanted = torch.tensor(expected, dtype=F64)
        torch.testing.assert_close(value[:, -1], wanted, atol=6e-9, rtol=0)


@pytest.mark.parametrize("padding", ["token", "zero"])
def test_the_encoder_is_that_of_transforms(naive: Any, padding: Any) -> None:
    """Head by head, and pair by pair."""

    def mix(w: dict[str, Tensor], x: Tensor, real: Tensor) -> Tensor:
        context = x.sum(dim=0) / len(x)
        hidden = naive.gelu(w["mixer.inner.weight"] @ context + w["mixer.inner.bias"])
        adapted = w["mixer.outer.weight"] @ hidden + w["mixer.outer.bias"]
        adapted = adapted.view(2, 4, 2)  # heads, bins, scale and shift
        filtered, wavelet = torch.zeros_like(x), torch.zeros_like(x)
        for head, dims in enumerate((slice(0, 3), slice(3, 6))):
            scale = w["mixer.scale"][head] * (1 + adapted[head, :, 0])
            shift = w["mixer.shift"][head] + adapted[head, :, 1]
            spectrum = torch.fft.rfft(x[:, dims], dim=0, norm="ortho")
            spectrum = spectrum * scale[:, None] + shift[:, None]
            filtered[:, dims] = torch.fft.irfft(spectrum, n=6, dim=0, norm="ortho")
            for pair in range(3):
                u, v = x[2 * pair, dims], x[2 * pair + 1, dims]
                p, q = (u + v) / 2, w["mixer.detail"][head, pair] * (u - v) / 2
                wavelet[2 * pair, dims], wavelet[2 * pair + 1, dims] = p + q, p - q
        y = 0.4 * filtered + 0.6 * wavelet + x
        return naive.layer_norm(y, w["mixer.norm.weight"], w["mixer.norm.bias"])

    naive.check(WaveletFilter(6, 6, heads=2, alpha=0.4, padding=padding), mix)


def test_an_odd_window_and_other_heads_are_refused() -> None:
    found = r"max_length: expected an even window, found 5.*\n?.*"
    with pytest.raises(OptionError, match=found):
        WaveletFilter(8, 5)
    with pytest.raises(OptionError, match="heads: expected a divisor of dim=8"):
        WaveletFilter(8, 6, heads=3)


def test_parameters_are_as_many_as_the_authors() -> None:
    """910,978 on Beauty, with an unused number for each block."""
    encoder = WaveletFilter(64, 50, heads=8)
    count = sum(p.numel() for p in encoder.parameters())
    assert 0 <= 910_978 - (count - 64 + 12_102 * 64) <= 2
