"""The transformer encoder and its blocks."""

from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.nn.encoder import Encoder
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


Positions = Literal["start", "end"]


@final
class Transformer(Encoder):
    r"""Self-attention over a sequence: states (B, L, D) from item features (B, L, D).

    With ``norm="post"``, each block computes

    .. math:: O &= \mathrm{LN}(\mathrm{Drop}(W_o\, \mathrm{Attn}(X)) + X) \\
              X' &= \mathrm{LN}(\mathrm{Drop}(W_2\, \mathrm{gelu}(W_1 O)) + O)

    on the input :math:`\mathrm{Drop}(\mathrm{LN}(E + P))`; with ``norm="pre"`` the
    normalisation stands before each sub-layer, and once more at the end. With
    ``norm="query"``, as in the first SASRec, attention looks with normalised places at
    such that are not, and what a sub-layer adds to is normalised too:

    .. math:: Q &= \mathrm{LN}(X), \quad
              O = \mathrm{LN}(Q + \mathrm{Drop}(W_o\, \mathrm{Attn}(Q, X))) \\
              X' &= O + \mathrm{Drop}(W_2\, \mathrm{gelu}(W_1 O))

    on the input :math:`\mathrm{Drop}(E + P)`, with a normalisation at the end.

    Source:
        Vaswani et al., 2017; in the form that S3-Rec, CL4SRec, DuoRec, ICLRec and their
        descendants share (post-LN, exact gelu, weights from N(0, 0.02²)).

    Departs from the source:
        Sequences are padded on the right; states of padded places are zero. Absolute
        positions are counted from the first item of the row (``start``), or so that the
        last item always stands at ``max_length - 1`` (``end``, as with left padding).

    Args:
        dim: D.
        max_length: Longest sequence, the rows of the position table.
        layers: Blocks.
        heads: Attention heads; they divide D.
        inner: Width of the feed-forward layer; ``None`` is 4 D.
        dropout: Of the input and of each sub-layer's output.
        attention_dropout: Of the attention weights; ``None`` is ``dropout``.
        norm: Where the layer normalisation stands.
        activation: Of the feed-forward layer.
        scale: Whether item vectors are multiplied by √D before positions are added.
        causal: Whether a place sees only itself and what came before.
        positions: Which end of the sequence positions are counted from.

    Raises:
        OptionError: An option is out of its range, or ``heads`` does not divide D.
    """

    def __init__(
        self,
        dim: int = 64,
        max_length: int = 50,
        *,
        layers: int = 2,
        heads: int = 2,
        inner: int | None = None,
        dropout: float = 0.5,
        attention_dropout: float | None = None,
        norm: Norm = "post",
        activation: Activation = "gelu",
        scale: bool = False,
        causal: bool = True,
        positions: Positions = "start",
    ) -> None:
        super().__init__()
        rates = (dropout, attention_dropout)
        check_blocks(dim, layers, heads, inner, *rates, max_length=max_length)
        self.dim, self.max_length = dim, max_length
        self.position = nn.Parameter(torch.empty(max_length, dim))
        self.positions = positions
        self.causal = causal
        self.scale = dim**0.5 if scale else 1.0
        plain = norm == "query"
        self.norm = nn.Identity() if plain else nn.LayerNorm(dim, eps=1e-12)
        self.dropout = dropout
        attention = dropout if attention_dropout is None else attention_dropout
        self.blocks = nn.ModuleList(
            Block(dim, heads, inner or 4 * dim, dropout, attention, norm, activation)
            for _ in range(layers)
        )
        self.final = None if norm == "post" else nn.LayerNorm(dim, eps=1e-12)
        self.apply(_initialise)
        nn.init.normal_(self.position, std=0.02)

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
        *,
        causal: bool | None = None,
    ) -> Float[Tensor, "B L D"]:
        """Encode; ``mask`` is True at real items, which stand to the left.

        ``causal`` overrules the option for this one call.
        """
        x = self._enter(x, mask)
        allowed = self._allowed(mask, causal)
        for block in self.blocks:
            x = block(x, x, allowed, mask)
        return self._leave(x) * mask[..., None]

    def last(
        self,
        x: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
        *,
        causal: bool | None = None,
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item; zero for an empty row.

        What :meth:`forward` gives there, without the final block at other places.
        """
        x = self._enter(x, mask)
        allowed = self._allowed(mask, causal)
        *before, final = self.blocks
        for block in before:
            x = block(x, x, allowed, mask)
        rows = torch.arange(len(x), device=x.device)
        own = x[rows, (mask.sum(dim=1) - 1).clamp(min=0)][:, None]
        first = torch.arange(mask.shape[1], device=x.device) == 0  # for empty rows
        own = final(own, x, (mask | first)[:, None, None, :])
        return self._leave(own)[:, 0] * mask.any(dim=1, keepdim=True)

    def attention(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L"]:
        """How much each row's last item attends to every place.

        The mean over blocks and heads: in sum 1 a row, zero at padded places. To be
        called in evaluation mode; in training, the states are those of dropout.
        """
        x = self._enter(x, mask)
        rows = torch.arange(len(x), device=x.device)
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        first = torch.arange(mask.shape[1], device=x.device) == 0  # for empty rows
        seen = (mask | first)[:, None, None, :]
        paid = torch.zeros_like(x[..., 0])
        for block in self.blocks:
            assert isinstance(block, Block)
            paid = paid + block.weights(x[rows, last][:, None], x, seen).mean(1)[:, 0]
            x = block(x, x, self._allowed(mask, None))
        return paid / len(self.blocks) * mask

    def _allowed(self, mask: Tensor, causal: bool | None) -> Tensor | None:
        """Who sees whom; ``None`` is causal attention."""
        return None if (self.causal if causal is None else causal) else _keys(mask)

    def _enter(self, x: Tensor, mask: Tensor) -> Tensor:
        """Add the positions, normalise, drop."""
        length = x.shape[1]
        if length > len(self.position):
            raise ValueError(
                f"rows of {length} items do not fit a Transformer of "
                f"max_length={len(self.position)}"
            )
        position = self.position[:length]
        if self.positions == "end":
            steps = torch.arange(length, device=x.device) - mask.sum(1, keepdim=True)
            position = self.position[(steps + len(self.position)) % len(self.position)]
        x = self.scale * x + position
        return dropout(self.norm(x), self.dropout, self.training)

    def _leave(self, x: Tensor) -> Tensor:
        """All but post-LN normalise once more at the end."""
        return x if self.final is None else self.final(x)


def _keys(mask: Bool[Tensor, "B L"]) -> Bool[Tensor, "B 1 L L"]:
    """Who sees whom without causality: real items; a padded place only itself."""
    own = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return (mask[:, None, :] | own)[:, None]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
