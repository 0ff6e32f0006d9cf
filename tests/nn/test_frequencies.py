"""Real matrices of cosines and sines against torch's Fourier transform."""

import pytest
import torch

from graphseq.nn.frequencies import bin_weights, low_pass, waves


@pytest.mark.parametrize("window", [1, 2, 5, 6, 50])
def test_waves_are_the_one_sided_transform(window: int) -> None:
    x = torch.randn(window, dtype=torch.float64)
    expected = torch.fft.rfft(x)
    cosine, sine = waves(window) @ x
    torch.testing.assert_close(cosine, expected.real)
    torch.testing.assert_close(-sine, expected.imag)


@pytest.mark.parametrize("window", [1, 2, 5, 6, 50])
def test_the_weights_of_the_bins_invert_the_transform(window: int) -> None:
    x = torch.randn(window, dtype=torch.float64)
    bins = waves(window) @ x * bin_weights(window) / window
    torch.testing.assert_close(torch.einsum("pk,pkt->t", bins, waves(window)), x)


@pytest.mark.parametrize("window, cutoff", [(6, 3), (50, 5), (7, 4), (6, 1), (6, 6)])
def test_the_low_pass_keeps_the_lowest_bins(window: int, cutoff: int) -> None:
    x = torch.randn(window, 2, dtype=torch.float64)
    spectrum = torch.fft.rfft(x, dim=0)
    spectrum[cutoff // 2 + 1 :] = 0
    expected = torch.fft.irfft(spectrum, n=window, dim=0)
    low = low_pass(window, cutoff)
    torch.testing.assert_close(low @ x, expected)
    torch.testing.assert_close(low, low.T)
    torch.testing.assert_close(low @ low, low)


def test_the_first_row_is_that_of_the_specification() -> None:
    row = torch.tensor([1 / 2, 1 / 3, 0, -1 / 6, 0, 1 / 3], dtype=torch.float64)
    torch.testing.assert_close(low_pass(6, 3)[0], row)
