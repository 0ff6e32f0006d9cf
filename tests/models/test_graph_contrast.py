"""Contrasts with graphs against loops over prefixes and nodes, with dense matrices."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS, EdgeType
from graphseq.errors import GraphError
from graphseq.graphs import Transitions
from graphseq.models import (
    Backbone,
    Encoding,
    FeatureContrast,
    InterestContrast,
    SequenceModel,
)
from graphseq.models.graph_contrast import (
    RELATIONS,
    ProjectedContrast,
    general_interests,
)
from graphseq.nn import GRU
from graphseq.nn.adjacency import operator
from graphseq.nn.propagation import GraphEncoder
from graphseq.schema import OptionError
from graphseq.sequences import Batch

ENCODERS = [{"Transformer": {"layers": 1}}, {"GRU": {}}]


def built(loops: Any, graph: HeteroData, encoder: Any, *auxiliaries: Any) -> Any:
    backbone = {"encoder": encoder, "features": {"Propagated": {}}}
    model = loops.build(SequenceModel, graph, backbone, auxiliaries=auxiliaries)
    return model, loops.batch(model, graph, 8)


def normalised(graph: HeteroData, relation: EdgeType) -> Tensor:
    """D^-1/2 A D^-1/2, dense; of a bipartite relation over users, then items."""
    (i, j), number = graph[relation].edge_index, graph["user"].num_nodes
    if relation == INTERACTS:
        size = number + graph["item"].num_nodes
        matrix = torch.zeros(size, size, dtype=torch.float64)
        matrix[i, j + number] = matrix[j + number, i] = 1.0
    else:
        size = graph[relation[0]].num_nodes
        matrix = torch.zeros(size, size, dtype=torch.float64)
        matrix[i, j] = graph[relation].edge_weight.double()
    root = matrix.sum(dim=1).sqrt()
    scale = root.where(root == 0, 1 / root)
    return scale[:, None] * matrix * scale


def propagated(graph: HeteroData, relation: EdgeType, x: Tensor, layers: int) -> Tensor:
    for _ in range(layers):
        x = normalised(graph, relation) @ x
    return x


def one_sided(
    contrast: ProjectedContrast, a: Tensor, b: Tensor, t: float, users: Any = None
) -> float:
    """Eqs. (7) and (8), anchor by anchor; rows of one user are not negatives."""
    heads = (contrast.first, contrast.second or contrast.first)
    views = []
    for x, head in zip((a, b), heads, strict=True):
        inner = x @ head.inner.weight.T + head.inner.bias
        elu = torch.where(inner > 0, inner, inner.exp() - 1)
        outer = elu @ head.outer.weight.T + head.outer.bias
        views.append((outer / outer.norm(dim=1, keepdim=True)).detach())
    first, second = views
    total = 0.0
    for i in range(len(first)):
        own = float(first[i] @ second[i]) / t
        mass = math.exp(own)
        for j in range(len(first)):
            if j != i and (users is None or users[i] != users[j]):
                mass += math.exp(float(first[i] @ second[j]) / t)
                mass += math.exp(float(first[i] @ first[j]) / t)
        total += math.log(mass) - own
    return total / len(first)


def prefixes(batch: Batch) -> tuple[Batch, list[int]]:
    """Every prefix with a target as a row, and its row in the batch."""
    at, _ = batch.target_positions()
    rows, last = at.nonzero().T
    return (
        Batch(batch.user[rows], batch.items[rows], last + 1, batch.num_items),
        rows.tolist(),
    )


@pytest.mark.parametrize(
    "layers, interest, user, item",
    [
        (0, 1.08696605, 0.23558529, 1.08696605),
        (1, 1.43127903, 1.14617684, 1.05327940),
        (2, 1.09401137, 0.74923484, 1.09870114),
    ],
)
def test_terms_are_those_of_the_specification(
    t1: HeteroData,
    t1_tables: tuple[Tensor, Tensor],
    layers: int,
    interest: float,
    user: float,
    item: float,
) -> None:
    """6.7, case A; the current interest is given."""
    users, items, one = t1_tables[0], t1_tables[1] / 4, torch.tensor([1, 1])
    sequences, targets = torch.tensor([[0], [1]]), torch.tensor([[1], [2]])
    batch = Batch(torch.tensor([0, 1]), sequences, one, 4, targets=targets)
    backbone = Backbone(4, encoder=GRU(2))
    encoding = Encoding(backbone, items, batch, last_states=items[[0, 1]])
    options: dict[str, Any] = {"weight": 1.0, "encoder": GraphEncoder(layers=layers)}
    objectives = {
        "interest": InterestContrast(**options),
        "user_features": FeatureContrast(kind="user", **options),
        "item_features": FeatureContrast(kind="item", **options),
    }
    expected = dict(zip(objectives, (interest, user, item), strict=True))
    for name, objective in objectives.items():
        objective.attach(3, backbone)
        objective.double()
        head = objective.contrast.first
        values = [
            (head.inner.weight, [[1.0, -1], [0.5, 2]]),
            (head.inner.bias, [0.1, -0.2]),
            (head.outer.weight, [[2.0, 0], [1, 1]]),
            (head.outer.bias, [0, 0.3]),
        ]
        if objective.users is not None:
            values.append((objective.users, users))
        if name == "interest":
            values.append((objective.pooling.query.weight, [[1, 0.5], [0, 1]]))
        with torch.no_grad():
            for weight, value in values:
                weight.copy_(torch.as_tensor(value))
        found = objective.terms(encoding, t1)
        assert found[name].item() == pytest.approx(expected[name], abs=2e-7), name


@pytest.mark.parametrize("encoder", ENCODERS, ids=["Transformer", "GRU"])
@pytest.mark.parametrize("mask, shared", [(True, True), (False, False)])
def test_the_interest_term_is_its_equations(
    loops: Any, noise: HeteroData, encoder: Any, mask: bool, shared: bool
) -> None:
    objective = InterestContrast(
        weight=0.3,
        temperature=0.7,
        mask_same_user=mask,
        shared_head=shared,
        encoder=GraphEncoder(layers=3),
    )
    model, batch = built(loops, noise, encoder, objective)
    items, number = model.item_vectors(noise), noise["user"].num_nodes
    nodes = propagated(noise, INTERACTS, torch.cat([objective.users, items]), 3)
    rows, owner = prefixes(batch)
    general = []
    for user, row, n in zip(rows.user, rows.items, rows.lengths, strict=True):
        query = torch.tanh(objective.pooling.query.weight @ nodes[user])
        values = nodes[number + row[: int(n)]]
        weights = torch.stack([(query @ value).exp() for value in values])
        general.append(weights / weights.sum() @ values)
    found = general_interests(
        batch, noise, objective.users, items, objective.encoder, objective.pooling
    )
    expected = torch.stack(general)
    torch.testing.assert_close(found.general, expected, rtol=1e-5, atol=1e-6)
    current = loops.vectors(model.backbone, items, rows)
    users = owner if mask else None
    value = 0.3 * one_sided(objective.contrast, current, expected, 0.7, users)
    terms = model.losses(batch, noise)
    assert [*terms] == ["next_item", "interest"]
    assert terms["interest"].item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("kind", ["item", "user"])
def test_the_feature_term_is_its_equations(
    loops: Any, noise: HeteroData, kind: Any
) -> None:
    encoder = GraphEncoder(layers=2)
    objective = FeatureContrast(kind=kind, weight=0.3, temperature=0.7, encoder=encoder)
    model, batch = built(loops, noise, ENCODERS[1], objective)
    items, number = model.item_vectors(noise), noise["user"].num_nodes
    users = objective.users
    if users is None:
        assert kind == "item"  # two steps from items end at items
        users = torch.zeros(number, items.shape[1])
    nodes = propagated(noise, INTERACTS, torch.cat([users, items]), 2)
    if kind == "user":
        own = sorted(set(batch.user.tolist()))
        first = nodes[:number][own]
        second = propagated(noise, USER_CO_OCCURS, users, 2)[own]
    else:
        own = sorted(set(batch.items[batch.mask].tolist()))
        first = nodes[number:][own]
        second = propagated(noise, ITEM_CO_OCCURS, items, 2)[own]
    value = 0.3 * one_sided(objective.contrast, first, second, 0.7)
    term = model.losses(batch, noise)[f"{kind}_features"]
    assert term.item() == pytest.approx(value, rel=1e-6)


def test_the_number_of_contrasted_nodes_is_limited(
    loops: Any, noise: HeteroData
) -> None:
    objective = FeatureContrast(max_nodes=3)
    model, batch = built(loops, noise, ENCODERS[1], objective)
    seen: list[Tensor] = []
    objective.contrast.register_forward_hook(lambda _, views, loss: seen.extend(views))
    for _ in range(2):
        model.losses(batch, noise)
    assert [len(view.unique(dim=0)) for view in seen] == [3] * 4
    assert not torch.equal(seen[0], seen[2])


def test_all_contrasts_train_the_backbone_and_their_own_parameters(
    loops: Any, noise: HeteroData
) -> None:
    """Over two steps, an item's vector would not depend on the users' ones."""
    mean = GraphEncoder(readout="mean")
    features = [FeatureContrast(kind=kind, encoder=mean) for kind in ("item", "user")]
    model, batch = built(loops, noise, ENCODERS[1], InterestContrast(), *features)
    assert set(model.requires) == {INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS}
    terms = model.losses(batch, noise)
    del terms["next_item"]
    assert [*terms] == ["interest", "item_features", "user_features"]
    torch.stack([*terms.values()]).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_ranking_needs_neither_users_nor_graphs(loops: Any, noise: HeteroData) -> None:
    """Users without training events can be ranked."""
    model, batch = built(loops, noise, ENCODERS[1], InterestContrast())
    assert not model.has_user_embeddings
    before = model.score(batch, noise)
    with torch.no_grad():
        model.objectives[0].users.zero_()
    assert torch.equal(model.score(batch, noise), before)


def test_graphs_without_a_relation_are_refused(loops: Any, noise: HeteroData) -> None:
    model, _ = built(loops, noise, ENCODERS[1], FeatureContrast(kind="user"))
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
    model, batch = built(loops, noise, ENCODERS[1], objective)
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
    model, batch = built(loops, noise, ENCODERS[1], objective)
    assert objective.users is None
    assert objective.requires == tuple(RELATIONS[name] for name in names)
    items, number = model.item_vectors(noise), noise["user"].num_nodes
    own = sorted(set(batch.items[batch.mask].tolist()))
    views = []
    for name in names:
        if name == "interacts":
            zeros = torch.zeros(number, items.shape[1])
            nodes = propagated(noise, INTERACTS, torch.cat([zeros, items]), 2)
            views.append(nodes[number:][own])
        else:
            step = operator(noise, RELATIONS[name])
            views.append((step @ (step @ items))[own])
    value = 0.3 * one_sided(objective.contrast, *views, 0.5)
    term = model.losses(batch, noise)["item_features"]
    assert term.item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("relation", ["interacts", "item", "precedes"])
def test_interests_without_users_are_their_equations(
    loops: Any, noise: HeteroData, relation: Any
) -> None:
    """The query of a prefix is the mean of its items: later ones do not change it."""
    noise = Transitions()(noise.clone())
    encoder = GraphEncoder(layers=2)
    objective = InterestContrast(
        relation=relation, users="history", weight=0.3, encoder=encoder
    )
    model, batch = built(loops, noise, ENCODERS[1], objective)
    items, number = model.item_vectors(noise), noise["user"].num_nodes
    if relation == "interacts":
        nodes = torch.cat([torch.zeros(number, items.shape[1]), items])
        vectors = propagated(noise, INTERACTS, nodes, 2)[number:]
    else:
        step = operator(noise, RELATIONS[relation])
        vectors = step @ (step @ items)
    rows, owner = prefixes(batch)
    general = []
    for row, n in zip(rows.items, rows.lengths, strict=True):
        values = vectors[row[: int(n)]]
        query = torch.tanh(objective.pooling.query.weight @ values.mean(dim=0))
        weights = torch.stack([(query @ value).exp() for value in values])
        general.append(weights / weights.sum() @ values)
    found = objective.of_history(batch, noise, items)
    expected = torch.stack(general)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    current = loops.vectors(model.backbone, items, rows)
    value = 0.3 * one_sided(objective.contrast, current, expected, 0.5, owner)
    terms = model.losses(batch, noise)
    assert terms["interest"].item() == pytest.approx(value, rel=1e-5)
    assert "users" not in dict(objective.named_parameters())


def test_contrasts_of_other_nodes_are_refused() -> None:
    with pytest.raises(OptionError, match="relations: 'user' does not link nodes of k"):
        FeatureContrast(relations=["user", "item"])
    with pytest.raises(OptionError, match="relations: 'has' does not link nodes of k"):
        FeatureContrast(kind="user", relations=["interacts", "has"])
    with pytest.raises(OptionError, match=r"relations: expected two relations, found"):
        FeatureContrast(relations=["item", "item"])
    with pytest.raises(OptionError, match="relations: "):
        FeatureContrast(relations=["item"])
    with pytest.raises(OptionError, match="users: relation='item' has no users; set"):
        InterestContrast(relation="item")
    with pytest.raises(OptionError, match="encoder: after 1 layers, the last item ve"):
        InterestContrast(users="history", encoder=GraphEncoder(layers=1))
