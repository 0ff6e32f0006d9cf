"""Small networks on top of a representation."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

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
