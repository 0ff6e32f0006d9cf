"""Metrics on request, against loops over users and items and against PyG's."""

import math
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.metrics import (
    LinkPredMAP,
    LinkPredPersonalization,
    LinkPredPrecision,
)

from graphseq.constants import HAS_ATTRIBUTE
from graphseq.data.ragged import Ragged
from graphseq.errors import ConfigError, GraphError
from graphseq.evaluation import Report, evaluate
from graphseq.evaluation.extra_metrics import (
    Lists,
    capped_recall,
    comirec_ndcg,
    diversity,
    gini,
    mean_average_precision,
    named_metrics,
    novelty,
    personalization,
    precision,
)
from graphseq.evaluation.metrics import accuracy

USERS, ITEMS, K = 30, 12, 4
COUNTS = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
HAS = [(0, 0), (0, 1), (1, 1), (2, 0), (3, 2), (5, 0), (5, 1), (5, 2), (7, 3), (8, 3)]


def ranking(user: int) -> list[int]:
    generator = torch.Generator().manual_seed(user)
    return torch.randperm(ITEMS, generator=generator).tolist()


@pytest.fixture
def lists() -> Lists:
    wanted = [sorted({user % 5, user % 7, user % 11}) for user in range(USERS)]
    ranks = [ranking(u).index(item) + 1 for u, t in enumerate(wanted) for item in t]
    ptr = torch.tensor([0, *map(len, wanted)]).cumsum(0)
    targets = Ragged(torch.tensor([item for t in wanted for item in t]), ptr)
    items = torch.tensor([ranking(user)[:K] for user in range(USERS)])
    items[3, 2:] = -1  # a short list
    graph = HeteroData()
    graph[HAS_ATTRIBUTE].edge_index = torch.tensor(HAS).T
    return Lists(items, torch.tensor(ranks).double(), targets, COUNTS, graph, K)


def targets_of(lists: Lists, user: int) -> list[int]:
    start, stop = lists.targets.ptr[user : user + 2]
    return lists.targets.items[start:stop].tolist()


def test_precision_and_map_are_those_of_a_loop(lists: Lists) -> None:
    found, averages = precision(lists), mean_average_precision(lists)
    for user in range(USERS):
        targets, first = targets_of(lists, user), ranking(user)[:K]
        hits = [item in targets for item in first]
        assert found[user] == pytest.approx(sum(hits) / K)
        gains = [sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit]
        expected = sum(gains) / min(K, len(targets))
        assert averages[user] == pytest.approx(expected)


def test_capped_recall_and_comirec_ndcg_are_those_of_a_loop(lists: Lists) -> None:
    recalls, gains = capped_recall(lists), comirec_ndcg(lists)
    ndcg = accuracy(lists.ranks, lists.targets, (K,))[f"NDCG@{K}"]
    for user in range(USERS):
        targets, first = targets_of(lists, user), ranking(user)[:K]
        ranks = [i + 1 for i, item in enumerate(first) if item in targets]
        assert recalls[user] == pytest.approx(len(ranks) / min(K, len(targets)))
        best = sum(1 / math.log2(i + 2) for i in range(len(ranks)))
        gain = sum(1 / math.log2(rank + 1) for rank in ranks)
        assert gains[user] == pytest.approx(gain / best if ranks else 0.0)
        assert gains[user] >= ndcg[user] - 1e-12
    assert (gains > ndcg + 0.01).any() and (recalls > 0).any()


def test_precision_map_and_personalization_are_those_of_pyg(lists: Lists) -> None:
    top = torch.tensor([ranking(user)[:K] for user in range(USERS)])
    edges = torch.stack([lists.targets.rows, lists.targets.items])
    whole = lists._replace(items=top)
    ours = {
        LinkPredPrecision: precision(whole).mean().item(),
        LinkPredMAP: mean_average_precision(whole).mean().item(),
        LinkPredPersonalization: personalization(whole),
    }
    for kind, value in ours.items():
        metric = kind(k=K)
        metric.update(top, edges)
        assert float(metric.compute()) == pytest.approx(value, abs=1e-5)


