"""Dropout in the transformer, replayed: the equations draw the same masks in order."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.nn import Transformer, dropout
from graphseq.nn.transformer_block import Block


def block(
    part: Block,
    x: Tensor,
    context: Tensor,
    allowed: Tensor,
    hidden: float,
    attention: float,
    *,
    pre: bool = False,
) -> Tensor:
    """A block with the dropout of its weights and of both outputs."""

    def heads(states: Tensor, which: int) -> Tensor:
        weight, bias = part.qkv.weight.chunk(3)[which], part.qkv.bias.chunk(3)[which]
        return F.linear(states, weight, bias).unflatten(2, (part.heads, -1))

    read, around = (part.norm1(x), part.norm1(context)) if pre else (x, context)
    q, k, v = heads(read, 0), heads(around, 1), heads(around, 2)
    logits = torch.einsum("bqhd,blhd->bhql", q, k) / q.shape[-1] ** 0.5
    weights = logits.masked_fill(~allowed, -torch.inf).softmax(dim=3)
    weights = dropout(weights, attention, True)
    mixed = part.out(torch.einsum("bhql,blhd->bqhd", weights, v).flatten(2))
    x = x + dropout(mixed, hidden, True)
    x = x if pre else part.norm1(x)
    fed = part.down(F.gelu(part.up(part.norm2(x) if pre else x)))
    x = x + dropout(fed, hidden, True)
    return x if pre else part.norm2(x)


def rows(dim: int) -> tuple[Tensor, Tensor]:
    mask = torch.arange(5) < torch.tensor([[5], [3], [1]])
    return torch.randn(3, 5, dim).double() * mask[..., None], mask


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "hidden, attention", [(0.4, 0.2), (0.3, None), (0.5, 0.0), (0.0, 0.5)]
)
@torch.no_grad()
def test_dropout_is_where_the_equations_have_it(
    norm: str, causal: bool, hidden: float, attention: float | None
) -> None:
    torch.manual_seed(0)
    options = {"dropout": hidden, "attention_dropout": attention, "norm": norm}
    model = Transformer(6, 8, layers=2, causal=causal, **options).double().train()
    for weight in model.parameters():
        weight.add_(0.5 * torch.randn_like(weight))
    x, mask = rows(6)
    own = mask.sum(dim=1) - 1
    seen = mask[:, None, None, :] | torch.eye(5, dtype=torch.bool)
    seen = seen & torch.ones(5, 5).tril().bool() if causal else seen
    rates = hidden, hidden if attention is None else attention

    def replayed(last: bool) -> Tensor:
        torch.manual_seed(1)
        h = dropout(model.norm(x + model.position[:5]), hidden, True)
        for i, part in enumerate(model.blocks):
            if last and i == 1:
                at_last, before = h[torch.arange(3), own][:, None], mask[:, None, None]
                h = block(part, at_last, h, before, *rates, pre=norm == "pre")
            else:
                h = block(part, h, h, seen, *rates, pre=norm == "pre")
        h = model.final(h) if norm == "pre" else h
        return h[:, 0] if last else h * mask[..., None]

    for last, read in ((False, model.forward), (True, model.last)):
        torch.manual_seed(1)
        torch.testing.assert_close(read(x, mask), replayed(last))
