"""One layer of a transformer."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.schema import InvalidOption, check_ranges

Norm = Literal["post", "pre", "query"]
Activation = Literal["gelu", "relu"]


def check_blocks(
    dim: int,
    layers: int,
    heads: int,
    inner: int | None,
    dropout: float,
    attention_dropout: float | None = None,
    *,
    max_length: int | None = None,
) -> None:
    """Refuse options of which no blocks can be made.

    Raises:
        OptionError: One is out of its range, or ``heads`` does not divide ``dim``.
    """
    splits = dim < 1 or heads < 1 or dim % heads == 0
    check_ranges(
        *(
            []
            if splits
            else [
                InvalidOption(
                    "heads", f"expected a divisor of dim={dim}, found {heads}"
                )
            ]
        ),
        sizes={
            "dim": dim,
            "max_length": max_length,
            "layers": layers,
            "heads": heads,
            "inner": inner,
        },
        dropouts={"dropout": dropout, "attention_dropout": attention_dropout},
    )


class Block(nn.Module):
    """One layer: attention, then the feed-forward network."""

    def __init__(
        self,
        dim: int,
        heads: int,
        inner: int,
        dropout: float,
        attention_dropout: float,
        norm: Norm,
        activation: Activation = "gelu",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.norm = norm
        self.activation = F.relu if activation == "relu" else F.gelu
        self.learnt: nn.Module | None = None  # in the place of ``dropout``, if given
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm1 = nn.LayerNorm(dim, eps=1e-12)
        self.up = nn.Linear(dim, inner)
        self.down = nn.Linear(inner, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-12)

    def forward(
        self,
        x: Float[Tensor, "B Q D"],
        context: Float[Tensor, "B L D"],
        allowed: Bool[Tensor, "*B 1 Q L"] | None,
        real: Bool[Tensor, "B Q"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """Apply the block at the places x, which look at the places ``context``.

        ``allowed=None`` is causal attention, for which the two are the same. ``real``
        tells a learnt dropout which of the places x hold items; ``None``: all.
        """
        if self.norm == "post":
            x = self.norm1(self._drop(self.attend(x, context, allowed), real) + x)
            return self.norm2(self._drop(self.feed(x), real) + x)  # type: ignore[no-any-return]
        query, around = self._read(x, context)
        kept = query if self.norm == "query" else x
        x = kept + self._drop(self.attend(query, around, allowed), real)
        read = self.norm2(x)
        kept = read if self.norm == "query" else x
        return kept + self._drop(self.feed(read), real)

    def attend(self, x: Tensor, context: Tensor, allowed: Tensor | None) -> Tensor:
        """Multi-head attention of every place to the places it may see."""
        q, k, v = self._projected(x, context)
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

    def weights(self, x: Tensor, context: Tensor, allowed: Tensor) -> Tensor:
        """What :meth:`attend` weighs places by, without dropout: (B, heads, Q, L)."""
        q, k, _ = self._projected(*self._read(x, context))
        scores: Tensor = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)

    def _read(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """What attention reads of the places x, and of those that they look at."""
        if self.norm == "post":
            return x, context
        query = self.norm1(x)
        if self.norm == "query":
            return query, context
        return query, query if x is context else self.norm1(context)

    def _projected(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of the places x; keys and values of the places they look at."""
        if x is context:
            q, k, v = self._heads(self.qkv(x), 3)
        else:
            split = (x.shape[-1], 2 * x.shape[-1])
            wq, wkv = self.qkv.weight.split(split)
            bq, bkv = self.qkv.bias.split(split)
            (q,) = self._heads(F.linear(x, wq, bq), 1)
            k, v = self._heads(F.linear(context, wkv, bkv), 2)
        return q, k, v

    def _heads(self, x: Tensor, number: int) -> Tensor:
        """(B, L, n D) to n tensors (B, heads, L, D / heads)."""
        heads: Tensor = x.unflatten(-1, (number, self.heads, -1))
        return heads.permute(2, 0, 3, 1, 4)

    def feed(self, x: Tensor) -> Tensor:
        """The feed-forward network."""
        return self.down(self.activation(self.up(x)))  # type: ignore[no-any-return]

    def _drop(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        if self.learnt is not None:
            return self.learnt(x, real)  # type: ignore[no-any-return]
        return dropout(x, self.dropout, self.training)
