"""The encoder of WEARec: filters that adapt to the row, and Haar wavelets."""

from collections.abc import Iterator, Mapping
from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from graphseq.nn.attention import check_heads
from graphseq.nn.frequencies import bin_weights, waves
from graphseq.nn.window import FilterMixer, Padding, WindowEncoder
from graphseq.schema import Dropout, Fraction, InvalidOption, Size


@final
class WaveletMixer(FilterMixer):
    """A blend of an adaptive frequency filter and of a Haar wavelet.

    Args:
        dim: D.
        window: W, even.
        heads: H, groups of dimensions with a filter of their own.
        alpha: Weight of the frequency filter.
        dropout: Of the blend.
    """

    waves: Tensor
    bins: Tensor

    def __init__(
        self, dim: int, window: int, heads: int, alpha: float, dropout: float
    ) -> None:
        super().__init__(dim, dropout)
        self.window, self.heads, self.alpha = window, heads, alpha
        bins = window // 2 + 1
        self.scale = nn.Parameter(torch.ones(heads, bins))
        self.shift = nn.Parameter(torch.full((heads, bins), -0.1))
        self.inner = nn.Linear(dim, dim)
        self.outer = nn.Linear(dim, 2 * heads * bins)
        self.detail = nn.Parameter(torch.empty(heads, window // 2, dim // heads))
        nn.init.normal_(self.detail, std=0.02)
        self.register_buffer("waves", waves(window), persistent=False)
        self.register_buffer("bins", bin_weights(window), persistent=False)

    def filter(
        self, x: Float[Tensor, "B C D"], *, last: bool = False
    ) -> Float[Tensor, "B Q D"]:
        """The blend, (1 - α) wavelet + α frequency filter."""
        wavelet, filtered = self.wavelet(x, last=last), self.frequency(x, last=last)
        return (1 - self.alpha) * wavelet + self.alpha * filtered

    def frequency(
        self, x: Float[Tensor, "B C D"], *, last: bool = False
    ) -> Float[Tensor, "B Q D"]:
        """The frequency filter, which the mean of the window adapts."""
        context = x.sum(dim=1) / self.window  # over all W columns
        adapted = self.outer(F.gelu(self.inner(context)))
        scale, shift = adapted.view(x.shape[0], self.heads, -1, 2).unbind(dim=-1)
        scale = self.scale * (1 + scale) * self.bins.to(x) / self.window
        shift = (self.shift + shift) * self.bins.to(x) / self.window**0.5
        basis = self.waves.to(x)[..., -x.shape[1] :]
        out = basis[..., -1:] if last else basis
        split = x.unflatten(2, (self.heads, -1))
        bins = torch.einsum("pkc,bchd->bphkd", basis, split) * scale[:, None, ..., None]
        y = torch.einsum("pkq,bphkd->bqhd", out, bins)
        y = y + torch.einsum("kq,bhk->bqh", out[0], shift)[..., None]
        return y.flatten(2)

    def wavelet(
        self, x: Float[Tensor, "B C D"], *, last: bool = False
    ) -> Float[Tensor, "B Q D"]:
        """Sums and reweighted differences of the pairs of columns (2i, 2i + 1)."""
        columns = 1 if last else x.shape[1]
        if last:
            x = x[:, -2:]
        x = F.pad(x, (0, 0, x.shape[1] % 2, 0))  # pairs are counted from the newest
        older, newer = x.unflatten(1, (-1, 2)).unbind(dim=2)
        mean = (older + newer) / 2
        weight = self.detail.transpose(0, 1).flatten(1)[-mean.shape[1] :]
        detail = weight * (older - newer) / 2
        both = torch.stack([mean + detail, mean - detail], dim=2)
        return both.flatten(1, 2)[:, -columns:]


@final
class WaveletFilter(WindowEncoder):
    r"""Filters in frequency that adapt to the row, and Haar wavelets.

    The dimensions are split into H heads. With the mean m of the window's columns, the
    real spectrum of a head h is scaled and shifted in each bin k,

    .. math:: [a; e] &= W_2\, \mathrm{gelu}(W_1 m + b_1) + b_2 \\
              Y_h &= \mathcal{F}^{-1}\bigl(f^0_h (1 + a_h) ⊙ \mathcal{F}(X_h)
                  + r^0_h + e_h\bigr)

    and of each pair u, v of columns, the wavelet keeps the mean and reweights the
    difference:

    .. math:: p = \tfrac{u + v}{2}, \quad q = ω ⊙ \tfrac{u - v}{2}, \quad
              Z = (p + q,\ p - q)

    A block computes :math:`O = \mathrm{LN}(\mathrm{Drop}((1 - α) Z + α Y) + X)`, then a
    feed-forward network, on the input of :class:`~graphseq.nn.window.WindowEncoder`.

    Source:
        Xu et al., WEARec, AAAI 2026, in the form of the authors' code.

    Departs from the source:
        An odd window is refused: the last column would lose its wavelet. With
        ``padding="token"`` the vector of padding is trained through the input; the
        authors' is trained only as a class of the softmax.

    Args:
        dim: D.
        max_length: W, also the longest sequence; even.
        layers: Blocks.
        heads: H; they divide D.
        alpha: α, the weight of the frequency filter.
        inner: Width of the feed-forward layer; ``None`` is 4 D.
        dropout: Of the input and of each sub-layer's output.
        padding: What the columns without an item read: a trained vector (``token``), or
            nothing (``zero``, much less work where histories are short). m
            is the mean of all W columns in either case.
    """

    def __init__(
        self,
        dim: Size = 64,
        max_length: Size = 50,
        *,
        layers: Size = 2,
        heads: Size = 2,
        alpha: Fraction = 0.3,
        inner: Size | None = None,
        dropout: Dropout = 0.5,
        padding: Padding = "token",
    ) -> None:
        sizes = dim, max_length, heads, alpha, dropout
        mixers = [WaveletMixer(*sizes) for _ in range(layers)]
        super().__init__(
            dim, max_length, mixers, inner=inner, dropout=dropout, padding=padding
        )

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Heads divide D; columns form pairs."""
        yield from check_heads(options["dim"], options["heads"])
        if options["max_length"] % 2:
            found = f"expected an even window, found {options['max_length']}"
            message = f"{found}: columns form pairs, and the newest would have none"
            yield InvalidOption("max_length", message)
