"""Every encoder passes the checks of encoders; the state at the last position."""

from typing import Any

import pytest
import torch

from graphseq import models, nn
from graphseq.nn import Encoder
from graphseq.nn.encoder import last_state
from graphseq.testing import checks

KINDS = {n: kind for n, kind in models.PARTS.items() if issubclass(kind, Encoder)}


@pytest.mark.parametrize("check", checks("encoder"))
@pytest.mark.parametrize("name", KINDS)
def test_an_encoder_passes_the_check(name: str, check: Any) -> None:
    check(lambda: KINDS[name](dim=8))


def test_last_state_is_at_the_last_real_position() -> None:
    states = torch.arange(6.0).view(2, 3, 1) + 1
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert last_state(states, mask).tolist() == [[2.0], [0.0]]


def test_every_encoder_is_public() -> None:
    assert all(hasattr(nn, name) for name in KINDS)
