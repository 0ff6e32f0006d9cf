"""Contrasts with graphs: the values of the specification, and their gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.models import (
    Backbone,
    Encoding,
    FeatureContrast,
    InterestContrast,
)
from graphseq.nn import GRU
from graphseq.nn.propagation import GraphEncoder
from graphseq.sequences import Batch

ENCODERS = [{"Transformer": {"layers": 1}}, {"GRU": {}}]


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


def test_all_contrasts_train_the_backbone_and_their_own_parameters(
    loops: Any, noise: HeteroData
) -> None:
    """Over two steps, an item's vector would not depend on the users' ones."""
    mean = GraphEncoder(readout="mean")
    features = [FeatureContrast(kind=kind, encoder=mean) for kind in ("item", "user")]
    model, batch = loops.with_auxiliaries(
        noise, ENCODERS[1], InterestContrast(), *features
    )
    assert set(model.requires) == {INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS}
    terms = model.losses(batch, noise)
    del terms["next_item"]
    assert [*terms] == ["interest", "item_features", "user_features"]
    torch.stack([*terms.values()]).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