def test_precision_is_divided_by_k_beyond_the_catalogue(written) -> None:
    scores = [[3, 2, 1, 0]] * 3
    histories, targets = [[0], [1, 2], [3]], [[1, 2], [3], [3]]
    ks = (2, 20)
    found = evaluate(*written(scores, histories, targets), ks=ks, metrics=["Precision"])
    for protocol in ("kept", "excluded"):
        for k in ks:
            values = []
            for history, wanted in zip(histories, targets, strict=True):
                out = history if protocol == "excluded" else []
                first = [item for item in range(4) if item not in out][:k]
                values.append(len({*first} & {*wanted}) / k)
            mean = sum(values) / len(values)
            assert found[protocol][f"Precision@{k}"] == pytest.approx(mean)


def test_personalization_counts_short_lists_by_their_own_length(lists: Lists) -> None:
    items = lists.items.clone()
    items[5, 1:] = items[8] = -1  # a list of one item, and an empty one
    rows = [{item for item in row if item >= 0} for row in items.tolist()]
    shared = [len(a & b) / len(a) for a, b in permutations(filter(None, rows), 2)]
    found = personalization(lists._replace(items=items))
    assert found == pytest.approx(1 - sum(shared) / len(shared))
    equal = torch.tensor([[3, 1, -1, -1]] * USERS)
    assert personalization(lists._replace(items=equal)) == 0


@pytest.mark.parametrize("k", [3, 20])
def test_lists_of_the_whole_catalogue_are_not_personal(written, k: int) -> None:
    model, graph = written([[3, 2, 1], [1, 2, 3]], [[0], [0]], [[1], [2]])
    found = evaluate(model, graph, ks=(k,), metrics=["personalization"])
    for protocol in ("kept", "excluded"):
        assert found[protocol][f"personalization@{k}"] == 0


def test_novelty_is_that_of_a_loop(lists: Lists) -> None:
    found = novelty(lists)
    total = int(COUNTS.sum())
    for user, row in enumerate(lists.items.tolist()):
        bits = [-math.log2(max(int(COUNTS[i]), 1) / total) for i in row if i >= 0]
        assert found[user] == pytest.approx(sum(bits) / len(bits))


def test_gini_is_the_mean_difference_of_a_loop(lists: Lists) -> None:
    shown = [int((lists.items == item).sum()) for item in range(ITEMS)]
    differences = [abs(a - b) for a, b in permutations(shown, 2)]
    expected = sum(differences) / (2 * ITEMS * sum(shown))
    assert gini(lists) == pytest.approx(expected)
    one = lists._replace(items=torch.zeros(USERS, 1, dtype=torch.int64))
    assert gini(one) == pytest.approx(1 - 1 / ITEMS)


def test_diversity_is_the_cosine_of_a_loop(lists: Lists) -> None:
    owned = [{a for item, a in HAS if item == i} for i in range(ITEMS)]

    def cosine(i: int, j: int) -> float:
        size = len(owned[i]) * len(owned[j])
        return len(owned[i] & owned[j]) / math.sqrt(size) if size else 0.0

    found = diversity(lists)
    for user, row in enumerate(lists.items.tolist()):
        pairs = [cosine(i, j) for i, j in combinations([i for i in row if i >= 0], 2)]
        assert found[user] == pytest.approx(1 - sum(pairs) / len(pairs))


def test_a_graph_without_attributes_has_no_diversity(lists: Lists) -> None:
    with pytest.raises(GraphError, match="Build it with the step Attributes"):
        diversity(lists._replace(graph=HeteroData()))


def newest(lists: Lists) -> Tensor:
    """A metric of a user: whether item 0 is recommended."""
    return (lists.items == 0).any(1).double()


def longest(lists: Lists) -> float:
    return float(lists.k)


