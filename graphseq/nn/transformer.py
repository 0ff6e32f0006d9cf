"""The transformer encoder that the sequential models share."""

from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.nn.encoder import Encoder

Norm = Literal["post", "pre"]
Positions = Literal["start", "end"]


@final
class Transformer(Encoder):
    r"""Self-attention over a sequence: states (B, L, D) from item features (B, L, D).

    With ``norm="post"``, each block computes

    .. math:: O &= \mathrm{LN}(\mathrm{Drop}(W_o\, \mathrm{Attn}(X)) + X) \\
              X' &= \mathrm{LN}(\mathrm{Drop}(W_2\, \mathrm{gelu}(W_1 O)) + O)

    on the input :math:`\mathrm{Drop}(\mathrm{LN}(E + P))`; with ``norm="pre"`` the
    normalisation stands before each sub-layer, and once more at the end.

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
        causal: Whether a place sees only itself and what came before.
        positions: Which end of the sequence positions are counted from.
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
        causal: bool = True,
        positions: Positions = "start",
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"heads must divide dim; got dim={dim} and heads={heads}")
        if layers < 1:
            raise ValueError(
                f"a transformer has one layer or more; got layers={layers}"
            )
        self.dim, self.max_length = dim, max_length
        self.position = nn.Parameter(torch.empty(max_length, dim))
        self.positions = positions
        self.causal = causal
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = dropout
        attention = dropout if attention_dropout is None else attention_dropout
        self.blocks = nn.ModuleList(
            Block(dim, heads, inner or 4 * dim, dropout, attention, norm)
            for _ in range(layers)
        )
        self.final = nn.LayerNorm(dim, eps=1e-12) if norm == "pre" else None
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
            x = block(x, x, allowed)
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
            x = block(x, x, allowed)
        rows = torch.arange(len(x), device=x.device)
        own = x[rows, (mask.sum(dim=1) - 1).clamp(min=0)][:, None]
        first = torch.arange(mask.shape[1], device=x.device) == 0  # for empty rows
        own = final(own, x, (mask | first)[:, None, None, :])
        return self._leave(own)[:, 0] * mask.any(dim=1, keepdim=True)

    def attention(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L"]:
        """How much each row's last item attends to every place.

        The mean over blocks and heads, without dropout: in sum 1 a row, zero at padded
        places.
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
        position = self.position[:length]
        if self.positions == "end":
            steps = torch.arange(length, device=x.device) - mask.sum(1, keepdim=True)
            position = self.position[(steps + len(self.position)) % len(self.position)]
        return dropout(self.norm(x + position), self.dropout, self.training)

    def _leave(self, x: Tensor) -> Tensor:
        """Pre-LN normalises once more at the end."""
        return x if self.final is None else self.final(x)


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
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.pre = norm == "pre"
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
    ) -> Float[Tensor, "B Q D"]:
        """Apply the block at the places x, which look at the places ``context``.

        ``allowed=None`` is causal attention, for which the two are the same.
        """
        if self.pre:
            normed = self.norm1(x)
            around = normed if x is context else self.norm1(context)
            x = x + self._drop(self.attend(normed, around, allowed))
            return x + self._drop(self.feed(self.norm2(x)))
        x = self.norm1(self._drop(self.attend(x, context, allowed)) + x)
        return self.norm2(self._drop(self.feed(x)) + x)  # type: ignore[no-any-return]

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
        if self.pre:
            x, context = self.norm1(x), self.norm1(context)
        q, k, _ = self._projected(x, context)
        scores: Tensor = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)

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
        return self.down(F.gelu(self.up(x)))  # type: ignore[no-any-return]

    def _drop(self, x: Tensor) -> Tensor:
        if self.learnt is not None:
            return self.learnt(x)  # type: ignore[no-any-return]
        return dropout(x, self.dropout, self.training)


def _keys(mask: Bool[Tensor, "B L"]) -> Bool[Tensor, "B 1 L L"]:
    """Who sees whom without causality: real items; a padded place only itself."""
    own = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return (mask[:, None, :] | own)[:, None]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
