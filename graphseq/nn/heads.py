"""Small networks on top of a representation."""

from jaxtyping import Float
from torch import Tensor, nn


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
