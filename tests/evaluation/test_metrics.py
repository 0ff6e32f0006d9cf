import math

import pytest
import torch
from torch_geometric.metrics import LinkPredHitRatio, LinkPredNDCG, LinkPredRecall

from graphseq.data.ragged import Ragged
from graphseq.evaluation import evaluate
from graphseq.evaluation.metrics import accuracy, coverage, diversity, popularity

# Specification, section 6.9: top list, targets.
CASES = {
    "A": ([10, 7, 11, 12, 8], [7, 8, 9]),
    "B": ([13, 14, 15, 16, 17], [13]),
    "C": ([30, 31, 32, 33, 34], [21, 22]),
    "E": ([1, 2, 3, 4, 5], [2, 2, 9]),
}
FIGURES = {  # case, k: recall, hit, NDCG, NDCG-ComiRec
    ("A", 5): (0.666667, 1, 0.477624, 0.624051),
    ("A", 2): (0.333333, 1, 0.386853, 0.630930),
    ("B", 2): (1, 1, 1, 1),
    ("B", 5): (1, 1, 1, 1),
    ("C", 2): (0, 0, 0, 0),
    ("C", 5): (0, 0, 0, 0),
    ("E", 5): (0.5, 1, 0.386853, 0.630930),
}
NAMES = ("Recall", "HR", "NDCG", "NDCG-ComiRec")


def of_cases(written, cases):
    scores = torch.zeros(len(cases), 40)
    for row, case in enumerate(cases):
        for place, item in enumerate(CASES[case][0]):
            scores[row, item] = 10 - place
        for item in set(CASES[case][1]) - set(CASES[case][0]):
            scores[row, item] = -1
    targets = [CASES[case][1] for case in cases]
    model, graph = written(scores, [[39]] * len(cases), targets)
    return evaluate(model, graph, ks=(2, 5), comirec=True)


@pytest.mark.parametrize(("case", "k"), FIGURES)
def test_one_user_has_the_figures_of_the_specification(written, case, k) -> None:
    found = of_cases(written, [case])["kept"]
    values = [found[f"{name}@{k}"] for name in NAMES]
    assert values == pytest.approx(FIGURES[case, k], abs=1e-6)


@pytest.mark.parametrize(
    ("k", "values"),
    [(2, (0.444444, 0.666667, 0.462284, 0.543643)),
     (5, (0.555556, 0.666667, 0.492541, 0.541350))],
)  # fmt: skip
def test_means_over_users_have_the_figures_of_the_specification(
    written, k, values
) -> None:
    found = of_cases(written, ["A", "B", "C"])["kept"]
    assert [found[f"{name}@{k}"] for name in NAMES] == pytest.approx(values, abs=1e-6)


def test_one_target_by_rank() -> None:
    # Oracle U-12, ranks from 0: (0, 4, 7, 25).
    ranks = torch.tensor([1.0, 5, 8, 26], dtype=torch.float64)
    found = accuracy(ranks, Ragged(torch.arange(4), torch.arange(5)), (5, 10, 20))
    means = {name: float(column.mean()) for name, column in found.items()}
    assert means["HR@5"] == 0.5
    assert means["NDCG@5"] == pytest.approx(0.346713202)
    for k in (10, 20):
        assert means[f"HR@{k}"] == 0.75
        assert means[f"NDCG@{k}"] == pytest.approx(0.425579421)


@pytest.mark.parametrize(
    ("rank", "k", "ndcg"),
    [(0, 5, 1.0), (1, 5, 0.630930), (4, 5, 0.386853), (5, 10, 0.356207),
     (9, 10, 0.289065), (10, 20, 0.278943), (19, 20, 0.227670), (20, 20, 0.0),
     (5, 5, 0.0)],
)  # fmt: skip
def test_ndcg_of_a_single_rank(rank, k, ndcg) -> None:
    ranks = torch.tensor([rank + 1.0], dtype=torch.float64)
    found = accuracy(ranks, Ragged(torch.zeros(1).long(), torch.arange(2)), (k,))
    assert float(found[f"NDCG@{k}"]) == pytest.approx(ndcg, abs=1e-6)
    assert float(found[f"HR@{k}"]) == float(rank < k)


