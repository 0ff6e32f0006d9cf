"""One vector, or K, from a sequence of them."""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.nn.encoder import last_state
from graphseq.schema import check_ranges

Pooling = Literal["last", "mean", "flatten"]


def pool(
    states: Float[Tensor, "B L D"],
    mask: Bool[Tensor, "B L"],
    how: Pooling,
    *,
    places: int | None = None,
) -> Float[Tensor, "B n"]:
    """A sequence as one vector, to be compared with others.

    Args:
        states: State of every place.
        mask: True at real items, which stand to the left.
        how: The ``last`` state; the ``mean`` of the states of real places; or all of
            them side by side (``flatten``), the newest with the newest, zeros where a
            sequence has none.
        places: Places that ``flatten`` makes room for; ``None``: L.

    Returns:
        Shape (B, D), or (B, places D).

    Raises:
        ValueError: ``how`` is none of these.
    """
    if how not in get_args(Pooling):
        raise ValueError(f"pool knows {get_args(Pooling)}; got how={how!r}")
    if how == "last":
        return last_state(states, mask)
    lengths = mask.sum(dim=1, keepdim=True)
    if how == "mean":
        return (states * mask[..., None]).sum(dim=1) / lengths.clamp(min=1)
    places = places or states.shape[1]
    back = torch.arange(places, device=states.device).flip(0)  # steps before the newest
    place = lengths - 1 - back
    rows = torch.arange(len(states), device=states.device)[:, None]
    found = states[rows, place.clamp(min=0)]
    return (found * (place >= 0)[..., None]).flatten(1)


class AdditivePooling(nn.Module):
    r"""Self-attentive pooling: :math:`A = \mathrm{softmax}(W_2 \tanh(W_1 K^⊤))`.

    Source:
        Lin et al., 2017; Wang et al., MCLSR, CIKM 2022, Eqs. (2)-(3) with K = 1;
        Cen et al., ComiRec-SA, KDD 2020, with K interests and a bias.

    Args:
        dim: D.
        hidden: Width of the inner layer; ``None`` is 4 D.
        interests: K, the number of vectors drawn from a sequence.
        bias: Whether the inner map has one (ComiRec has, MCLSR has none). The outer
            one needs none: it would add the same to every place of the softmax.

    Raises:
        OptionError: An option is out of its range.
    """

    def __init__(
        self,
        dim: int,
        *,
        hidden: int | None = None,
        interests: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        check_ranges(sizes={"dim": dim, "hidden": hidden, "interests": interests})
        self.inner = nn.Linear(dim, hidden or 4 * dim, bias=bias)
        self.outer = nn.Linear(hidden or 4 * dim, interests, bias=False)

    def forward(
        self,
        keys: Float[Tensor, "B L D"],
        values: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B K D"]:
        """Pool the whole sequence; ``keys`` decide the weights (values may differ)."""
        logits = self.logits(keys).transpose(1, 2)
        weights = masked_softmax(logits, mask[:, None, :])
        return weights @ values

    def prefixes(
        self,
        keys: Float[Tensor, "B L D"],
        values: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B L D"]:
        """Pool every prefix at once (K = 1): row t reads the places 0 … t."""
        return pool_prefixes(self.logits(keys)[..., 0], values, mask)

    def logits(self, keys: Float[Tensor, "B L D"]) -> Float[Tensor, "B L K"]:
        """Unnormalised weights of every place."""
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
        query: Float[Tensor, "B D"],
        values: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B L D"]:
        """Pool every prefix at once: row t reads the places 0 … t."""
        return pool_prefixes(self.logits(query, values), values, mask)

    def logits(
        self, query: Float[Tensor, "B D"], values: Float[Tensor, "B L D"]
    ) -> Float[Tensor, "B L"]:
        """Unnormalised weights of every place."""
        return torch.einsum("bd,bld->bl", torch.tanh(self.query(query)), values)


def masked_softmax(
    logits: Float[Tensor, "*B L"], mask: Bool[Tensor, "*#B L"]
) -> Float[Tensor, "*B L"]:
    """Softmax over the last axis where ``mask`` is True; zeros if that is nowhere."""
    weights = logits.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


def pool_prefixes(
    logits: Float[Tensor, "B L"],
    values: Float[Tensor, "B L D"],
    mask: Bool[Tensor, "B L"],
) -> Float[Tensor, "B L D"]:
    """Softmax-weighted mean of every prefix of a sequence; zero at padded places."""
    length = logits.shape[1]
    past = torch.ones(length, length, dtype=torch.bool, device=logits.device).tril()
    seen = past & mask[:, None, :] & mask[:, :, None]
    spread = logits[:, None, :].expand(-1, length, -1)
    return masked_softmax(spread, seen) @ values
