"""Pooling: a sequence of states as one vector, or as K."""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.encoder import last_state
from graphseq.schema import Configurable, Size

Pooling = Literal["last", "mean", "flatten"]


def pool(
    states: Float[Tensor, "B L D"],
    mask: Bool[Tensor, "B L"],
    pooling: Pooling,
    *,
    length: int | None = None,
) -> Float[Tensor, "B n"]:
    """A sequence of states as one vector.

    Args:
        states: State of each position.
        mask: True at real items, which come first.
        pooling: The ``last`` state; the ``mean`` over real items; or all states
            concatenated (``flatten``), aligned at the newest item, with zeros before
            the oldest.
        length: Positions of the ``flatten`` vector; ``None``: L.

    Returns:
        Shape (B, D), or (B, length D).

    Raises:
        ValueError: The pooling is unknown.
    """
    if pooling not in get_args(Pooling):
        raise ValueError(f"expected pooling in {get_args(Pooling)}; found {pooling!r}")
    if pooling == "last":
        return last_state(states, mask)
    lengths = mask.sum(dim=1, keepdim=True)
    if pooling == "mean":
        return (states * mask[..., None]).sum(dim=1) / lengths.clamp(min=1)
    back = torch.arange(length or states.shape[1], device=states.device).flip(0)
    position = lengths - 1 - back
    rows = torch.arange(states.shape[0], device=states.device)[:, None]
    found = states[rows, position.clamp(min=0)]
    return (found * (position >= 0)[..., None]).flatten(1)


class AdditivePooling(Configurable, nn.Module):
    r"""Self-attentive pooling: :math:`A = \mathrm{softmax}(W_2 \tanh(W_1 K^⊤))`.

    Source:
        Lin et al., 2017; Wang et al., MCLSR, CIKM 2022, Eqs. (2)-(3) with K = 1;
        Cen et al., ComiRec-SA, KDD 2020, with K interests and a bias.

    Args:
        dim: D.
        hidden: Width of the inner layer; ``None`` is 4 D.
        interests: K, the number of vectors per sequence.
        bias: Whether the inner layer has a bias (in ComiRec, not in MCLSR). The outer
            layer needs none: it would add a constant to the softmax.
    """

    def __init__(
        self,
        dim: Size,
        *,
        hidden: Size | None = None,
        interests: Size = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, hidden or 4 * dim, bias=bias)
        self.outer = nn.Linear(hidden or 4 * dim, interests, bias=False)

    def forward(
        self,
        keys: Float[Tensor, "B L D"],
        values: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B K D"]:
        """Pool the whole sequence; the weights depend on ``keys`` only."""
        logits = self.logits(keys).transpose(1, 2)
        weights = masked_softmax(logits, mask[:, None, :])
        return weights @ values

    def prefixes(
        self,
        keys: Float[Tensor, "B L D"],
        values: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B L D"]:
        """Pool all prefixes at once (K = 1): row t is of the positions 0 … t."""
        return pool_prefixes(self.logits(keys)[..., 0], values, mask)

    def logits(self, keys: Float[Tensor, "B L D"]) -> Float[Tensor, "B L K"]:
        """Unnormalised weight of each position."""
        return self.outer(torch.tanh(self.inner(keys)))  # type: ignore[no-any-return]


class QueryPooling(nn.Module):
    r"""Attention of a query: :math:`a_t = \tanh(W_3 q) \cdot v_t`, softmax over t.

    Source:
        Wang et al., MCLSR, CIKM 2022, Eqs. (5)-(6).

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)

    def forward(
        self,
        query: Float[Tensor, "B D"],
        values: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B D"]:
        """Pool the whole sequence."""
        weights = masked_softmax(self.logits(query, values), mask)
        return torch.einsum("bl,bld->bd", weights, values)

    def prefixes(
        self,
        query: Float[Tensor, "B D"] | Float[Tensor, "B L D"],
        values: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B L D"]:
        """Pool all prefixes at once: row t is of the positions 0 … t.

        Args:
            query: One for the row, or one for each prefix.
            values: What is pooled.
            mask: True at positions that count.
        """
        return pool_prefixes(self.logits(query, values), values, mask)

    def logits(
        self, query: Float[Tensor, "B *L D"], values: Float[Tensor, "B L D"]
    ) -> Float[Tensor, "B *L L"]:
        """Unnormalised weight of each position, for each query."""
        queries = torch.tanh(self.query(query))
        return torch.einsum("b...d,bld->b...l", queries, values)


def masked_softmax(
    logits: Float[Tensor, "*B L"], mask: Bool[Tensor, "*#B L"]
) -> Float[Tensor, "*B L"]:
    """Softmax over the last axis where ``mask`` is True; zeros elsewhere."""
    weights = logits.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


def pool_prefixes(
    logits: Float[Tensor, "B L"] | Float[Tensor, "B L L"],
    values: Float[Tensor, "B L D"],
    mask: Bool[Tensor, "B L"],
) -> Float[Tensor, "B L D"]:
    """Softmax-weighted mean of each prefix of a sequence; zero at padding.

    Args:
        logits: Of each position, the same for all prefixes or one row for each prefix.
        values: What is pooled.
        mask: True at positions that count.
    """
    length = logits.shape[1]
    past = torch.ones(length, length, dtype=torch.bool, device=logits.device).tril()
    seen = past & mask[:, None, :] & mask[:, :, None]
    spread = logits if logits.dim() == 3 else logits[:, None].expand(-1, length, -1)
    return masked_softmax(spread, seen) @ values
