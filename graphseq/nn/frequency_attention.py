"""The encoder of BSARec: attention, and a filter that rescales high frequencies."""

from collections.abc import Iterator, Mapping
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.attention import Attention, check_heads
from graphseq.nn.dropout import dropout
from graphseq.nn.frequencies import low_pass
from graphseq.nn.window import Mixer, Padding, WindowEncoder
from graphseq.schema import Dropout, Fraction, InvalidOption, Size


@final
class FrequencyAttentionMixer(Mixer):
    """A blend of a frequency filter and of causal attention.

    Args:
        dim: D.
        window: W.
        heads: Attention heads.
        alpha: Weight of the filter.
        cutoff: c, of the low-pass.
        dropout: Of the outputs of both branches.
        attention_dropout: Of the attention weights.
    """

    low: Tensor

    def __init__(
        self,
        dim: int,
        window: int,
        heads: int,
        alpha: float,
        cutoff: int,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.alpha, self.dropout = alpha, dropout
        self.scale = nn.Parameter(torch.randn(dim))
        self.filter_norm = nn.LayerNorm(dim, eps=1e-12)
        self.attention = Attention(dim, heads, attention_dropout)
        self.attention_norm = nn.LayerNorm(dim, eps=1e-12)
        low = low_pass(window, min(cutoff, window))
        self.register_buffer("low", low, persistent=False)

    def forward(
        self, x: Float[Tensor, "B C D"], real: Bool[Tensor, "B C"], *, last: bool
    ) -> Float[Tensor, "B Q D"]:
        """The blend α A + (1 - α) G of both branches."""
        filtered, attended = self.branches(x, real, last=last)
        return self.alpha * filtered + (1 - self.alpha) * attended

    def branches(
        self,
        x: Float[Tensor, "B C D"],
        real: Bool[Tensor, "B C"],
        *,
        last: bool = False,
    ) -> tuple[Float[Tensor, "B Q D"], Float[Tensor, "B Q D"]]:
        """The filter branch A and the attention branch G."""
        own, size = (x[:, -1:], 1) if last else (x, x.shape[1])
        low = self.low.to(x)[-size:, -x.shape[1] :] @ x
        filtered = low + self.scale.square() * (own - low)
        attended = self.attention.attend(own, x, _allowed(real, size))
        filtered = dropout(filtered, self.dropout, self.training)
        attended = dropout(attended, self.dropout, self.training)
        return self.filter_norm(filtered + own), self.attention_norm(attended + own)


def _allowed(real: Bool[Tensor, "B C"], size: int) -> Bool[Tensor, "B 1 Q C"]:
    """Where the newest ``size`` columns attend: items to items up to themselves.

    Padding attends to every column, as in the authors' code, where the mask -10⁴ of a
    row without a visible item cancels in the softmax.
    """
    columns = real.shape[1]
    causal = torch.ones(columns, columns, dtype=torch.bool, device=real.device).tril()
    seen = causal[-size:] & real[:, None, :]
    return (seen | ~real[:, -size:, None])[:, None]


@final
class FrequencyAttention(WindowEncoder):
    r"""Causal attention, and a filter that rescales the high frequencies of a window.

    Of the c lowest Fourier components of a window, the low-pass is the fixed projection
    :math:`C_c` (``low_pass``). A block computes

    .. math:: A &= \mathrm{LN}(\mathrm{Drop}(C_c X + β ⊙ (X - C_c X)) + X),
                  \quad β = b ⊙ b \\
              G &= \mathrm{LN}(\mathrm{Drop}(W_o\, \mathrm{Attn}(X)) + X) \\
              M &= α A + (1 - α) G \\
              X' &= \mathrm{LN}(\mathrm{Drop}(W_2\, \mathrm{gelu}(W_1 M)) + M)

    on the input of :class:`~graphseq.nn.window.WindowEncoder`. The filter reads all
    columns, also later ones and padding; attention reads earlier items only.

    Source:
        Shin et al., "An Attentive Inductive Bias for Sequential Recommendation beyond
        the Self-Attention", AAAI 2024.

    Departs from the source:
        With ``padding="token"`` the vector of padding is trained through the input; the
        authors' is trained only as a class of the softmax.

    Args:
        dim: D.
        max_length: W, also the longest sequence.
        layers: Blocks.
        heads: Attention heads; they divide D.
        alpha: α, the weight of the filter branch.
        cutoff: c; the bins 0 … c // 2 are low frequencies.
        inner: Width of the feed-forward layer; ``None`` is 4 D.
        dropout: Of the input and of each sub-layer's output.
        attention_dropout: Of the attention weights; ``None`` is ``dropout``.
        padding: What the columns without an item read: a trained vector (``token``), or
            nothing (``zero``, much less work where histories are short).
    """

    def __init__(
        self,
        dim: Size = 64,
        max_length: Size = 50,
        *,
        layers: Size = 2,
        heads: Size = 1,
        alpha: Fraction = 0.7,
        cutoff: Size = 5,
        inner: Size | None = None,
        dropout: Dropout = 0.5,
        attention_dropout: Dropout | None = None,
        padding: Padding = "token",
    ) -> None:
        rates = dropout, dropout if attention_dropout is None else attention_dropout
        sizes = dim, max_length, heads, alpha, cutoff, *rates
        mixers = [FrequencyAttentionMixer(*sizes) for _ in range(layers)]
        super().__init__(
            dim, max_length, mixers, inner=inner, dropout=dropout, padding=padding
        )

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Heads divide D."""
        yield from check_heads(options["dim"], options["heads"])
