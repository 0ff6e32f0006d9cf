"""Properties of all encoders: states of prefixes, zeros at padding, last states."""

import pytest
import torch
from torch import Tensor

from graphseq import models, nn
from graphseq.nn import Encoder
from graphseq.nn.encoder import last_state

KINDS = {n: kind for n, kind in models.PARTS.items() if issubclass(kind, Encoder)}


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    made: Encoder = KINDS[request.param](dim=8)
    return made.eval()


@pytest.fixture
def rows() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    mask = torch.arange(6) < torch.tensor([6, 3, 1, 0])[:, None]
    return torch.randn(4, 6, 8) * mask[..., None], mask


def test_states_have_the_input_shape_and_are_zero_at_padding(
    encoder: Encoder, rows: tuple[Tensor, Tensor]
) -> None:
    x, mask = rows
    states = encoder(x, mask)
    assert states.shape == x.shape
    assert not states[~mask].any()
    assert (states[mask].abs().sum(dim=1) > 0).all()


def test_states_are_those_of_the_row_cut_there_where_the_encoder_claims_it(
    encoder: Encoder, rows: tuple[Tensor, Tensor]
) -> None:
    """A filter that claimed it would see its targets in training."""
    x, mask = rows
    every, cut = encoder(x, mask)[:1, 1:3], encoder(x[:1, :3], mask[:1, :3])[:, 1:]
    if encoder.prefix_states:
        torch.testing.assert_close(every, cut)
    else:
        assert ((every - cut).abs().amax(dim=2) > 1e-5).all()
    assert encoder.has_prefix_states(encoder.options) == encoder.prefix_states


def test_a_state_depends_on_earlier_items(
    encoder: Encoder, rows: tuple[Tensor, Tensor]
) -> None:
    x, mask = rows
    earlier = x.clone()
    earlier[0, 4] = torch.randn(8)
    change = (encoder(earlier, mask) - encoder(x, mask))[0].abs().sum(dim=1)
    assert not (change[:4].any() and encoder.prefix_states)
    assert (change[4:] > 1e-6).all()


def test_more_padding_changes_nothing(
    encoder: Encoder, rows: tuple[Tensor, Tensor]
) -> None:
    x, mask = rows
    wide, more = torch.zeros(4, 9, 8), torch.zeros(4, 9, dtype=torch.bool)
    wide[:, :6], more[:, :6] = x, mask
    torch.testing.assert_close(encoder(wide, more)[:, :6], encoder(x, mask))


def test_last_equals_forward_at_the_last_item(
    encoder: Encoder, rows: tuple[Tensor, Tensor]
) -> None:
    x, mask = rows[0][:3], rows[1][:3]  # an empty row: see the tests of each encoder
    torch.testing.assert_close(
        encoder.last(x, mask), last_state(encoder(x, mask), mask)
    )


def test_last_state_is_at_the_last_real_position() -> None:
    states = torch.arange(6.0).view(2, 3, 1) + 1
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert last_state(states, mask).tolist() == [[2.0], [0.0]]


def test_every_encoder_is_public() -> None:
    assert all(hasattr(nn, name) for name in KINDS)
