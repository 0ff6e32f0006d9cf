"""Lists that mix categories, against the greedy choice written as a loop."""

import pytest
import torch
from torch import Tensor

from graphseq.data import Vocabulary
from graphseq.errors import ConfigError, DataError
from graphseq.evaluation import diversity
from graphseq.evaluation.topk import NOTHING, decode, keys
from graphseq.recommend.diversity import diversify, encode_categories


def pool_of(scores: Tensor, ids: Tensor) -> Tensor:
    return keys(scores, ids).sort(dim=1, descending=True).values


def items_of(found: Tensor) -> list[list[int]]:
    ids, _ = decode(found)
    rows = zip(ids.tolist(), found.tolist(), strict=True)
    return [
        [i for i, key in zip(row, ks, strict=True) if key != NOTHING]
        for row, ks in rows
    ]


def greedy(
    candidates: list[tuple[int, float]], category: list[int], k: int, weight: float
) -> list[int]:
    """As the authors do it; candidates best first."""
    left, chosen, count = list(candidates), [], {}
    while left and len(chosen) < k:
        best, value = 0, left[0][1] - weight * count.get(category[left[0][0]], 0)
        for n, (item, score) in enumerate(left):
            found = score - weight * count.get(category[item], 0)
            if found > value:
                best, value = n, found
        item, _ = left.pop(best)
        chosen.append(item)
        count[category[item]] = count.get(category[item], 0) + 1
    return chosen


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0, 100.0])
@pytest.mark.parametrize("k", [1, 4, 30])
def test_lists_are_the_greedy_choice_written_as_a_loop(weight: float, k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    ids = torch.stack([torch.randperm(40, generator=generator)[:20] for _ in range(6)])
    # Eighths, so that values tie and sums are exact.
    scores = torch.randint(-16, 17, (6, 20), generator=generator) / 8
    category = torch.randint(4, (40,), generator=generator)
    pool = pool_of(scores, ids)
    pool[2, 15:], pool[4, 1:], pool[5] = NOTHING, NOTHING, NOTHING
    before = pool.clone()
    found = diversify(pool, category, k, weight)
    assert torch.equal(pool, before)
    assert found.shape == (6, min(k, 20))
    expected = []
    for items, values, key in zip(*decode(pool), pool, strict=True):
        there = int((key != NOTHING).sum())
        both = [*zip(items[:there].tolist(), values[:there].tolist(), strict=True)]
        expected.append(greedy(both, category.tolist(), k, weight))
    assert items_of(found) == expected


def test_without_weight_the_best_come_first_as_ever() -> None:
    pool = pool_of(torch.randn(3, 10), torch.arange(10).expand(3, 10))
    assert torch.equal(diversify(pool, torch.zeros(10).long(), 4, 0.0), pool[:, :4])


def test_each_choice_is_worth_most_in_score_and_differing_pairs() -> None:
    """Q(S) itself: no other candidate would have made the list of j + 1 worth more."""
    torch.manual_seed(0)
    scores, category, weight = torch.randn(12), torch.randint(3, (12,)), 0.7
    pool = pool_of(scores[None], torch.arange(12)[None])
    [chosen] = items_of(diversify(pool, category, 6, weight))

    def worth(items: list[int]) -> float:
        pairs = [(i, j) for i in items for j in items if i < j]
        differ = sum(bool(category[i] != category[j]) for i, j in pairs)
        return float(scores[items].sum()) + weight * differ

    for j in range(6):
        others = [i for i in range(12) if i not in chosen[:j]]
        best = max(worth([*chosen[:j], i]) for i in others)
        assert worth(chosen[: j + 1]) == pytest.approx(best, abs=1e-5)


def test_more_weight_gives_more_variety_and_less_score() -> None:
    torch.manual_seed(0)
    category = torch.arange(60) // 20
    pool = pool_of(torch.randn(50, 60), torch.arange(60).expand(50, 60))
    kinds, scores = [], []
    for weight in (0.0, 0.1, 10.0):
        ids, values = decode(diversify(pool, category, 6, weight))
        kinds.append(diversity(ids, category).mean().item())
        scores.append(values.sum().item())
    assert kinds[0] < kinds[1] < kinds[2] == pytest.approx(12 / 15)  # 2 of each kind
    assert scores[0] > scores[1] > scores[2]


def test_categories_are_numbered_by_the_vocabulary() -> None:
    items = Vocabulary(["milk", "bread", "eggs", "soap"])
    named = {"eggs": "food", "soap": "care", "caviar": "food", "milk": "food"}
    milk, bread, eggs, soap = encode_categories(named, items).tolist()
    assert milk == eggs
    assert len({milk, bread, soap}) == 3, "unnamed items get their own"
    assert encode_categories(torch.tensor([3, 1, 3, 0]), items).tolist() == [3, 1, 3, 0]


def test_integers_and_their_text_are_one_id() -> None:
    categories = {"7": "a", "9": "b", "8": "a"}
    found = encode_categories(categories, Vocabulary([7, 8, 9]))
    assert found.tolist() == [0, 0, 1]


def test_categories_of_other_items_are_refused() -> None:
    items = Vocabulary(["milk", "bread"])
    with pytest.raises(ConfigError, match="3 numbers for 2 items"):
        encode_categories(torch.tensor([0, 1, 2]), items)
    with pytest.raises(DataError, match="has none of the items"):
        encode_categories({"tea": "drink"}, items)
