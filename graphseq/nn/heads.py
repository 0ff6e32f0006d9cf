"""Small networks applied to representations."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout as drop_elements
from graphseq.schema import Configurable, Count, Dropout, InvalidOption, Size


class ProjectionHead(nn.Module):
    r"""Two layers before a contrast: :math:`W_2\, \mathrm{elu}(W_1 x + b_1) + b_2`.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eqs. (7) and (10); the slides leave the
        activation open, its reimplementations use ELU.

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, dim)
        self.outer = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Project each row."""
        return self.outer(nn.functional.elu(self.inner(x)))  # type: ignore[no-any-return]


class Augmenter(Configurable, nn.Module):
    r"""A learnable view of a representation: D, D / 2, D / 4 and back to D.

    Source:
        Qin et al., MCLRec, SIGIR 2023: the augmenters, which are trained alternately
        with the encoder.

    Departs from the source:
        As in the authors' code, the view has length 1; ``normalize=False`` is as
        printed.

    Args:
        dim: D, at least 4.
        normalize: Whether the view is divided by its length.
    """

    def __init__(self, dim: int, *, normalize: bool = True) -> None:
        super().__init__()
        self.down = nn.Linear(dim, dim // 2)
        self.middle = nn.Linear(dim // 2, dim // 4)
        self.up = nn.Linear(dim // 4, dim)
        self.normalize = normalize

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """A width below 4, for which D / 4 would be 0."""
        if (dim := options["dim"]) < 4:
            message = f"expected 4 or more, as D / 4 is a width, found {dim}"
            yield InvalidOption("dim", message)

    def forward(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """A view of each row."""
        view = self.up(F.gelu(self.middle(F.gelu(self.down(x)))))
        return F.normalize(view, dim=1) if self.normalize else view


class ResidualLayers(Configurable, nn.Module):
    r"""N residual layers, applied to each position separately.

    .. math:: g(x) = \mathrm{LN}(\mathrm{Drop}(\mathrm{gelu}(W x + b)) + x) .

    In training mode, each call skips M random layers.

    Source:
        Liu et al., SRMA, 2022, section 3.2, as in its code.

    Args:
        dim: D.
        layers: N; 0 returns x unchanged.
        skipped: M.
        dropout: Of the neurons within a layer.
    """

    def __init__(
        self,
        dim: Size,
        *,
        layers: Count = 2,
        skipped: Count = 1,
        dropout: Dropout = 0.5,
    ) -> None:
        super().__init__()
        linears = [nn.Linear(dim, dim) for _ in range(layers)]
        self.linears = nn.ModuleList(linears)
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-12) for _ in range(layers))
        for linear in linears:
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        self.skipped, self.dropout = skipped, dropout

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """More layers to skip than there are."""
        layers, skipped = options["layers"], options["skipped"]
        if skipped > layers:
            message = f"expected at most layers={layers}, found {skipped}"
            yield InvalidOption("skipped", message)

    def forward(
        self, x: Float[Tensor, "*n D"], *, masking: bool = True
    ) -> Float[Tensor, "*n D"]:
        """Apply the layers that are not skipped, in order.

        Args:
            x: States.
            masking: Whether neurons are dropped in training mode.
        """
        for i in self._active():
            inner = F.gelu(self.linears[i](x))
            inner = drop_elements(inner, self.dropout, self.training and masking)
            x = self.norms[i](inner + x)
        return x

    def _active(self) -> list[int]:
        """The layers of one call: all, or all but M random ones in training mode."""
        number = len(self.linears)
        if not self.training:
            return list(range(number))
        return sorted(torch.randperm(number)[: number - self.skipped].tolist())
