"""The encoder of TV-Rec: a convolution whose taps differ from column to column."""

from collections.abc import Mapping
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.nn.encoder import last_state
from graphseq.nn.window import FilterMixer, WindowEncoder
from graphseq.schema import Dropout, Size

Taps = Literal["column", "position"]


@final
class TimeVariantMixer(FilterMixer):
    """A causal convolution whose taps differ from column to column.

    Args:
        dim: D.
        window: W.
        bases: M, the rank of the taps.
        dropout: Of the filtered columns.
        wrap: Whether column 0 also reads column W - 1, as on a cycle.
        taps: How columns are counted; ``position``: the first C ones are read.
    """

    def __init__(
        self, dim: int, window: int, bases: int, dropout: float, wrap: bool, taps: Taps
    ) -> None:
        super().__init__(dim, dropout)
        self.taps = taps
        self.wrap = wrap and taps == "column"
        self.basis = nn.Parameter(1e-3 * torch.randn(bases, window + 1, 2))
        self.weight = nn.Parameter(1e-3 * torch.randn(window, bases))

    def filter(
        self, x: Float[Tensor, "B C D"], *, last: bool = False
    ) -> Float[Tensor, "B Q D"]:
        """The convolution alone."""
        columns = x.shape[1]
        if self.taps == "position":
            return self.matrix()[:columns, :columns] @ x
        return self.matrix()[-1 if last else -columns :, -columns:] @ x

    def matrix(self) -> Float[Tensor, "W W"]:
        """N, the weight of every column in every other one."""
        size = self.basis.square().sum(dim=(1, 2)).sqrt()
        taps = self.weight @ (self.basis[..., 0] / size[:, None])  # (W, W + 1)
        steps = torch.arange(len(taps), device=taps.device)
        matrix = taps.gather(1, (steps[:, None] - steps).clamp(min=0)).tril()
        if self.wrap:
            matrix[0, -1] += taps[0, -1]
        return matrix

    def correlation(self) -> Float[Tensor, ""]:
        """‖R Rᵀ - 1‖² of the normalised real parts of the basis, plus the imaginary."""
        parts = self.basis.unbind(dim=2)
        normal = torch.stack([nn.functional.normalize(part, dim=1) for part in parts])
        gram = normal @ normal.transpose(1, 2)
        one = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
        return (gram - one).square().sum()


@final
class TimeVariantFilter(WindowEncoder):
    r"""A causal convolution whose taps differ from column to column.

    From a basis :math:`B ∈ \mathbb{C}^{M × (W+1)}` and weights
    :math:`c ∈ \mathbb{R}^{W × M}`, the column t of a window has the taps

    .. math:: h_{tk} = \sum_m c_{tm} \frac{\mathrm{Re}\, B_{mk}}{‖B_m‖}, \quad
              y_t = \sum_{k=0}^{t} h_{tk}\, x_{t-k}, \quad
              O = \mathrm{LN}(\mathrm{Drop}(Y) + X)

    and a feed-forward network follows. Padding is zero before each block, and there are
    no positions: the taps depend on the column. The authors write the convolution as a
    spectral filter of a directed cycle, on which W appended zeros make the window a
    line, but for one tap: column 0 reads column W - 1 with :math:`h_{0W}` (``wrap``),
    which only full windows feel. The imaginary parts of B act through its norm.

    With ``taps="position"``, taps are counted from the row's first item. The state at
    a position then depends on the items up to it alone, so a model learns from every
    position in one pass, with any sampler.

    Source:
        Shin et al., TV-Rec, NeurIPS 2025, in the form of the authors' code.

    Departs from the source:
        ``taps="position"`` is not in the paper.

    Args:
        dim: D.
        max_length: W, also the longest sequence and the longest tap.
        layers: Blocks.
        bases: M.
        wrap: Whether column 0 reads column W - 1; no effect with ``taps="position"``.
        taps: Whether taps belong to the ``column`` of a right-aligned window, or to the
            ``position`` from the row's start.
        inner: Width of the feed-forward layer; ``None`` is 4 D.
        dropout: Of the input and of each sub-layer's output.
    """

    def __init__(
        self,
        dim: Size = 64,
        max_length: Size = 50,
        *,
        layers: Size = 2,
        bases: Size = 32,
        wrap: bool = True,
        taps: Taps = "column",
        inner: Size | None = None,
        dropout: Dropout = 0.5,
    ) -> None:
        sizes = dim, max_length, bases, dropout, wrap, taps
        mixers = [TimeVariantMixer(*sizes) for _ in range(layers)]
        super().__init__(
            dim,
            max_length,
            mixers,
            inner=inner,
            dropout=dropout,
            padding="zero",
            positions=False,
        )
        self.taps, self.prefix_states = taps, taps == "position"

    @classmethod
    def has_prefix_states(cls, options: Mapping[str, Any]) -> bool:
        """Where taps are counted from the row's first item."""
        return bool(options["taps"] == "position")

    def forward(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """The state at each position; zero at padding."""
        if self.taps == "column":
            return super().forward(x, mask)
        self.check_length(x)
        states = dropout(self.norm(x), self.dropout, self.training)
        states = states * mask[..., None]
        for block in self.blocks:
            states = block(states, mask) * mask[..., None]
        return states

    def last(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item; zero for an empty row."""
        if self.taps == "column":
            return super().last(x, mask)
        return last_state(self(x, mask), mask)

    def correlation(self) -> Float[Tensor, ""]:
        r"""How far the bases of all blocks are from orthogonal ones, the paper's term.

        .. math:: \sum_{\text{blocks}} \sum_{R ∈ \{\mathrm{Re} B, \mathrm{Im} B\}}
            ‖\hat R \hat R^⊤ - 1‖_F^2

        with the rows of R normalised.
        """
        mixers = [m for m in self.modules() if isinstance(m, TimeVariantMixer)]
        return torch.stack([mixer.correlation() for mixer in mixers]).sum()
