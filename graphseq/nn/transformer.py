"""The transformer encoder."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.attention import check_heads, initialise
from graphseq.nn.dropout import FixedDropout, LearnableDropout, dropout
from graphseq.nn.encoder import Encoder
from graphseq.nn.transformer_block import Activation, Block, Norm
from graphseq.schema import Dropout, InvalidOption, Size

Positions = Literal["start", "end"]


@final
class Transformer(Encoder):
    r"""Self-attention over a sequence: states (B, L, D) from item vectors (B, L, D).

    With ``norm="post"``, each block computes

    .. math:: O &= \mathrm{LN}(\mathrm{Drop}(W_o\, \mathrm{Attn}(X)) + X) \\
              X' &= \mathrm{LN}(\mathrm{Drop}(W_2\, \mathrm{gelu}(W_1 O)) + O)

    on the input :math:`\mathrm{Drop}(\mathrm{LN}(E + P))`. With ``norm="pre"`` the
    normalisation comes before each sub-layer, and once more at the end. With
    ``norm="query"``, as in the first SASRec, queries are normalised; keys and values
    are not, and the residual is the normalised input:

    .. math:: Q &= \mathrm{LN}(X), \quad
              O = \mathrm{LN}(Q + \mathrm{Drop}(W_o\, \mathrm{Attn}(Q, X))) \\
              X' &= O + \mathrm{Drop}(W_2\, \mathrm{gelu}(W_1 O))

    on the input :math:`\mathrm{Drop}(E + P)`, with a normalisation at the end.

    Source:
        Vaswani et al., 2017; in the form that S3-Rec, CL4SRec, DuoRec, ICLRec and their
        descendants share (post-LN, exact gelu, weights from N(0, 0.02²)).

    Departs from the source:
        Sequences are padded on the right; states of padding are zero. Absolute
        positions are counted from the first item of the row (``start``), or so that the
        last item is always at ``max_length - 1`` (``end``, as with left padding). A
        position whose visible items are all hidden attends to itself (the codes add
        -10,000 to their scores: to all positions, also later ones).

    Args:
        dim: D.
        max_length: Longest sequence, the rows of the position table.
        layers: Blocks.
        heads: Attention heads; they divide D.
        inner: Width of the feed-forward layer; ``None`` is 4 D.
        dropout: Of the input and of each sub-layer's output.
        attention_dropout: Of the attention weights; ``None`` is ``dropout``.
        norm: Where the layer normalisation is applied.
        activation: Of the feed-forward layer.
        scale: Whether item vectors are multiplied by √D before positions are added.
        causal: Whether a position attends only to itself and earlier ones.
        positions: Which end of the sequence positions are counted from.
        learnable: Replaces the dropout of sub-layer outputs; each block has a copy of
            its own.
    """

    takes_hidden = True

    def __init__(
        self,
        dim: Size = 64,
        max_length: Size = 50,
        *,
        layers: Size = 2,
        heads: Size = 2,
        inner: Size | None = None,
        dropout: Dropout = 0.5,
        attention_dropout: Dropout | None = None,
        norm: Norm = "post",
        activation: Activation = "gelu",
        scale: bool = False,
        causal: bool = True,
        positions: Positions = "start",
        learnable: LearnableDropout | None = None,
    ) -> None:
        super().__init__()
        self.dim, self.max_length = dim, max_length
        self.position = nn.Parameter(torch.empty(max_length, dim))
        self.positions = positions
        self.counts_from_end = positions == "end"
        self.causal = self.prefix_states = causal
        self.scale = dim**0.5 if scale else 1.0
        normalise = norm != "query"
        self.norm = nn.LayerNorm(dim, eps=1e-12) if normalise else nn.Identity()
        self.dropout = dropout
        attention = dropout if attention_dropout is None else attention_dropout
        inner = inner or 4 * dim
        drop = FixedDropout(dropout) if learnable is None else learnable
        self.blocks = nn.ModuleList(
            Block(dim, heads, inner, deepcopy(drop), attention, norm, activation)
            for _ in range(layers)
        )
        self.final = None if norm == "post" else nn.LayerNorm(dim, eps=1e-12)
        self.apply(initialise)
        nn.init.normal_(self.position, std=0.02)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Heads that do not divide D; learnable dropout of another width."""
        dim, learnable = options["dim"], options["learnable"]
        yield from check_heads(dim, options["heads"])
        if learnable is not None and learnable.units not in (None, dim):
            message = f"expected units=None or dim={dim}, found {learnable.units}"
            yield InvalidOption("learnable", message)

    @classmethod
    def has_prefix_states(cls, options: Mapping[str, Any]) -> bool:
        """Where a position attends only to itself and earlier ones."""
        return bool(options["causal"])

    def learnable_dropouts(self) -> list[LearnableDropout]:
        """The learnable dropout of each block; empty without ``learnable``."""
        parts = [block.dropout for block in self.blocks]
        return [part for part in parts if isinstance(part, LearnableDropout)]

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
        *,
        causal: bool | None = None,
        hidden: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L D"]:
        """The state at every position; zero at padding.

        Args:
            x: Item vectors.
            mask: True at real items, which come first.
            causal: Overrides the option for this call.
            hidden: True at items that no position attends to; ``None``: none are.
        """
        x = self.embed(x, mask)
        allowed = self._allowed(mask, causal, hidden)
        for block in self.blocks:
            x = block(x, x, allowed, mask)
        return self._normalise(x) * mask[..., None]

    def last(
        self,
        x: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
        *,
        causal: bool | None = None,
        hidden: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item; zero for an empty row.

        Equal to that of :meth:`forward`; the final block runs at this position only.
        """
        x = self.embed(x, mask)
        allowed = self._allowed(mask, causal, hidden)
        *before, final = self.blocks
        for block in before:
            x = block(x, x, allowed, mask)
        own, allowed = _last_query(x, mask, hidden)
        return self._normalise(final(own, x, allowed))[:, 0] * mask.any(1, keepdim=True)

    def attention(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L"]:
        """How much each row's last item attends to every position.

        The mean over blocks and heads: each row sums to 1, with zeros at padding. Call
        it in evaluation mode; in training mode the states are subject to dropout.
        """
        x = self.embed(x, mask)
        total = torch.zeros_like(x[..., 0])
        for block in self.blocks:
            assert isinstance(block, Block)
            own, allowed = _last_query(x, mask)
            total = total + block.attention_weights(own, x, allowed).mean(1)[:, 0]
            x = block(x, x, self._allowed(mask, None))
        return total / len(self.blocks) * mask

    def embed(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """The input of the first block: item vectors plus positions."""
        length = x.shape[1]
        if length > len(self.position):
            raise ValueError(
                f"rows of {length} items do not fit a Transformer of "
                f"max_length={len(self.position)}; shorten the sequences or set "
                f"max_length={length}"
            )
        position = self.position[:length]
        if self.positions == "end":
            steps = torch.arange(length, device=x.device) - mask.sum(1, keepdim=True)
            position = self.position[(steps + len(self.position)) % len(self.position)]
        x = self.scale * x + position
        return dropout(self.norm(x), self.dropout, self.training)

    def _allowed(
        self, mask: Tensor, causal: bool | None, hidden: Tensor | None = None
    ) -> Tensor | None:
        """True where a position may attend: (B, 1, L, L); ``None`` is causal.

        Real items are visible to all, or to later ones; padding only to itself.
        """
        causal = self.causal if causal is None else causal
        if causal and hidden is None:
            return None
        own = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
        allowed = torch.ones_like(own).tril() if causal else mask[:, None, :] | own
        if hidden is not None:
            allowed = _without_hidden(allowed, hidden[:, None, :], own)
        return allowed[:, None]

    def _normalise(self, x: Tensor) -> Tensor:
        """The normalisation after the last block; post-LN has none."""
        return x if self.final is None else self.final(x)


def _last_query(
    x: Tensor, mask: Tensor, hidden: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The state at each row's last item, (B, 1, D), and where it may attend."""
    rows = torch.arange(x.shape[0], device=x.device)
    last = (mask.sum(dim=1) - 1).clamp(min=0)
    steps = torch.arange(mask.shape[1], device=x.device)
    allowed = mask | (steps == 0)  # for empty rows
    if hidden is not None:
        allowed = _without_hidden(allowed, hidden, steps == last[:, None])
    return x[rows, last][:, None], allowed[:, None, None, :]


def _without_hidden(allowed: Tensor, hidden: Tensor, own: Tensor) -> Tensor:
    """Attention without hidden positions; to ``own`` where nothing else is left."""
    visible = allowed & ~hidden
    return visible | (own & ~visible.any(dim=-1, keepdim=True))
