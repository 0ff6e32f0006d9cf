"""Multi-head attention by query, key and head; other tests are the transformer's."""

import math

import pytest
import torch

from graphseq.nn.attention import Attention, check_heads

F64 = torch.float64


@pytest.mark.parametrize("masked", [True, False])
def test_attention_is_that_of_loops(masked: bool) -> None:
    torch.manual_seed(0)
    attention = Attention(4, 2, 0.5).double().eval()
    x = torch.randn(1, 5, 4, dtype=F64)
    allowed = torch.ones(5, 5, dtype=torch.bool).tril()
    if masked:
        allowed = allowed & (torch.tensor([1, 0, 1, 1, 0]) > 0) | torch.eye(5).bool()
    found = attention.attend(x, x, allowed[None, None] if masked else None)[0]
    weights = {n: p.detach() for n, p in attention.named_parameters()}
    q, k, v = (x[0] @ weights["qkv.weight"].T + weights["qkv.bias"]).split(4, dim=1)
    out = torch.zeros(5, 4, dtype=F64)
    for t in range(5):
        seen = [s for s in range(5) if allowed[t, s]]
        for head in (slice(0, 2), slice(2, 4)):
            masses = [math.exp(float(q[t, head] @ k[s, head]) / 2**0.5) for s in seen]
            for mass, s in zip(masses, seen, strict=True):
                out[t, head] += mass / sum(masses) * v[s, head]
    expected = out @ weights["out.weight"].T + weights["out.bias"]
    torch.testing.assert_close(found, expected)


def test_a_query_apart_from_its_context_has_the_same_result() -> None:
    torch.manual_seed(0)
    attention = Attention(4, 2, 0.0).double()
    x, allowed = torch.randn(2, 5, 4, dtype=F64), torch.ones(2, 1, 1, 5).bool()
    every = attention.attend(x, x, None)
    last = attention.attend(x[:, -1:], x, allowed)
    torch.testing.assert_close(last, every[:, -1:])


def test_heads_divide_the_width() -> None:
    assert not [*check_heads(6, 3)]
    [(name, message)] = check_heads(6, 4)
    assert (name, message) == ("heads", "expected a divisor of dim=6, found 4")
