"""The convolutional encoder: Caser's filters over the newest items."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.nn.encoder import Encoder
from graphseq.schema import check_ranges


@final
class Convolution(Encoder):
    r"""Filters over the newest W items, seen as an image of W rows and D columns.

    With the image :math:`Z ∈ \mathbb{R}^{W × D}` of the items up to a place, zeros
    above them where there are fewer,

    .. math:: v_f &= {\textstyle\sum_w} F_{fw} Z_w + a_f, \quad f = 1 … n_v \\
              o_f^k &= \max_i \mathrm{relu}(⟨G_f^k, Z_{i:i+k}⟩ + b_f^k), \quad
                  f = 1 … n_h,\ k = 1 … W \\
              h &= \mathrm{relu}(W_1 \mathrm{Drop}([v ‖ o]) + b_1)

    The images of all places are read at once: a vertical filter slides along the
    sequence; a horizontal one too, and a running maximum of W - k + 1 of its answers
    is the one inside an image.

    Source:
        Tang & Wang, Caser, WSDM 2018, Eqs. (3)-(10), without the user's vector.

    Departs from the source:
        A state at every place, not one a window; the image is filled on the old side,
        where RecBole fills it after the newest item. The last layer starts as RecBole's
        (Xavier), where the authors leave it to torch.

    Args:
        dim: D.
        window: W, the items in an image.
        vertical: Filters of W × 1, :math:`n_v`.
        horizontal: Filters of each height k × D, :math:`n_h`.
        dropout: Of the filters' answers.

    Raises:
        OptionError: An option is out of its range.
    """

    def __init__(
        self,
        dim: int = 64,
        *,
        window: int = 5,
        vertical: int = 4,
        horizontal: int = 16,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        filters = {"window": window, "vertical": vertical, "horizontal": horizontal}
        check_ranges(sizes={"dim": dim, **filters}, dropouts={"dropout": dropout})
        self.dim = dim
        self.window = window
        self.dropout = dropout
        self.vertical = nn.Conv1d(1, vertical, window)
        self.horizontal = nn.ModuleList(
            nn.Conv1d(dim, horizontal, height) for height in range(1, window + 1)
        )
        self.out = nn.Linear(vertical * dim + horizontal * window, dim)
        nn.init.xavier_normal_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """The state at every place, of the W items that end there."""
        x = F.pad(x, (0, 0, self.window - 1, 0))
        return self.read(x) * mask[..., None]

    def last(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item, for which one image a row is read."""
        back = torch.arange(self.window, device=x.device).flip(0)  # steps before it
        place = mask.sum(dim=1, keepdim=True) - 1 - back
        rows = torch.arange(len(x), device=x.device)[:, None]
        image = x[rows, place.clamp(min=0)] * (place >= 0)[..., None]
        return self.read(image)[:, 0] * mask.any(dim=1, keepdim=True)

    def read(self, x: Float[Tensor, "B M D"]) -> Float[Tensor, "B L D"]:
        """The states of the L = M - W + 1 images in a sequence of M vectors."""
        channels = x.transpose(1, 2)  # (B, D, M)
        rows = channels.reshape(-1, 1, x.shape[1])  # each dimension by itself
        answers = [self.vertical(rows).view(len(x), -1, x.shape[1] - self.window + 1)]
        for height, filters in enumerate(self.horizontal, start=1):
            inside = self.window - height + 1  # places of the filter in an image
            found = F.relu(filters(channels))
            answers.append(F.max_pool1d(found, inside, stride=1))
        both = torch.cat(answers, dim=1).transpose(1, 2)
        both = dropout(both, self.dropout, self.training)
        return F.relu(self.out(both))
