"""The contrast with interests against loops over prefixes, with dense matrices."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.graphs import Transitions
from graphseq.models import (
    InterestContrast,
)
from graphseq.models.graph_contrast import RELATIONS
from graphseq.models.interest_contrast import general_interests
from graphseq.nn.adjacency import operator
from graphseq.nn.propagation import GraphEncoder
from graphseq.schema import OptionError

ENCODERS = [{"Transformer": {"layers": 1}}, {"GRU": {}}]


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
    model, batch = loops.with_auxiliaries(noise, encoder, objective)
    items, number = model.item_vectors(noise), noise["user"].num_nodes
    nodes = loops.propagated(noise, INTERACTS, torch.cat([objective.users, items]), 3)
    rows, owner = loops.prefixes(batch)
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
    value = 0.3 * loops.one_sided(objective.contrast, current, expected, 0.7, users)
    terms = model.losses(batch, noise)
    assert [*terms] == ["next_item", "interest"]
    assert terms["interest"].item() == pytest.approx(value, rel=1e-6)


def test_ranking_needs_neither_users_nor_graphs(loops: Any, noise: HeteroData) -> None:
    """Users without training events can be ranked."""
    model, batch = loops.with_auxiliaries(noise, ENCODERS[1], InterestContrast())
    assert not model.has_user_embeddings
    before = model.score(batch, noise)
    with torch.no_grad():
        model.objectives[0].users.zero_()
    assert torch.equal(model.score(batch, noise), before)


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
    model, batch = loops.with_auxiliaries(noise, ENCODERS[1], objective)
    items, number = model.item_vectors(noise), noise["user"].num_nodes
    if relation == "interacts":
        nodes = torch.cat([torch.zeros(number, items.shape[1]), items])
        vectors = loops.propagated(noise, INTERACTS, nodes, 2)[number:]
    else:
        step = operator(noise, RELATIONS[relation])
        vectors = step @ (step @ items)
    rows, owner = loops.prefixes(batch)
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
    value = 0.3 * loops.one_sided(objective.contrast, current, expected, 0.5, owner)
    terms = model.losses(batch, noise)
    assert terms["interest"].item() == pytest.approx(value, rel=1e-5)
    assert "users" not in dict(objective.named_parameters())


def test_interests_of_other_relations_are_refused() -> None:
    with pytest.raises(OptionError, match="users: relation='item' has no users; set"):
        InterestContrast(relation="item")
    with pytest.raises(OptionError, match="encoder: after 1 layers, the last item ve"):
        InterestContrast(users="history", encoder=GraphEncoder(layers=1))
