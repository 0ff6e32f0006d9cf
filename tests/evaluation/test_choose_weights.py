"""Weights of ensembles: all of a grid, the best on the validation part."""

import itertools

import pytest
import torch

import graphseq as gs
from graphseq.data.synthetic import markov
from graphseq.errors import ConfigError, GraphError, GraphSeqError
from graphseq.evaluation.choose_weights import choose_weights, weights_of
from graphseq.models import POP, Ensemble, ItemKNN, Repeat


@pytest.mark.parametrize(("members", "steps"), [(2, 10), (3, 4), (4, 3)])
def test_the_grid_has_all_weights_once_equal_ones_first(members, steps) -> None:
    rows = [
        tuple(round(w * steps) for w in r) for r in weights_of(members, steps).tolist()
    ]
    every = itertools.product(range(steps + 1), repeat=members)
    assert sorted(rows) == sorted(r for r in every if sum(r) == steps)
    distance = [sum((w / steps - 1 / members) ** 2 for w in row) for row in rows]
    assert distance == pytest.approx(sorted(distance))


@pytest.fixture(scope="module")
def graph():
    return gs.build_graph(gs.leave_one_out(markov(80, 30, length=9, seed=0)))


@pytest.fixture(scope="module")
def members(graph):
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    return [ItemKNN(*sizes, shrink=1.0), POP(*sizes), Repeat(*sizes, order="count")]


@pytest.mark.parametrize("combine", ["z_score", "reciprocal_rank"])
@pytest.mark.parametrize("history", ["kept", "excluded"])
def test_the_weights_are_the_best_of_evaluations(
    graph, members, combine, history
) -> None:
    ensemble = Ensemble(members, combine=combine)
    options = {"metric": "NDCG@5", "history": history, "steps": 3}
    chosen = choose_weights(ensemble, graph, **options, batch_size=32)
    values = {}
    for weights in weights_of(3, 3).tolist():
        report = gs.evaluate(
            Ensemble(members, combine=combine, weights=weights),
            graph,
            "validation",
            ks=[5],
            history=history,
        )
        values[tuple(weights)] = report[history]["NDCG@5"]
    assert len(set(values.values())) > 3
    best = max(values.values())
    assert chosen.weights == pytest.approx(next(w for w in values if values[w] == best))
    assert chosen.combine == combine and ensemble.weights == pytest.approx([1 / 3] * 3)


def test_the_test_part_is_not_read(graph, members) -> None:
    ensemble = Ensemble(members[:2], combine="z_score")
    with_test = choose_weights(ensemble, graph).weights
    blind = graph.clone()
    del blind.test
    assert choose_weights(ensemble, blind).weights == with_test


def test_what_cannot_be_chosen_is_refused(graph, members) -> None:
    ensemble = Ensemble(members)
    for metric in ("NDGC@10", "NDCG", "NDCG@0", "NDCG@010", "coverage@10"):
        with pytest.raises(ConfigError, match="such as NDCG@10"):
            choose_weights(ensemble, graph, metric=metric)
    with pytest.raises(ConfigError, match=r"10,001 weights.*fewer steps"):
        choose_weights(Ensemble(members[:2]), graph, steps=10_000)
    blind = graph.clone()
    del blind.validation
    with pytest.raises(GraphError, match="no validation users"):
        choose_weights(ensemble, blind)


def test_nan_is_refused(graph, members) -> None:
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    broken = gs.models.SASRec(sizes[0], gs.Backbone(sizes[1], dim=8))
    with torch.no_grad():
        broken.backbone.features.weight.fill_(torch.nan)
    with pytest.raises(GraphSeqError, match="scores an item NaN"):
        choose_weights(Ensemble([members[0], broken]), graph)
