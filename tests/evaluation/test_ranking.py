import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.errors import GraphSeqError
from graphseq.evaluation import evaluate
from graphseq.evaluation.ranking import best_unseen
from graphseq.evaluation.topk import NOTHING, decode
from graphseq.models import scoring
from graphseq.models.scoring import width


def naive(scores, histories, targets, k, excluded):
    """Loops and sorting in float64: per user, the ranks of its targets and its list."""
    found = []
    for row, history, wanted in zip(scores, histories, targets, strict=True):
        order = sorted(range(len(row)), key=lambda item: (-float(row[item]), item))
        if excluded:
            order = [item for item in order if item not in history]
        ranks = {
            item: order.index(item) + 1 if item in order else math.inf
            for item in set(wanted)
        }
        found.append((ranks, order[:k]))
    return found


def naive_metrics(found, k):
    rows = []
    for ranks, shown in found:
        hits = sum(rank <= k for rank in ranks.values())
        gain = sum(1 / math.log2(rank + 1) for rank in ranks.values() if rank <= k)
        best = sum(1 / math.log2(i + 1) for i in range(1, min(k, len(ranks)) + 1))
        first = min(ranks.values())
        rows.append(
            {
                f"HR@{k}": float(hits > 0),
                f"Recall@{k}": hits / len(ranks),
                f"NDCG@{k}": gain / best,
                "MRR": 0.0 if first == math.inf else 1 / first,
                f"MRR@{k}": 1 / first if first <= k else 0.0,
                "shown": shown,
            }
        )
    return rows


@st.composite
def problems(draw):
    users = draw(st.integers(1, 7))
    items = draw(st.integers(2, 140))
    values = draw(st.sampled_from([2, 4, 1000]))  # two values: nearly all are ties
    seed = draw(st.integers(0, 2**16))
    interests = draw(st.sampled_from([None, 1, 3]))
    generator = torch.Generator().manual_seed(seed)
    shape = (users, items) if interests is None else (users, interests, items)
    scores = torch.randint(-values, values, shape, generator=generator).float() / 2
    lists = st.lists(st.integers(0, items - 1), min_size=1, max_size=9)
    histories = draw(st.lists(lists, min_size=users, max_size=users))
    targets = draw(st.lists(lists, min_size=users, max_size=users))
    train = [(u, h) for u, history in enumerate(histories) for h in history]
    return scores, histories, targets, train


@given(problem=problems(), k=st.sampled_from([1, 3, 10, 200]), size=st.integers(1, 8))
def test_both_protocols_are_the_naive_loops(written, problem, k, size) -> None:
    scores, histories, targets, train = problem
    model, graph = written(scores, histories, targets, train)
    report = evaluate(model, graph, ks=(k,), batch_size=size)
    best = scores if scores.dim() == 2 else scores.amax(dim=1)
    counts = torch.tensor(train)[:, 1].bincount(minlength=best.shape[1]).tolist()
    for protocol in ("kept", "excluded"):
        found = naive(best.double(), histories, targets, k, protocol == "excluded")
        rows = naive_metrics(found, k)
        users = report.per_user.filter(report.per_user["protocol"] == protocol)
        assert users["user_index"].to_list() == list(range(len(targets)))
        for name in (f"HR@{k}", f"Recall@{k}", f"NDCG@{k}", "MRR", f"MRR@{k}"):
            expected = [row[name] for row in rows]
            assert users[name].to_list() == pytest.approx(expected), (protocol, name)
            mean = sum(expected) / len(expected)
            assert report[protocol][name] == pytest.approx(mean)
        firsts = [min(ranks.values()) for ranks, _ in found]
        assert users["best_rank"].to_list() == [
            None if first == math.inf else first for first in firsts
        ]
        shown = {item for row in rows for item in row["shown"]}
        fraction = len(shown) / best.shape[1]
        assert report[protocol][f"coverage@{k}"] == pytest.approx(fraction)
        popular = [
            sum(counts[i] for i in row["shown"]) / max(1, len(row["shown"]))
            for row in rows
        ]
        assert users[f"popularity@{k}"].to_list() == pytest.approx(popular)


