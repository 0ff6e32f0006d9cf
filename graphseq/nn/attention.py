"""Multi-head attention, and how the layers of attentive encoders are initialised."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.schema import InvalidOption


class Attention(nn.Module):
    """Scaled dot-product attention of several heads, with an output layer.

    Args:
        dim: D.
        heads: Attention heads; they divide D.
        attention_dropout: Of the attention weights.
    """

    def __init__(self, dim: int, heads: int, attention_dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_dropout = attention_dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def attend(self, x: Tensor, context: Tensor, allowed: Tensor | None) -> Tensor:
        """Attention of the positions x to ``context``.

        Args:
            x: Queries, (B, Q, D).
            context: Keys and values, (B, L, D).
            allowed: True where a query may attend, (B, 1, Q, L); ``None``: causal
                attention, for which x and ``context`` are the same.
        """
        q, k, v = self.project(x, context)
        if self.training and self.attention_dropout:
            scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
            if allowed is None:
                allowed = torch.ones_like(scores[0, 0], dtype=torch.bool).tril()
            weights = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)
            o = dropout(weights, self.attention_dropout, True) @ v
        else:
            causal = allowed is None
            o = F.scaled_dot_product_attention(q, k, v, allowed, is_causal=causal)
        return self.out(o.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of x; keys and values of ``context``."""
        if x is context:
            q, k, v = self._split_heads(self.qkv(x), 3)
        else:
            split = (x.shape[-1], 2 * x.shape[-1])
            wq, wkv = self.qkv.weight.split(split)
            bq, bkv = self.qkv.bias.split(split)
            (q,) = self._split_heads(F.linear(x, wq, bq), 1)
            k, v = self._split_heads(F.linear(context, wkv, bkv), 2)
        return q, k, v

    def _split_heads(self, x: Tensor, number: int) -> Tensor:
        """(B, L, n D) to n tensors (B, heads, L, D / heads)."""
        heads: Tensor = x.unflatten(-1, (number, self.heads, -1))
        return heads.permute(2, 0, 3, 1, 4)


def check_heads(dim: int, heads: int) -> Iterator[InvalidOption]:
    """The heads of attention have to divide the width of the states."""
    if dim % heads:
        message = f"expected a divisor of dim={dim}, found {heads}"
        yield InvalidOption("heads", message)


def initialise(module: nn.Module) -> None:
    """Draw the weights of a linear layer from N(0, 0.02²); its biases are zero."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
