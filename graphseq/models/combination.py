"""Scores of one model made comparable to those of others, for each user."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

Combine = Literal["log_softmax", "z_score", "reciprocal_rank"]
Comparable = Callable[[Float[Tensor, "n V"], Int[Tensor, "n H"]], Float[Tensor, "n V"]]
"""From scores of n users, and their items that are not candidates, padded with V."""


def log_softmax(
    scores: Float[Tensor, "n V"], excluded: Int[Tensor, "n H"]
) -> Float[Tensor, "n V"]:
    """The logarithm of each item's probability among all V items."""
    return scores.log_softmax(dim=1)


def z_score(
    scores: Float[Tensor, "n V"], excluded: Int[Tensor, "n H"]
) -> Float[Tensor, "n V"]:
    """Standard deviations from the mean of all V items; 0 where all are equal."""
    deviation, mean = torch.std_mean(scores, dim=1, correction=0, keepdim=True)
    return (scores - mean) / deviation.masked_fill(deviation == 0, 1.0)


class ReciprocalRank:
    """One over the rank among the candidates, from 1, plus a constant.

    Of equal scores, the smaller id ranks first. Excluded items rank last.

    Source:
        Cormack et al., "Reciprocal Rank Fusion outperforms Condorcet …", SIGIR 2009.

    Args:
        constant: Added to the ranks: with a larger one, the first ranks differ less.
    """

    def __init__(self, constant: int) -> None:
        self.constant = constant

    def __call__(
        self, scores: Float[Tensor, "n V"], excluded: Int[Tensor, "n H"]
    ) -> Float[Tensor, "n V"]:
        """The reciprocals; NaN where a score is."""
        size = scores.shape[1]
        padded = torch.nn.functional.pad(scores, (0, 1))
        padded.scatter_(1, excluded, -torch.inf)
        order = padded[:, :size].argsort(dim=1, descending=True, stable=True)
        ranks = torch.arange(1, size + 1, device=scores.device)
        found = 1 / (self.constant + ranks.to(scores.dtype))
        reciprocals = torch.empty_like(scores)
        reciprocals.scatter_(1, order, found.expand_as(order))
        return reciprocals.masked_fill(scores.isnan(), torch.nan)


def comparable(combine: Combine, rank_constant: int) -> Comparable:
    """The function of a name."""
    table: dict[str, Any] = {"log_softmax": log_softmax, "z_score": z_score}
    return table.get(combine) or ReciprocalRank(rank_constant)
