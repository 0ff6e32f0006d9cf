"""One layer of the transformer: attention, then a feed-forward network."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.attention import Attention

Norm = Literal["post", "pre", "query"]
Activation = Literal["gelu", "relu"]


class Block(Attention):
    """One layer: multi-head attention, then a feed-forward network.

    Args:
        dim: D.
        heads: Attention heads; they divide D.
        inner: Width of the feed-forward layer.
        dropout: Applied to the output of both sub-layers; called with the states and
            the mask of real items.
        attention_dropout: Of the attention weights.
        norm: Where the layer normalisation is applied; see :class:`Transformer`.
        activation: Of the feed-forward layer.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        inner: int,
        dropout: nn.Module,
        attention_dropout: float,
        norm: Norm,
        activation: Activation = "gelu",
    ) -> None:
        super().__init__(dim, heads, attention_dropout)
        self.norm = norm
        self.activation = F.relu if activation == "relu" else F.gelu
        self.norm1 = nn.LayerNorm(dim, eps=1e-12)
        self.up = nn.Linear(dim, inner)
        self.down = nn.Linear(inner, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = dropout

    def forward(
        self,
        x: Float[Tensor, "B Q D"],
        context: Float[Tensor, "B L D"],
        allowed: Bool[Tensor, "*B 1 Q L"] | None,
        mask: Bool[Tensor, "B Q"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """Apply the block at the positions x, which attend to ``context``.

        Args:
            x: Queries.
            context: Keys and values.
            allowed: True where a query may attend; ``None``: causal attention, for
                which x and ``context`` are the same.
            mask: True at the queries that are real items; ``None``: all.
        """
        if self.norm == "post":
            x = self.norm1(self.dropout(self.attend(x, context, allowed), mask) + x)
            return self.norm2(self.dropout(self.feed_forward(x), mask) + x)  # type: ignore[no-any-return]
        query, keys = self._normalised(x, context)
        residual = query if self.norm == "query" else x
        x = residual + self.dropout(self.attend(query, keys, allowed), mask)
        inner = self.norm2(x)
        residual = inner if self.norm == "query" else x
        return residual + self.dropout(self.feed_forward(inner), mask)  # type: ignore[no-any-return]

    def attention_weights(
        self, x: Tensor, context: Tensor, allowed: Tensor
    ) -> Float[Tensor, "B H Q L"]:
        """The weights of :meth:`attend` for each head, without dropout."""
        q, k, _ = self.project(*self._normalised(x, context))
        scores: Tensor = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)

    def feed_forward(self, x: Tensor) -> Tensor:
        """The feed-forward network, applied to each position separately."""
        return self.down(self.activation(self.up(x)))  # type: ignore[no-any-return]

    def _normalised(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs of the queries, and of the keys and values."""
        if self.norm == "post":
            return x, context
        query = self.norm1(x)
        if self.norm == "query":
            return query, context
        return query, query if x is context else self.norm1(context)
