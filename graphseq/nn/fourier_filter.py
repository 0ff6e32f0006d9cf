"""The encoder of FMLP-Rec: learned filters in frequency, one for each dimension."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from graphseq.nn.frequencies import bin_weights, waves
from graphseq.nn.window import FilterMixer, Padding, WindowEncoder
from graphseq.schema import Dropout, Size


@final
class FourierMixer(FilterMixer):
    """A circular convolution of the window, with a kernel for each dimension.

    Args:
        dim: D.
        window: W.
        dropout: Of the filtered columns.
    """

    basis: Tensor

    def __init__(self, dim: int, window: int, dropout: float) -> None:
        super().__init__(dim, dropout)
        self.window = window
        self.weight = nn.Parameter(torch.empty(window // 2 + 1, dim, 2))
        nn.init.normal_(self.weight, std=0.02)
        basis = waves(window) * bin_weights(window)[:, None] / window
        self.register_buffer("basis", basis, persistent=False)

    def filter(
        self, x: Float[Tensor, "B C D"], *, last: bool = False
    ) -> Float[Tensor, "B Q D"]:
        """The convolution alone."""
        columns = torch.arange(self.window - x.shape[1], self.window, device=x.device)
        rows = columns[-1:] if last else columns
        lag = (rows[:, None] - columns) % self.window
        matrices = F.embedding(lag, self.kernel())  # (Q, C, D)
        return torch.einsum("qcd,bcd->bqd", matrices, x)

    def kernel(self) -> Float[Tensor, "W D"]:
        """The weight of the column τ steps before, for τ = 0 … W - 1."""
        cosine, sine = self.basis.to(self.weight).transpose(1, 2)
        return cosine @ self.weight[..., 0] - sine @ self.weight[..., 1]  # type: ignore[no-any-return]


@final
class FourierFilter(WindowEncoder):
    r"""Learned filters in frequency instead of attention.

    With complex weights :math:`Ω ∈ \mathbb{C}^{F × D}` of the F = W // 2 + 1 bins of a
    window of W columns, a block computes

    .. math:: Y &= \mathcal{F}^{-1}(Ω ⊙ \mathcal{F}(X)) \\
              O &= \mathrm{LN}(\mathrm{Drop}(Y) + X) \\
              X' &= \mathrm{LN}(\mathrm{Drop}(W_2\, \mathrm{gelu}(W_1 O)) + O)

    on the input of :class:`~graphseq.nn.window.WindowEncoder`. The filter is a circular
    convolution of each dimension d with the kernel

    .. math:: g_d[τ] = \frac{1}{W} \sum_{k<F} w_k
        \Bigl(\mathrm{Re}\,Ω_{kd} \cos\tfrac{2πkτ}{W}
        - \mathrm{Im}\,Ω_{kd} \sin\tfrac{2πkτ}{W}\Bigr)

    with :math:`w_k` of 1 for the bins 0 and W / 2 and of 2 for the others, and is
    computed as such: the column of the newest item also reads the oldest columns.

    Source:
        Zhou et al., "Filter-enhanced MLP is All You Need for Sequential
        Recommendation", WWW 2022.

    Departs from the source:
        With ``padding="token"`` the vector of padding is trained through the input; the
        authors' is trained only as a class of the softmax.

    Args:
        dim: D.
        max_length: W, also the longest sequence.
        layers: Blocks.
        inner: Width of the feed-forward layer; ``None`` is 4 D.
        dropout: Of the input and of each sub-layer's output.
        padding: What the columns without an item read: a trained vector (``token``), or
            nothing (``zero``, much less work where histories are short).
    """

    def __init__(
        self,
        dim: Size = 64,
        max_length: Size = 50,
        *,
        layers: Size = 2,
        inner: Size | None = None,
        dropout: Dropout = 0.5,
        padding: Padding = "token",
    ) -> None:
        mixers = [FourierMixer(dim, max_length, dropout) for _ in range(layers)]
        super().__init__(
            dim, max_length, mixers, inner=inner, dropout=dropout, padding=padding
        )
