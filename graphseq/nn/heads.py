"""Small networks applied to representations."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.schema import InvalidOption, OptionError


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
        """Project every row."""
        return self.outer(nn.functional.elu(self.inner(x)))  # type: ignore[no-any-return]


class Augmenter(nn.Module):
    r"""A learnt view of a representation: D, D / 2, D / 4 and back to D.

    Source:
        Qin et al., MCLRec, SIGIR 2023: the augmenters, which are trained in turn with
        the encoder.

    Departs from the source:
        As in the authors' code, the view has length 1; ``normalize=False`` is as
        printed.

    Args:
        dim: D.
        normalize: Whether the view is divided by its length.

    Raises:
        OptionError: D is below 4.
    """

    def __init__(self, dim: int, *, normalize: bool = True) -> None:
        super().__init__()
        if dim < 4:
            raise OptionError(
                "Augmenter",
                [
                    InvalidOption(
                        "dim", f"expected 4 or more, as D / 4 is a width, found {dim}"
                    )
                ],
            )
        self.down = nn.Linear(dim, dim // 2)
        self.middle = nn.Linear(dim // 2, dim // 4)
        self.up = nn.Linear(dim // 4, dim)
        self.normalize = normalize

    def forward(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """A view of every row."""
        view = self.up(F.gelu(self.middle(F.gelu(self.down(x)))))
        return F.normalize(view, dim=1) if self.normalize else view


class ResidualLayers(nn.Module):
    r"""N residual layers, applied to every place for itself.

    .. math:: g(x) = \mathrm{LN}(\mathrm{Drop}(\mathrm{gelu}(W x + b)) + x) .

    In training, every call leaves out M of them, drawn anew.

    Source:
        Liu et al., SRMA, 2022, section 3.2, as its code has them.

    Args:
        dim: D.
        layers: N; 0 leaves x as it is.
        drop: M.
        rate: Of the dropout within a layer.

    Raises:
        ValueError: More layers are to be left out than there are.
    """

    def __init__(
        self, dim: int, *, layers: int = 2, drop: int = 1, rate: float = 0.5
    ) -> None:
        super().__init__()
        if not 0 <= drop <= layers:
            raise ValueError(
                f"of {layers} appended layers, {drop} cannot be left out; give "
                f"drop from 0 to {layers}"
            )
        linears = [nn.Linear(dim, dim) for _ in range(layers)]
        self.linears = nn.ModuleList(linears)
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-12) for _ in range(layers))
        for linear in linears:
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        self.drop, self.rate = drop, rate

    def forward(
        self, x: Float[Tensor, "*n D"], *, masking: bool = True
    ) -> Float[Tensor, "*n D"]:
        """Apply the layers that stay, in their order.

        Args:
            x: States.
            masking: Whether neurons are dropped within the layers, while training.
        """
        for i in self.staying():
            inner = F.gelu(self.linears[i](x))
            inner = dropout(inner, self.rate, self.training and masking)
            x = self.norms[i](inner + x)
        return x

    def staying(self) -> list[int]:
        """Which layers a call applies: all of them, but for M while training."""
        number = len(self.linears)
        if not self.training:
            return list(range(number))
        return sorted(torch.randperm(number)[: number - self.drop].tolist())
