"""Item features over several relations, against the specification and loops."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, PRECEDES
from graphseq.models import create
from graphseq.nn import Fused, Propagated
from graphseq.schema import OptionError, describe


def fused(table: Tensor, parts: list[dict[str, Any]], how: Any) -> Fused:
    built = [Propagated(4, 3, dim=2, readout="last", **part) for part in parts]
    features = Fused(4, parts=built, how=how).double()
    with torch.no_grad():
        features.weight.copy_(table)
    return features


BOTH = [{"relation": "item"}, {"relation": "precedes", "direction": "successors"}]


def test_the_mean_is_that_of_the_specification(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    """G7; also the start of ``weights`` and of ``gate``."""
    expected = torch.tensor(
        [
            [0.45118446, 0.58726723],
            [0.66186619, 0.85911676],
            [1.45118446, 0.02578342],
            [0.83333333, -0.16666667],
        ]
    )
    for how in ("mean", "weights", "gate"):
        found = fused(tables[1], BOTH, how)(relations)
        torch.testing.assert_close(found, expected.double(), rtol=0, atol=1e-7)


def test_weights_are_those_of_the_specification(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    """G7, with fractions .25, .5 and .25."""
    features = fused(tables[1], BOTH, "weights")
    assert features.theta is not None
    with torch.no_grad():
        features.theta.copy_(torch.tensor([1.0, 2.0, 1.0]).log())
    expected = torch.tensor(
        [
            [0.42677670, 0.63090084],
            [0.74279928, 0.78867513],
            [1.42677670, 0.03867513],
            [0.75, 0],
        ]
    )
    found = features(relations)
    torch.testing.assert_close(found, expected.double(), rtol=0, atol=1e-7)
    assert features.fractions.tolist() == pytest.approx([0.25, 0.5, 0.25])
    assert "table 0.250, co_occurs 0.500, precedes 0.250" in repr(features)


def test_the_gate_is_that_of_the_specification(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    """G7, of the table and one relation."""
    features = fused(tables[1], BOTH[:1], "gate")
    assert features.gate is not None
    weight = torch.tensor([[1, 0, 0.5, 0], [0, 1, 0, -0.5]])
    with torch.no_grad():
        features.gate.weight.copy_(weight)
    expected = torch.tensor(
        [
            [0.84767633, 0.45257903],
            [0.37377283, 0.86081884],
            [1.05569271, 0.74478308],
            [1.85697580, 0.16594979],
        ]
    )
    found = features(relations)
    torch.testing.assert_close(found, expected.double(), rtol=0, atol=1e-7)


def test_the_gate_of_several_relations_is_a_softmax_of_each_item(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    features = fused(tables[1], BOTH, "gate")
    assert features.attention is not None
    with torch.no_grad():
        features.attention.normal_()
    vectors = [
        tables[1],
        *(part.smooth(tables[1], relations) for part in features.parts),
    ]
    for item, row in enumerate(features(relations)):
        logits = [
            float(x[item] @ a.detach())
            for x, a in zip(vectors, features.attention, strict=True)
        ]
        weights = torch.tensor(logits, dtype=torch.float64).exp()
        weights = weights / weights.sum()
        expected = sum(w * x[item] for w, x in zip(weights, vectors, strict=True))
        torch.testing.assert_close(row, expected)


@pytest.mark.parametrize("how", ["mean", "weights", "gate"])
def test_every_parameter_is_trained_from_one_table(
    relations: HeteroData, how: Any
) -> None:
    parts: list[dict[str, Any]] = [
        {"relation": "precedes", "direction": "both"},
        {"relation": "interacts", "layers": 3},
        {"relation": "has", "max_fraction": 1.0},
    ]
    built = [Propagated(4, 3, dim=5, **part) for part in parts]
    features = Fused(4, parts=built, how=how)
    assert sum(p.shape == (4, 5) for p in features.parameters()) == 1 + (how == "gate")
    features(relations).square().sum().backward()
    for name, parameter in features.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_relations_and_left_out_edges_are_those_of_the_parts(
    relations: HeteroData,
) -> None:
    edges = torch.tensor([[0], [2]])
    kept = [Propagated(4, 3, dim=2, **part) for part in BOTH]
    features = Fused(4, parts=kept)
    assert features.requires == (ITEM_CO_OCCURS, PRECEDES)
    assert features.target_edges == "kept"
    left = Propagated(4, 3, dim=2, relation="interacts", target_edges="left_out")
    item = Propagated(4, 3, dim=2)
    features = Fused(4, parts=[item, left], how="mean")
    assert features.requires == (ITEM_CO_OCCURS, INTERACTS)
    assert features.target_edges == "left_out"
    table = features.weight
    parts = [table, item.smooth(table, relations), left.smooth(table, relations, edges)]
    expected = torch.stack(parts).mean(dim=0)
    torch.testing.assert_close(features.in_training(relations, edges), expected)
    assert not torch.allclose(features(relations), expected)


def test_parts_are_written_in_files_and_described() -> None:
    parts = [{"Propagated": {"relation": "item"}}, {"Propagated": {"relation": "has"}}]
    features = {"Fused": {"parts": parts, "how": "gate"}}
    backbone = {"dim": 8, "max_length": 5, "features": features}
    model = create({"SASRec": {"backbone": backbone}}, 3, 4)
    found = model.backbone.features
    assert isinstance(found, Fused) and found.how == "gate" and found.dim == 8
    assert [part.relation[1] for part in found.parts] == ["co_occurs", "has"]
    again = create(describe(model), 3, 4)
    assert describe(again) == describe(model)
    again.load_state_dict(model.state_dict())


def test_contradicting_parts_are_refused() -> None:
    parts = [Propagated(4, dim=2), Propagated(4, dim=3)]
    with pytest.raises(OptionError, match="dim: expected one width of all parts, foun"):
        Fused(4, parts=parts)
    with pytest.raises(OptionError, match=r"parts: expected num_items=5 in each, fou"):
        Fused(5, parts=parts[:1])
    with pytest.raises(OptionError, match="parts: "):
        Fused(4, parts=[])
    with pytest.raises(ValueError, match="how='mean' has no fractions"):
        _ = Fused(4, parts=parts[:1], how="mean").fractions
