"""The recurrent encoder: gated recurrent units over a sequence."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.dropout import dropout
from graphseq.nn.encoder import Encoder, last_state
from graphseq.schema import Dropout, Size


@final
class GRU(Encoder):
    r"""Gated recurrent units, projected back to the width of the items.

    With :math:`\tilde x_t = \mathrm{Drop}(x_t)`, a layer computes

    .. math:: r_t &= σ(W_r \tilde x_t + U_r g_{t-1}), \quad
              z_t = σ(W_z \tilde x_t + U_z g_{t-1}) \\
              n_t &= \tanh(W_n \tilde x_t + r_t ⊙ U_n g_{t-1}) \\
              g_t &= (1 - z_t) ⊙ n_t + z_t ⊙ g_{t-1}

    from :math:`g_0 = 0`, and the state is :math:`h_t = W g_t + b`.

    Source:
        Cho et al., 2014; in the form of RecBole's GRU4Rec: no biases in the gates,
        Xavier-uniform weights.

    Args:
        dim: D.
        hidden: Width of :math:`g`.
        layers: Stacked units.
        dropout: Of the item vectors.
        bias: Whether the gates have biases.
    """

    def __init__(
        self,
        dim: Size = 64,
        *,
        hidden: Size = 128,
        layers: Size = 1,
        dropout: Dropout = 0.3,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.dropout = dropout
        self.units = nn.GRU(dim, hidden, layers, bias=bias, batch_first=True)
        for weight in self.units.parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)
        self.out = nn.Linear(hidden, dim)

    def forward(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """The state at each position; zero at padding."""
        return self.out(self._hidden(x)) * mask[..., None]  # type: ignore[no-any-return]

    def last(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item; no other state is projected."""
        last: Tensor = self.out(last_state(self._hidden(x), mask))
        return last * mask.any(dim=1, keepdim=True)

    def _hidden(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L H"]:
        """Hidden states; padding follows the items, so it does not affect theirs."""
        x = dropout(x, self.dropout, self.training)
        if x.is_cuda and not self.training and torch.is_grad_enabled():
            # cuDNN has no gradients in evaluation mode; explanations need them
            with torch.backends.cudnn.flags(enabled=False):
                return self.units(x)[0]  # type: ignore[no-any-return]
        return self.units(x)[0]  # type: ignore[no-any-return]