def test_a_history_item_above_the_target_counts_only_when_kept(written) -> None:
    # Oracle U-12; the zero-masking of some published code would give rank 2.
    model, graph = written([[-1, -2, -3, -4, -0.5]], [[4]], [[1]])
    report = evaluate(model, graph)
    assert report.per_user["best_rank"].to_list() == [3, 2]  # from 1: kept, excluded


def test_a_target_in_its_own_history_is_a_miss_when_excluded(written) -> None:
    model, graph = written([[3, 2, 1]], [[0, 1]], [[0]])
    report = evaluate(model, graph, ks=(1,))
    assert report["kept"]["HR@1"] == 1
    assert report["excluded"]["HR@1"] == report["excluded"]["MRR"] == 0
    assert report.facts["known_targets"] == 1


def test_equal_scores_rank_by_id(written) -> None:
    model, graph = written([[1] * 200] * 3, [[5]] * 3, [[0], [7], [199]])
    kept, excluded = [1, 8, 200], [1, 7, 199]
    assert evaluate(model, graph).per_user["best_rank"].to_list() == kept + excluded


def test_items_of_score_minus_infinity_are_not_listed() -> None:
    """They would tie with the history, which is excluded."""
    scores = torch.full((1, width(70)), -torch.inf)
    scores[0, [3, 9]] = torch.tensor([1.0, 2.0])
    found = best_unseen(scores, 70, torch.tensor([[0, 3]]), 4)
    assert decode(found[:, :1])[0].tolist() == [[9]]
    assert (found[:, 1:] == NOTHING).all()


@pytest.mark.parametrize("num_items", [3, 63, 64, 65, 127, 128, 129])
def test_padding_is_never_ranked_or_recommended(written, num_items) -> None:
    # All real scores are far below the 0 that an untouched padding column would have.
    scores = -100 - torch.arange(num_items).float()
    model, graph = written(scores[None], [[0]], [[num_items - 1]])
    report = evaluate(model, graph, ks=(num_items + 5,))
    assert report.per_user["best_rank"].to_list() == [num_items, num_items - 1]
    assert report["kept"][f"coverage@{num_items + 5}"] == 1
    fraction = (num_items - 1) / num_items
    assert report["excluded"][f"coverage@{num_items + 5}"] == fraction


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_block_size_changes_no_result(written, rows, monkeypatch) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 6, (40, 300), generator=generator).float()
    histories = [[i % 300, (7 * i) % 300] * (1 + i % 5) for i in range(40)]
    targets = [[(11 * i + j) % 300 for j in range(1 + i % 4)] for i in range(40)]
    model, graph = written(scores, histories, targets)
    whole = evaluate(model, graph)
    monkeypatch.setattr(scoring, "FEWEST_ROWS", 1)
    monkeypatch.setattr(scoring, "CPU_BLOCK", 320 * rows)
    again = evaluate(model, graph, batch_size=rows)
    assert again.per_user.equals(whole.per_user)
    assert again.means == whole.means


def test_history_beyond_max_length_is_excluded_but_not_read(written) -> None:
    model, graph = written([[9, 8, 7, 6]], [[0, 1, 2]], [[3]])
    model.max_length = 2
    assert evaluate(model, graph).per_user["best_rank"].to_list() == [4, 1]
    assert model.longest == 2


@pytest.mark.parametrize("item", [0, 1, 2])  # a history item, the target, another
def test_nan_is_refused_with_user_and_item(written, item) -> None:
    scores = torch.ones(3, 3)
    model, graph = written(scores, [[0]] * 3, [[1]] * 3)
    model.represent = lambda batch, graph: scores[batch.user]
    vectors = torch.eye(3)
    vectors[item, item] = torch.nan
    model.item_vectors = lambda graph: vectors
    with pytest.raises(GraphSeqError, match=r"item \d \(dense id\) NaN for user \d"):
        evaluate(model, graph)


def test_mode_of_every_part_is_restored(written) -> None:
    model, graph = written([[1, 2]], [[0]], [[1]])
    model.train()
    model.part.eval()
    evaluate(model, graph)
    assert model.seen_training == {False}
    assert model.training and not model.part.training
