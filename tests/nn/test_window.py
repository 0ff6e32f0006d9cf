"""What the filter encoders share: the window, its padding, the last column alone."""

from typing import Any

import pytest
import torch
from torch import Tensor

from graphseq.nn import (
    FourierFilter,
    FrequencyAttention,
    TimeVariantFilter,
    WaveletFilter,
    WindowEncoder,
)
from graphseq.nn.encoder import last_state

W, D = 8, 6
KINDS: dict[str, tuple[type[WindowEncoder], dict[str, Any]]] = {
    "fourier, token": (FourierFilter, {"padding": "token"}),
    "fourier, zero": (FourierFilter, {"padding": "zero"}),
    "frequency attention, token": (FrequencyAttention, {"padding": "token"}),
    "frequency attention, zero": (FrequencyAttention, {"padding": "zero"}),
    "wavelet, token": (WaveletFilter, {"padding": "token"}),
    "wavelet, zero": (WaveletFilter, {"padding": "zero"}),
    "time-variant": (TimeVariantFilter, {}),
}


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest, naive: Any) -> WindowEncoder:
    kind, options = KINDS[request.param]
    made: WindowEncoder = naive.randomise(kind(D, W, **options))
    return made


def rows(*lengths: int, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(len(lengths))
    x = torch.randn(len(lengths), width, D, dtype=torch.float64, generator=generator)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    return x * mask[..., None], mask


def test_the_last_state_is_that_of_all_positions(encoder: WindowEncoder) -> None:
    x, mask = rows(5, 1, 3, 4)
    expected = last_state(encoder(x, mask), mask)
    torch.testing.assert_close(encoder.last(x, mask), expected)
    assert expected.abs().sum(dim=1).min() > 0.1


def test_an_appended_item_changes_earlier_states(encoder: WindowEncoder) -> None:
    """So these are no states of prefixes, and one pass cannot learn from all."""
    assert not encoder.prefix_states
    x, mask = rows(5)
    every, shorter = encoder(x, mask), encoder(x[:, :4], mask[:, :4])
    change = (every[:, :4] - shorter).abs().amax(dim=2)[0]
    assert (change[1:] > 1e-3).all()  # a first item alone has its own scale normalised


def test_a_row_has_the_same_state_alone_and_among_others(
    encoder: WindowEncoder,
) -> None:
    x, mask = rows(5, 2, 3)
    together = encoder.last(x, mask)
    for row, number in enumerate((5, 2, 3)):
        alone = encoder.last(x[row : row + 1, :number], mask[row : row + 1, :number])
        torch.testing.assert_close(alone[0], together[row])


def test_the_window_is_that_of_the_options_not_of_the_batch(
    encoder: WindowEncoder,
) -> None:
    x, mask = rows(5, 2)
    wide = torch.zeros(2, W, D, dtype=torch.float64)
    wide[:, :5], more = x, torch.zeros(2, W, dtype=torch.bool)
    more[:, :5] = mask
    torch.testing.assert_close(encoder(wide, more)[:, :5], encoder(x, mask))
    torch.testing.assert_close(encoder.last(wide, more), encoder.last(x, mask))


def test_an_empty_row_is_the_window_of_padding_or_zero(encoder: WindowEncoder) -> None:
    x, mask = rows(0, 3)
    other = torch.full_like(x, 7.0) * mask[..., None]
    states = encoder.last(x, mask)[0], encoder.last(other, mask)[0]
    assert torch.equal(*states)
    assert states[0].any() == (encoder.pad is not None)
    assert not encoder(x, mask)[0].any()


def test_only_a_token_changes_what_padding_reads(encoder: WindowEncoder) -> None:
    x, mask = rows(5, 2)
    before = encoder.last(x, mask)
    if encoder.pad is None:
        assert "pad" not in dict(encoder.named_parameters())
        return
    with torch.no_grad():
        encoder.pad += 1.0 * torch.arange(D)
    after = encoder.last(x, mask)
    assert ((after - before).abs().amax(dim=1) > 1e-4).all()


def test_rows_longer_than_the_window_are_refused(encoder: WindowEncoder) -> None:
    name = type(encoder).__name__
    found = f"rows of 9 items do not fit a {name} of max_length=8; .* max_length=9"
    for call in (encoder, encoder.last):
        with pytest.raises(ValueError, match=found):
            call(*rows(9, width=9))


def test_dropout_is_applied_in_training_only(encoder: WindowEncoder) -> None:
    x, mask = rows(5, 3)
    assert torch.equal(encoder.last(x, mask), encoder.last(x, mask))
    encoder.train()
    assert not torch.equal(encoder.last(x, mask), encoder.last(x, mask))


def test_gradients_reach_every_parameter(encoder: WindowEncoder) -> None:
    encoder.last(*rows(8, 3, width=8)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
