"""The convolutional encoder: Caser's filters over the newest items."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.nn.encoder import Encoder
from graphseq.schema import Dropout, Size


@final
class Convolution(Encoder):
    r"""Filters over the newest W items, as an image of W rows and D columns.

    With the image :math:`Z ∈ \mathbb{R}^{W × D}` of the items up to a position, filled
    with zeros above where there are fewer,

    .. math:: v_f &= {\textstyle\sum_w} F_{fw} Z_w + a_f, \quad f = 1 … n_v \\
              o_f^k &= \max_i \mathrm{relu}(⟨G_f^k, Z_{i:i+k}⟩ + b_f^k), \quad
                  f = 1 … n_h,\ k = 1 … W \\
              h &= \mathrm{relu}(W_1 \mathrm{Drop}([v ‖ o]) + b_1)

    The images of all positions are processed at once: the filters slide along the
    sequence, and the maximum inside an image is a running maximum over W - k + 1
    outputs of a horizontal filter.

    Source:
        Tang & Wang, Caser, WSDM 2018, Eqs. (3)-(10), without the user's vector.

    Departs from the source:
        There is a state for each position, not one per window; zeros fill the old end
        of an image, where RecBole's follow the newest item. The last layer is
        initialised as in RecBole (Xavier), where the authors use torch's default.

    Args:
        dim: D.
        window: W, the items in an image.
        vertical: Filters of W × 1, :math:`n_v`.
        horizontal: Filters of each height k × D, :math:`n_h`.
        dropout: Of the filters' outputs.
    """

    def __init__(
        self,
        dim: Size = 64,
        *,
        window: Size = 5,
        vertical: Size = 4,
        horizontal: Size = 16,
        dropout: Dropout = 0.5,
    ) -> None:
        super().__init__()
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
        """The state at each position, from the W items that end there."""
        x = F.pad(x, (0, 0, self.window - 1, 0))
        return self._convolve(x) * mask[..., None]

    def last(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item, from one image per row."""
        back = torch.arange(self.window, device=x.device).flip(0)
        position = mask.sum(dim=1, keepdim=True) - 1 - back
        rows = torch.arange(x.shape[0], device=x.device)[:, None]
        image = x[rows, position.clamp(min=0)] * (position >= 0)[..., None]
        return self._convolve(image)[:, 0] * mask.any(dim=1, keepdim=True)

    def _convolve(self, x: Float[Tensor, "B M D"]) -> Float[Tensor, "B L D"]:
        """The states of the L = M - W + 1 images in a sequence of M vectors."""
        channels = x.transpose(1, 2)  # (B, D, M)
        rows = channels.reshape(-1, 1, x.shape[1])  # each dimension separately
        outputs = [
            self.vertical(rows).view(x.shape[0], -1, x.shape[1] - self.window + 1)
        ]
        for height, filters in enumerate(self.horizontal, start=1):
            steps = self.window - height + 1  # positions of the filter in an image
            outputs.append(F.max_pool1d(F.relu(filters(channels)), steps, stride=1))
        both = torch.cat(outputs, dim=1).transpose(1, 2)
        both = dropout(both, self.dropout, self.training)
        return F.relu(self.out(both))
