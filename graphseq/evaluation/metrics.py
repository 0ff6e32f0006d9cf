"""Metrics: accuracy from the ranks of a user's targets, and those of the lists.

Ranks count from 1; a target that cannot be recommended has rank ``inf``. A user's
targets are a set: T below has no duplicates.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graphseq.data.ragged import Ragged


def accuracy(
    ranks: Float[Tensor, "P"],
    targets: Ragged,
    ks: Sequence[int],
) -> dict[str, Float[Tensor, "N"]]:
    r"""HR, Recall, NDCG and MRR at every k, MRR over the whole ranking, for each user.

    With r the ranks of the targets T of a user:

    .. math::
        \mathrm{HR@}k &= [\min r \le k] \\
        \mathrm{Recall@}k &= |\{r \le k\}| \,/\, |T| \\
        \mathrm{NDCG@}k &= \sum_{r \le k} \frac{1}{\log_2(r + 1)} \Big/
            \sum_{i \le \min(k, |T|)} \frac{1}{\log_2(i + 1)} \\
        \mathrm{MRR@}k &= [\min r \le k] \,/\, \min r

    Source:
        Järvelin and Kekäläinen, 2002 (NDCG with binary gains).

    Args:
        ranks: Rank of each target.
        targets: The targets of each user, each once; at least one a user.
        ks: Lengths of the recommended lists.

    Returns:
        For each metric a value for each user, (N,) float64; ``best_rank`` is the rank
        of the best target.
    """
    rows, size = targets.rows, targets.lengths
    ideal = best_gains(int(size.max()) if len(size) else 0)
    nothing = ranks.new_zeros(len(size))
    best = torch.full_like(nothing, torch.inf)
    best = best.scatter_reduce(0, rows, ranks, "amin")
    values = {"best_rank": best, "MRR": 1 / best}
    for k in ks:
        hit = (ranks <= k).double()
        found = nothing.scatter_add(0, rows, hit)
        gain = nothing.scatter_add(0, rows, hit * gains(ranks))
        values[f"HR@{k}"] = (best <= k).double()
        values[f"Recall@{k}"] = found / size
        values[f"NDCG@{k}"] = gain / ideal[size.clamp(max=k) - 1]
        values[f"MRR@{k}"] = (best <= k) / best
    return values


def popularity(
    top: Int[Tensor, "N K"], counts: Int[Tensor, "V"], ks: Sequence[int]
) -> dict[str, Float[Tensor, "N"]]:
    """Mean number of training events of the items in each user's first k."""
    listed = (top >= 0).double()
    events = counts[top.clamp(min=0)].double() * listed
    means = events.cumsum(1) / listed.cumsum(1).clamp(min=1)
    return {f"popularity@{k}": means[:, min(k, top.shape[1]) - 1] for k in ks}


def coverage(
    top: Int[Tensor, "N K"], num_items: int, ks: Sequence[int]
) -> dict[str, float]:
    """Fraction of the catalogue that is among the first k of any user."""
    fractions = {}
    for k in ks:
        shown = torch.zeros(num_items + 1, dtype=torch.bool)
        shown[top[:, :k].flatten()] = True  # -1 (no item) marks the extra entry
        fractions[f"coverage@{k}"] = int(shown[:-1].sum()) / num_items
    return fractions


def diversity(
    items: Int[Tensor, "B k"], category: Int[Tensor, "V"]
) -> Float[Tensor, "B"]:
    """Fraction of the pairs in a list whose two items are of different categories.

    Source:
        Cen et al., ComiRec, KDD 2020: Diversity@N.

    Args:
        items: A list of dense ids for each user, padded with -1.
        category: Category of every item.

    Returns:
        Between 0 and 1; 0 for a list of at most one item.
    """
    present = items >= 0
    own = category[items.clamp(min=0)]
    differ = (own[:, :, None] != own[:, None, :]) & present[:, :, None]
    differ = differ & present[:, None, :]
    number = present.sum(dim=1)
    ordered_pairs = (number * (number - 1)).clamp(min=1)
    return differ.sum(dim=(1, 2)) / ordered_pairs


def gains(ranks: Tensor) -> Float[Tensor, "P"]:
    """The gain of a target at each rank, of DCG."""
    return 1 / torch.log2(ranks.double() + 1)


def best_gains(number: int) -> Float[Tensor, "n"]:
    """The DCG of one target, two, … at the first ranks."""
    return gains(torch.arange(1, number + 1)).cumsum(0)
