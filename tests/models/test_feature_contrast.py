"""The contrast of features against loops over nodes, with dense matrices."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.errors import GraphError
from graphseq.graphs import Transitions
from graphseq.models import (
    FeatureContrast,
)
from graphseq.models.graph_contrast import RELATIONS
from graphseq.nn.adjacency import operator
from graphseq.nn.propagation import GraphEncoder
from graphseq.schema import OptionError

ENCODERS = [{"Transformer": {"layers": 1}}, {"GRU": {}}]


@pytest.mark.parametrize("kind", ["item", "user"])
def test_the_feature_term_is_its_equations(
    loops: Any, noise: HeteroData, kind: Any
) -> None:
    encoder = GraphEncoder(layers=2)
    objective = FeatureContrast(kind=kind, weight=0.3, temperature=0.7, encoder=encoder)
    model, batch = loops.with_auxiliaries(noise, ENCODERS[1], objective)
    items, number = model.item_vectors(noise), noise["user"].num_nodes
    users = objective.users
    if users is None:
        assert kind == "item"  # two steps from items end at items
        users = torch.zeros(number, items.shape[1])
    nodes = loops.propagated(noise, INTERACTS, torch.cat([users, items]), 2)
    if kind == "user":
        own = sorted(set(batch.user.tolist()))
        first = nodes[:number][own]
        second = loops.propagated(noise, USER_CO_OCCURS, users, 2)[own]
    else:
        own = sorted(set(batch.items[batch.mask].tolist()))
        first = nodes[number:][own]
        second = loops.propagated(noise, ITEM_CO_OCCURS, items, 2)[own]
    value = 0.3 * loops.one_sided(objective.contrast, first, second, 0.7)
    term = model.losses(batch, noise)[f"{kind}_features"]
    assert term.item() == pytest.approx(value, rel=1e-6)


def test_the_number_of_contrasted_nodes_is_limited(
    loops: Any, noise: HeteroData
) -> None:
    objective = FeatureContrast(max_nodes=3)
    model, batch = loops.with_auxiliaries(noise, ENCODERS[1], objective)
    seen: list[Tensor] = []
    objective.contrast.register_forward_hook(lambda _, views, loss: seen.extend(views))
    for _ in range(2):
        model.losses(batch, noise)
    assert [len(view.unique(dim=0)) for view in seen] == [3] * 4
    assert not torch.equal(seen[0], seen[2])


def test_graphs_without_a_relation_are_refused(loops: Any, noise: HeteroData) -> None:
    model, _ = loops.with_auxiliaries(noise, ENCODERS[1], FeatureContrast(kind="user"))
    graph = noise.clone()
    del graph[USER_CO_OCCURS]
    with pytest.raises(GraphError, match=r"reads \('user', 'co_occurs', 'user'\)"):
        model.check(graph)


@pytest.mark.parametrize(
    "layers, readout, read",
    [(1, "last", True), (2, "last", False), (2, "mean", True), (0, "mean", False)],
)
def test_users_have_vectors_where_items_depend_on_them(
    loops: Any, noise: HeteroData, layers: int, readout: Any, read: bool
) -> None:
    encoder = GraphEncoder(layers=layers, readout=readout)
    objective = FeatureContrast(encoder=encoder)
    model, batch = loops.with_auxiliaries(noise, ENCODERS[1], objective)
    assert (objective.users is not None) is read
    model.losses(batch, noise)["item_features"].backward()
    if objective.users is not None:
        assert objective.users.grad is not None and objective.users.grad.any()


@pytest.mark.parametrize("names", [("precedes", "item"), ("interacts", "precedes")])
def test_any_two_relations_of_items_can_be_contrasted(
    loops: Any, noise: HeteroData, names: Any
) -> None:
    noise = Transitions()(noise.clone())
    encoder = GraphEncoder(layers=2)
    objective = FeatureContrast(relations=list(names), weight=0.3, encoder=encoder)
    model, batch = loops.with_auxiliaries(noise, ENCODERS[1], objective)
    assert objective.users is None
    assert objective.requires == tuple(RELATIONS[name] for name in names)
    items, number = model.item_vectors(noise), noise["user"].num_nodes
    own = sorted(set(batch.items[batch.mask].tolist()))
    views = []
    for name in names:
        if name == "interacts":
            zeros = torch.zeros(number, items.shape[1])
            nodes = loops.propagated(noise, INTERACTS, torch.cat([zeros, items]), 2)
            views.append(nodes[number:][own])
        else:
            step = operator(noise, RELATIONS[name])
            views.append((step @ (step @ items))[own])
    value = 0.3 * loops.one_sided(objective.contrast, *views, 0.5)
    term = model.losses(batch, noise)["item_features"]
    assert term.item() == pytest.approx(value, rel=1e-5)


def test_contrasts_of_other_nodes_are_refused() -> None:
    with pytest.raises(OptionError, match="relations: 'user' does not link nodes of k"):
        FeatureContrast(relations=["user", "item"])
    with pytest.raises(OptionError, match="relations: 'has' does not link nodes of k"):
        FeatureContrast(kind="user", relations=["interacts", "has"])
    with pytest.raises(OptionError, match=r"relations: expected two relations, found"):
        FeatureContrast(relations=["item", "item"])
    with pytest.raises(OptionError, match="relations: "):
        FeatureContrast(relations=["item"])
