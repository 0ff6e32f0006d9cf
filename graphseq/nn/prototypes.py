"""K encodings of a sequence, one for each prototype of an intention."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.encoder import last_state
from graphseq.nn.pooling import masked_softmax
from graphseq.schema import Configurable, Size


class Prototypes(Configurable, nn.Module):
    r"""Disentangles a sequence's states by K prototypes of intentions.

    .. math:: p_{k|i} &= \mathrm{softmax}_k(
            \mathrm{LN}_1(h_i) \cdot \mathrm{LN}_2(c_k) / \sqrt{D}) \\
        p_i &= \mathrm{softmax}_i((\tilde k_i + \mathrm{relu}(W \tilde k_i))
            \cdot \mathrm{LN}_4(b' + α_n + h_n) / \sqrt{D}), \quad
            \tilde k_i = \mathrm{LN}_3(h_i + α_i) \\
        φ_k &= \mathrm{LN}_5(β_k + \sum_i p_i\, p_{k|i}\, h_i)

    Source:
        Ma et al., "Disentangled Self-Supervision in Sequential Recommenders", KDD
        2020, Eqs. (7)-(10).

    Departs from the source:
        As in the public reimplementation, the past and the future of a sequence have
        different biases β. Positions α are counted from the newest item.

    Args:
        dim: D.
        max_length: Longest sequence, the rows of α.
        prototypes: K.
    """

    def __init__(self, dim: Size, max_length: Size, *, prototypes: Size = 4) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.empty(prototypes, dim))
        self.position = nn.Parameter(torch.empty(max_length, dim))
        self.offset = nn.Parameter(torch.zeros(dim))
        self.bias = nn.Parameter(torch.empty(2, prototypes, dim))
        self.key = nn.Linear(dim, dim)
        for weight in (self.centres, self.position, self.bias, self.key.weight):
            nn.init.normal_(weight, std=0.02)
        nn.init.zeros_(self.key.bias)
        self.norm_state, self.norm_centre = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.norm_key, self.norm_query = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.norm_out = nn.LayerNorm(dim)

    def forward(
        self,
        states: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
        *,
        future: bool = False,
    ) -> Float[Tensor, "B K D"]:
        """Encode the past of a sequence, or with ``future`` what follows a cut."""
        by_prototype = self._by_prototype(states)
        by_position = masked_softmax(self._relevance(states, mask), mask)
        mean = torch.einsum("bl,blk,bld->bkd", by_position, by_prototype, states)
        return self.norm_out(self.bias[int(future)] + mean)  # type: ignore[no-any-return]

    def _by_prototype(self, states: Tensor) -> Tensor:
        """Probability of each prototype at each position, (B, L, K)."""
        centres = self.norm_centre(self.centres)
        logits = self.norm_state(states) @ centres.T / states.shape[2] ** 0.5
        return logits.softmax(dim=2)  # type: ignore[no-any-return]

    def _relevance(self, states: Tensor, mask: Tensor) -> Tensor:
        """Unnormalised weight of each position, (B, L)."""
        steps = torch.arange(states.shape[1], device=states.device)
        newest = len(self.position) - 1
        back = mask.sum(dim=1, keepdim=True) - 1 - steps
        position = self.position[(newest - back).clamp(max=newest)]
        key = self.norm_key(states + position)
        key = key + F.relu(self.key(key))
        last = last_state(states, mask)
        query = self.norm_query(self.offset + self.position[newest] + last)
        logits: Tensor = torch.einsum("bld,bd->bl", key, query)
        return logits / states.shape[2] ** 0.5  # type: ignore[no-any-return]
