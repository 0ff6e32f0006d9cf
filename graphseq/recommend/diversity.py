"""Diversified lists: a greedy choice between score and variety of categories."""

from collections.abc import Hashable, Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from graphseq.data import Vocabulary
from graphseq.errors import ConfigError, DataError
from graphseq.evaluation.topk import NOTHING, decode, keys

Categories = Mapping[str | int, Hashable] | Int[Tensor, "V"]


def diversify(
    pool: Int[Tensor, "B C"], category: Int[Tensor, "V"], k: int, weight: float
) -> Int[Tensor, "B k"]:
    r"""Choose k of C candidates greedily, for score and for variety.

    In each step the candidate i with the largest :math:`f(i) + λ \sum_{j ∈ S}
    [c_i ≠ c_j]` joins the list S; among equals, the one with the larger score f. This
    approximates the maximum of :math:`Q(S) = \sum_{i ∈ S} f(i) + λ \sum_{i, j ∈ S}
    [c_i ≠ c_j]`.

    Source:
        Cen et al., ComiRec, KDD 2020, the aggregation module with its greedy inference.

    Departs from the source:
        There, the candidates are the k best items of each of K interests.

    Args:
        pool: Keys (see :mod:`graphseq.evaluation.topk`) of the candidates, best first,
            padded with ``NOTHING``.
        category: Category of every item.
        k: Length of the lists.
        weight: λ, the value of a pair of different categories, in units of scores.

    Returns:
        Keys in the order chosen; their scores are those of the pool.
    """
    ids, scores = decode(pool)
    taken = pool == NOTHING
    own = category[ids.masked_fill(taken, 0)]
    column = torch.arange(pool.shape[1], device=pool.device)
    same = torch.zeros_like(scores)  # chosen items of the candidate's category
    chosen = []
    for _ in range(min(k, pool.shape[1])):
        # A penalty for equal categories orders as a bonus for different ones does.
        value = keys(scores - weight * same, column).masked_fill(taken, NOTHING)
        best = value.argmax(dim=1, keepdim=True)
        exhausted = taken.gather(1, best)
        chosen.append(pool.gather(1, best).masked_fill(exhausted, NOTHING))
        taken = taken.scatter(1, best, True)
        same = same + (own == own.gather(1, best))
    return torch.cat(chosen, dim=1) if chosen else pool[:, :0]


def encode_categories(categories: Categories, items: Vocabulary) -> Int[Tensor, "V"]:
    """An integer category for every item of a vocabulary.

    Args:
        categories: Category by raw item id, or an integer for each dense id. An item
            that is not in the mapping gets a category of its own.
        items: The vocabulary.

    Raises:
        ConfigError: The number of integers is not the number of items, or a category
            is a list.
        DataError: The mapping has none of the items.
    """
    if isinstance(categories, Tensor):
        if len(categories) != len(items):
            raise ConfigError(
                f"categories has {len(categories)} numbers for {len(items)} items; "
                "pass one for each, in the order of the vocabulary, or a mapping"
            )
        return categories.long().cpu()
    dense = torch.tensor(items.encode([*categories], missing=-1))
    known = dense >= 0
    if not known.any():
        raise DataError(
            f"categories has none of the items: it has {[*categories][:3]} …, and the "
            f"items are {items!r}. Pass categories by raw item id"
        )
    unfit = [name for name in categories.values() if not isinstance(name, Hashable)]
    if unfit:
        raise ConfigError(
            f"categories has one text or number for each item; found {unfit[0]!r}"
        )
    number = {name: n for n, name in enumerate(dict.fromkeys(categories.values()))}
    values = torch.tensor([number[name] for name in categories.values()])
    own = len(number) + torch.arange(len(items))
    own[dense[known]] = values[known]
    return own


def pool_size(
    k: int, diversity: float, candidates: int | None, has_categories: bool
) -> int:
    """How many of a user's best items are candidates for a list of k.

    Raises:
        ConfigError: They are fewer than k, or there are no categories to diversify by.
    """
    pool = 10 * k if candidates is None else candidates
    if pool < k:
        raise ConfigError(
            f"candidates are at least k={k}, the length of the lists; found {pool}"
        )
    if diversity and not has_categories:
        raise ConfigError(
            f"diversity={diversity} needs the items' categories: "
            "Recommender(model, graph, categories={raw item id: category, …})"
        )
    return pool if diversity else k
