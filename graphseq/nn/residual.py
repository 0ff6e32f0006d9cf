"""Layers appended to an encoder, some of which are left out while training."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout


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
