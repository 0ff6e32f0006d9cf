"""Encoders of a window: the newest W items, right-aligned, mixed across its columns."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.attention import initialise
from graphseq.nn.dropout import dropout
from graphseq.nn.encoder import Encoder

Padding = Literal["token", "zero"]


class Mixer(nn.Module, ABC):
    """The part of a block that mixes the columns of a window, with its residual."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "B C D"], real: Bool[Tensor, "B C"], *, last: bool
    ) -> Float[Tensor, "B Q D"]:
        """Mix the newest C columns of a window; the older ones are zero.

        Args:
            x: The columns W - C … W - 1.
            real: True at items, which come last.
            last: Whether only the newest column is computed (Q = 1), or all (Q = C).
        """


class FilterMixer(Mixer):
    r"""A filter over the columns: :math:`\mathrm{LN}(\mathrm{Drop}(Y) + X)`.

    A subclass implements :meth:`filter`, which computes Y.

    Args:
        dim: D.
        dropout: Of the filtered columns.
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm = nn.LayerNorm(dim, eps=1e-12)

    @abstractmethod
    def filter(
        self, x: Float[Tensor, "B C D"], *, last: bool = False
    ) -> Float[Tensor, "B Q D"]:
        """The filtered columns, or the newest of them alone."""

    def forward(
        self, x: Float[Tensor, "B C D"], real: Bool[Tensor, "B C"], *, last: bool
    ) -> Float[Tensor, "B Q D"]:
        """As :meth:`Mixer.forward`; padding is read like items."""
        y = dropout(self.filter(x, last=last), self.dropout, self.training)
        return self.norm(y + (x[:, -1:] if last else x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """One layer: a mixer, then a feed-forward network with residual and post-LN.

    Args:
        mixer: Mixes the columns.
        dim: D.
        inner: Width of the feed-forward layer.
        dropout: Of the network's output.
    """

    def __init__(self, mixer: Mixer, dim: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.mixer = mixer
        self.up = nn.Linear(dim, inner)
        self.down = nn.Linear(inner, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = dropout

    def forward(
        self,
        x: Float[Tensor, "B C D"],
        real: Bool[Tensor, "B C"],
        *,
        last: bool = False,
    ) -> Float[Tensor, "B Q D"]:
        """The states of all columns, or of the newest alone."""
        x = self.mixer(x, real, last=last)
        y = self.down(F.gelu(self.up(x)))
        return self.norm(dropout(y, self.dropout, self.training) + x)  # type: ignore[no-any-return]


class WindowEncoder(Encoder):
    r"""Blocks over a window of W columns, in which the newest item is the last one.

    A row of n items is in the columns W - n … W - 1; the others are padding. The input
    :math:`\mathrm{Drop}(\mathrm{LN}(E + P))`, with a position for each column, passes
    through the blocks. What padding reads is an option:

    * ``token``: a trained vector. It is normalised, dropped and mixed like an item, in
      all W columns of every row: the states depend on it.
    * ``zero``: padding is set to zero before each block. Then only the newest n columns
      act, and a batch is computed in the columns of its longest row.

    The window is ``max_length`` in either case, so that a state does not depend on the
    other rows of its batch.

    Args:
        dim: D.
        max_length: W.
        mixers: One for each block.
        inner: Width of the feed-forward layers; ``None`` is 4 D.
        dropout: Of the input and of each sub-layer's output.
        padding: What padding reads.
        positions: Whether columns have positions.
    """

    max_length: int
    prefix_states = False

    def __init__(
        self,
        dim: int,
        max_length: int,
        mixers: Iterable[Mixer],
        *,
        inner: int | None,
        dropout: float,
        padding: Padding,
        positions: bool = True,
    ) -> None:
        super().__init__()
        self.dim, self.max_length, self.dropout = dim, max_length, dropout
        self.pad = nn.Parameter(torch.empty(dim)) if padding == "token" else None
        self.position = None
        if positions:
            self.position = nn.Parameter(torch.empty(max_length, dim))
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.blocks = nn.ModuleList(
            Block(mixer, dim, inner or 4 * dim, dropout) for mixer in mixers
        )
        self.apply(initialise)
        for table in (self.pad, self.position):
            if table is not None:
                nn.init.normal_(table, std=0.02)

    def forward(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """The states of the whole window, which are not those of its prefixes.

        Args:
            x: Item vectors.
            mask: True at real items, which come first.

        Returns:
            The states in the order of the input; zero at padding.
        """
        columns, real = self.enter(x, mask)
        for block in self.blocks:
            columns = block(columns, real) * self.kept(real)
        steps = torch.arange(mask.shape[1], device=mask.device)
        index = columns.shape[1] - mask.sum(dim=1, keepdim=True) + steps
        return _take(columns, index.clamp(max=columns.shape[1] - 1)) * mask[..., None]

    def last(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item; the last block computes its column only.

        An empty row has the state of a window of padding with ``token``, else zero.
        """
        columns, real = self.enter(x, mask)
        *before, final = self.blocks
        for block in before:
            columns = block(columns, real) * self.kept(real)
        state: Tensor = final(columns, real, last=True)[:, 0]
        return state if self.pad is not None else state * mask.any(dim=1, keepdim=True)

    def enter(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B C D"], Bool[Tensor, "B C"]]:
        """The input of the first block, and where it is of items.

        Raises:
            ValueError: A row is longer than the window.
        """
        self.check_length(x)
        width = x.shape[1] if self.pad is None else self.max_length
        steps = torch.arange(width, device=x.device)
        index = steps - (width - mask.sum(dim=1, keepdim=True))
        real = index >= 0
        columns = _take(x, index.clamp(min=0)) * real[..., None]
        if self.pad is not None:
            columns = torch.where(real[..., None], columns, self.pad)
        if self.position is not None:
            columns = columns + self.position[self.max_length - width :]
        columns = dropout(self.norm(columns), self.dropout, self.training)
        return columns * self.kept(real), real

    def check_length(self, x: Float[Tensor, "B L D"]) -> None:
        """Refuse rows that are longer than the window.

        Raises:
            ValueError: They are.
        """
        if x.shape[1] > self.max_length:
            raise ValueError(
                f"rows of {x.shape[1]} items do not fit a {type(self).__name__} of "
                f"max_length={self.max_length}; shorten the sequences or set "
                f"max_length={x.shape[1]}"
            )

    def kept(self, real: Bool[Tensor, "B C"]) -> Tensor | float:
        """What the states of each column are multiplied by."""
        return 1.0 if self.pad is not None else real[..., None]


def _take(x: Float[Tensor, "B L D"], index: Tensor) -> Float[Tensor, "B C D"]:
    """The vectors of each row at (B, C) positions of it."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