def test_a_report_holds_the_metrics_requested(small, tmp_path) -> None:
    chosen = ["Precision", "Gini", newest, longest]
    report = evaluate(*small, ks=(2, 5), metrics=chosen, folder=tmp_path)
    for protocol in ("kept", "excluded"):
        means = report[protocol]
        assert means["Precision@5"] == pytest.approx(means["Recall@5"] * 2 / 5)
        assert 0 <= means["Gini@2"] < 1
        assert (means["longest@2"], means["longest@5"]) == (2.0, 5.0)
        assert 0 <= means["newest@2"] <= means["newest@5"] <= 1
    assert {"Precision@2", "newest@5"} <= set(report.per_user.columns)
    assert "Gini@2" not in report.per_user.columns
    assert Report.load(tmp_path).means == report.means
    with pytest.warns(UserWarning, match=r"had the metrics newest, longest, which"):
        again = evaluate(*small, ks=(5,), folder=tmp_path)
    assert again["kept"]["Precision@5"] == report["kept"]["Precision@5"]
    assert "Precision@2" in Report.load(tmp_path)["kept"]


def test_metrics_get_lists_of_their_own_and_return_any_number(small) -> None:
    def spoil(lists: Lists) -> np.float32:
        for column in (lists.items, lists.ranks, lists.counts, *lists.targets):
            column.fill_(0)
        return np.float32(0.5)

    def one(lists: Lists) -> Tensor:
        return torch.tensor(1.0)

    spoilt = evaluate(*small, metrics=[spoil, one, "Gini", "Precision"])
    alone = evaluate(*small, metrics=["Gini", "Precision"])
    found = spoilt["kept"]
    assert (found["spoil@10"], found["one@10"]) == (0.5, 1.0)
    for protocol, means in alone.means.items():
        assert {name: spoilt[protocol][name] for name in means} == means
    assert spoilt.per_user.select(alone.per_user.columns).equals(alone.per_user)


def test_unknown_metrics_are_refused_all_at_once(small) -> None:
    with pytest.raises(ConfigError) as error:
        evaluate(*small, metrics=["precision", 7, ["MAP"], "Recall", "NDCG@10"])
    assert "unknown metric 'precision'; did you mean 'Precision'?" in str(error.value)
    assert "unknown metric 7" in str(error.value)
    assert "unknown metric ['MAP']" in str(error.value)
    assert "Recall is in every report; leave it out" in str(error.value)
    assert "NDCG@10 is in every report; leave it out" in str(error.value)


def test_a_metric_of_another_shape_is_refused(small) -> None:
    with pytest.raises(ConfigError, match="the metric wrong must return a number"):

        def wrong(lists: Lists) -> Tensor:
            return lists.items

        evaluate(*small, metrics=[wrong])


@pytest.mark.parametrize("each", [True, False])
def test_a_metric_without_finite_values_is_refused(small, each: bool) -> None:
    def mean_of_none(lists: Lists) -> Tensor | float:
        users = torch.zeros(len(lists.items), dtype=torch.float64)
        users[1] = float("nan")
        return users if each else float(users.mean())

    found = r"mean_of_none@\d+ must return finite numbers; 1 of its \d+ values"
    with pytest.raises(ConfigError, match=found):
        evaluate(*small, metrics=[mean_of_none])


def test_names_of_other_metrics_are_refused() -> None:
    def NDCG(lists: Lists) -> float:
        return 0.0

    def mine(lists: Lists) -> float:
        return 1.0

    for requested in ([NDCG], [mine, mine], ["Gini", gini_named()]):
        with pytest.raises(ConfigError, match=r"two metrics are named .*; rename your"):
            named_metrics(requested)
    with pytest.raises(ConfigError, match=r"metrics is a list, as in \['MAP'\]"):
        named_metrics("MAP")


def gini_named() -> Any:
    def Gini(lists: Lists) -> float:
        return 0.0

    return Gini
