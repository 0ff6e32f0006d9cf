"""Lists that mix categories: a greedy choice between score and variety."""

from collections.abc import Hashable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graphseq.data import Vocabulary
from graphseq.errors import ConfigError, DataError
from graphseq.evaluation.topk import NOTHING, decode, keys

Categories = Mapping[str | int, Hashable] | Int[Tensor, "V"]


def diversify(
    pool: Int[Tensor, "B C"], category: Int[Tensor, "V"], k: int, weight: float
) -> Int[Tensor, "B k"]:
    r"""Choose k of C candidates, one after the other, for score and for variety.

    Each time the candidate i of the largest :math:`f(i) + λ \sum_{j ∈ S}
    [c_i ≠ c_j]` joins the list S; of equals, the one of the larger score f. That is the
    greedy way to a large :math:`Q(S) = \sum_{i ∈ S} f(i) + λ \sum_{i, j ∈ S}
    [c_i ≠ c_j]`.

    Source:
        Cen et al., ComiRec, KDD 2020, the aggregation module with its greedy inference.

    Departs from the source:
        There, the candidates are the k best items of each of K interests.

    Args:
        pool: Keys (see :mod:`.topk`) of the candidates, best first; ``NOTHING`` at the
            end of a row with fewer.
        category: Category of every item.
        k: Length of the lists.
        weight: λ, what a pair of different categories is worth, in units of scores.

    Returns:
        Keys in the order chosen; their scores are those of the pool.
    """
    ids, scores = decode(pool)
    taken = pool == NOTHING
    kind = category[ids.masked_fill(taken, 0)]
    place = torch.arange(pool.shape[1], device=pool.device)
    alike = torch.zeros_like(scores)  # chosen items of the candidate's category
    chosen = []
    for _ in range(min(k, pool.shape[1])):
        # Less for those alike is as good as more for the others.
        value = keys(scores - weight * alike, place).masked_fill(taken, NOTHING)
        best = value.argmax(dim=1, keepdim=True)
        over = taken.gather(1, best)
        chosen.append(pool.gather(1, best).masked_fill(over, NOTHING))
        taken = taken.scatter(1, best, True)
        alike = alike + (kind == kind.gather(1, best))
    return torch.cat(chosen, dim=1) if chosen else pool[:, :0]


def diversity(
    items: Int[Tensor, "B k"], category: Int[Tensor, "V"]
) -> Float[Tensor, "B"]:
    """Share of the pairs in a list whose two items are of different categories.

    Source:
        Cen et al., ComiRec, KDD 2020: Diversity@N.

    Args:
        items: A list of dense ids for each user; -1 where there are no more.
        category: Category of every item.

    Returns:
        Between 0 and 1; 0 for a list of one item or none.
    """
    there = items >= 0
    kind = category[items.clamp(min=0)]
    differ = (kind[:, :, None] != kind[:, None, :]) & there[:, :, None]
    differ = differ & there[:, None, :]
    number = there.sum(dim=1)
    ordered_pairs = (number * (number - 1)).clamp(min=1)
    return differ.sum(dim=(1, 2)) / ordered_pairs


def numbered(categories: Categories, items: Vocabulary) -> Int[Tensor, "V"]:
    """A number for the category of every item of a vocabulary.

    Args:
        categories: Category by raw item id, or a number for each dense id. An item that
            is not named has a category of its own.
        items: The vocabulary.

    Raises:
        ConfigError: There are more or fewer numbers than items.
        DataError: None of the items is named.
    """
    if isinstance(categories, Tensor):
        if len(categories) != len(items):
            raise ConfigError(
                f"categories holds {len(categories)} numbers for {len(items)} items; "
                "give one for each, in the order of the vocabulary, or a mapping"
            )
        return categories.long().cpu()
    dense = torch.tensor(items.encode([*categories], missing=-1))
    known = dense >= 0
    if not known.any():
        raise DataError(
            f"categories names none of the items: it has {[*categories][:3]} …, and "
            f"known are {items!r}"
        )
    number = {name: n for n, name in enumerate(dict.fromkeys(categories.values()))}
    values = torch.tensor([number[name] for name in categories.values()])
    own = len(number) + torch.arange(len(items))
    own[dense[known]] = values[known]
    return own