def random_ranks(seed):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 9, (200,), generator=generator)
    ranks = [torch.randperm(40, generator=generator)[:n] + 1 for n in sizes]
    ptr = torch.cat([torch.zeros(1).long(), sizes.cumsum(0)])
    return torch.cat(ranks).double(), Ragged(torch.cat(ranks), ptr)


@pytest.mark.parametrize("k", [1, 3, 10, 50])
def test_metrics_agree_with_pyg(k) -> None:
    # An item's id is its rank, so the list that users see is 1, 2, …
    ranks, targets = random_ranks(0)
    ours = accuracy(ranks, targets, (k,))
    shown = torch.arange(1, k + 1).expand(200, -1)
    labels = torch.stack([targets.rows, targets.items])
    for name, metric in {
        "Recall": LinkPredRecall(k),
        "HR": LinkPredHitRatio(k),
        "NDCG": LinkPredNDCG(k),
    }.items():
        metric.update(shown, labels)
        mean = float(ours[f"{name}@{k}"].mean())
        assert mean == pytest.approx(float(metric.compute()), abs=1e-6), name


@pytest.mark.parametrize("k", [1, 2, 5, 10, 20])
def test_bounds_of_the_specification_hold(k) -> None:
    ranks, targets = random_ranks(1)
    found = accuracy(ranks, targets, (k,))
    ndcg = found[f"NDCG@{k}"]
    least = 1 / math.log2(k + 1)
    assert (ndcg >= least * found[f"Recall@{k}"] - 1e-12).all()
    assert (found["MRR"] >= found[f"MRR@{k}"]).all()


def test_hits_bound_ndcg_between_two_lengths() -> None:
    # Oracle U-13 (section 3.7): one target a user.
    generator = torch.Generator().manual_seed(2)
    ranks = torch.randint(1, 60, (3000,), generator=generator).double()
    one_each = Ragged(torch.arange(3000), torch.arange(3001))
    found = accuracy(ranks, one_each, (5, 10, 20))
    check_u13({name: float(column.mean()) for name, column in found.items()})


def check_u13(means) -> None:
    for a, b in ((5, 10), (10, 20), (5, 20)):
        hits = means[f"HR@{b}"] - means[f"HR@{a}"]
        gain = means[f"NDCG@{b}"] - means[f"NDCG@{a}"]
        assert (
            hits / math.log2(b + 1) - 1e-12 <= gain <= hits / math.log2(a + 2) + 1e-12
        )
    for k in (5, 10, 20):
        hits, ndcg = means[f"HR@{k}"], means[f"NDCG@{k}"]
        assert hits / math.log2(k + 1) - 1e-12 <= ndcg <= hits + 1e-12


def test_a_miss_is_zero_everywhere() -> None:
    missed = torch.tensor([torch.inf], dtype=torch.float64)
    found = accuracy(missed, Ragged(torch.zeros(1).long(), torch.arange(2)), (5,))
    assert all(float(v) == 0 for name, v in found.items() if name != "best_rank")


def test_coverage_and_popularity_by_hand() -> None:
    top = torch.tensor([[0, 1, 2], [0, 3, -1]])
    assert coverage(top, 5, (1, 2, 3)) == {
        "coverage@1": 1 / 5,
        "coverage@2": 3 / 5,
        "coverage@3": 4 / 5,
    }
    found = popularity(top, torch.tensor([10, 4, 1, 2, 0]), (1, 2, 3, 9))
    assert found["popularity@1"].tolist() == [10, 10]
    assert found["popularity@2"].tolist() == [7, 6]
    assert found["popularity@3"].tolist() == [5, 6]  # of two items, where two are left
    assert found["popularity@9"].tolist() == [5, 6]


def test_diversity_is_the_fraction_of_pairs_that_differ() -> None:
    category = torch.tensor([0, 0, 1, 2])
    lists = torch.tensor([[0, 1, 2], [0, 1, -1], [0, 2, 3], [3, -1, -1], [-1, -1, -1]])
    expected = [2 / 3, 0, 1, 0, 0]
    assert diversity(lists, category).tolist() == pytest.approx(expected)


def test_a_user_without_candidates_has_popularity_zero() -> None:
    top = torch.tensor([[-1, -1], [2, -1]])
    found = popularity(top, torch.tensor([5, 6, 7]), [1, 2])
    assert {name: column.tolist() for name, column in found.items()} == {
        "popularity@1": [0, 7],
        "popularity@2": [0, 7],
    }
