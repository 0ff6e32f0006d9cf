"""Biases that validation chooses: the likeliest, against loops."""

import math
from typing import Any

import pytest
import torch

import graphseq as gs
from graphseq.data import Interactions, by_user
from graphseq.errors import ConfigError, GraphError
from graphseq.evaluation import choose_repeat_bias
from graphseq.evaluation.choose_repeat_bias import (
    PENALTY,
    Collected,
    _collect,
    most_likely,
)
from graphseq.models import POP, RepeatBias, SASRec
from graphseq.sequences import Batch


def log(again: bool) -> Interactions:
    """Random items, each three times in turn, or none twice."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.stack(
        [torch.randperm(30, generator=generator)[:12] for _ in range(80)]
    )
    items = rows[:, :4].repeat_interleave(3, dim=1) if again else rows
    users = torch.arange(80).repeat_interleave(12)
    return Interactions.from_arrays(users, items.flatten(), range(960))


def model_of(graph, max_length: int = 50) -> SASRec:
    torch.manual_seed(0)
    backbone = gs.Backbone(graph["item"].num_nodes, dim=8, max_length=max_length)
    return SASRec(graph["user"].num_nodes, backbone)


@pytest.mark.parametrize("split", [gs.leave_one_out, by_user], ids=["one", "several"])
@pytest.mark.parametrize("max_length", [50, 2])
def test_the_likelihood_is_that_of_loops(split: Any, max_length: int) -> None:
    graph = gs.build_graph(split(log(again=True)))
    model = model_of(graph, max_length).eval()
    temperature, bias = 2.0, [0.7, -0.3, 1.1]
    biased = RepeatBias(model, bias=[temperature * b for b in bias])
    users, history, starts, targets, ends = graph.validation
    expected, number = 0.0, 0
    for n, user in enumerate(users):
        items = history[starts[n] : starts[n + 1]]
        for target in targets[ends[n] : ends[n + 1]].unique():
            for each, sign in ((biased, 1), (model, -1)):
                read = items[-each.max_length :]
                row = Batch(user[None], read[None], torch.tensor([len(read)]), 30)
                scores = each.score(row, graph)[0].double() / temperature
                expected += sign * float(scores.logsumexp(0) - scores[target])
            number += 1
    [collected] = _collect(RepeatBias(model), graph, [temperature], batch_size=7)
    assert collected.number == number
    found = likelihood(collected, bias)
    assert found == pytest.approx(expected, rel=1e-5)


def likelihood(collected: Collected, bias: list[float]) -> float:
    """What biases add to minus the logarithm of the likelihood, by loops."""
    added, total = [0.0] * collected.number, 0.0
    columns = (column.tolist() for column in collected[:4])
    for row, age, probability, hit in zip(*columns, strict=True):
        b = bias[min(age, len(bias) - 1)]
        added[row] += probability * math.expm1(b)
        total -= b * hit
    return total + sum(math.log1p(a) for a in added)


def test_the_biases_are_the_most_likely() -> None:
    graph = gs.build_graph(gs.leave_one_out(log(again=True)))
    [collected] = _collect(RepeatBias(model_of(graph).eval()), graph, [1.0], 512)
    found = most_likely(collected, ages=3)

    def loss(bias: list[float]) -> float:
        penalty = PENALTY * sum(b * b for b in bias)
        return likelihood(collected, bias) / collected.number + penalty

    least = loss(found)
    for age in range(3):
        for step in (-0.05, 0.05):
            moved = [b + step * (a == age) for a, b in enumerate(found)]
            assert loss(moved) > least


@pytest.mark.parametrize("again", [True, False])
def test_a_model_learns_whether_users_choose_items_again(again: bool) -> None:
    graph = gs.build_graph(gs.leave_one_out(log(again)))
    model = model_of(graph)
    gs.fit(model, graph, max_epochs=3, progress=False)
    biased = choose_repeat_bias(model, graph, ages=3, temperatures=(1.0, 2.0))
    newest, *older = biased.bias
    before, after = gs.evaluate(model, graph), gs.evaluate(biased, graph)
    assert after["excluded"] == before["excluded"]
    if again:
        assert newest > max(older) and after["kept"]["HR@5"] == 1
    else:
        assert max(biased.bias) < -2
        lost = after["excluded"]["NDCG@20"] - after["kept"]["NDCG@20"]
        assert lost < 0.01 < before["excluded"]["NDCG@20"] - before["kept"]["NDCG@20"]


def test_what_cannot_be_chosen_is_refused() -> None:
    graph = gs.build_graph(gs.leave_one_out(log(again=True)))
    model = POP(80, graph["item"].num_nodes)
    with pytest.raises(ConfigError, match="found 'MRR'; give a length: MRR@10"):
        choose_repeat_bias(model, graph, metric="MRR")
    del graph.validation
    with pytest.raises(GraphError, match="no validation users"):
        choose_repeat_bias(model, graph)
