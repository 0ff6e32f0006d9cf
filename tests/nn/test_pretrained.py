"""Item features from vectors in the graph, against loops in float64."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import GraphError
from graphseq.models import Backbone, SASRec
from graphseq.nn import Fused, Pretrained, Propagated
from graphseq.schema import OptionError


@pytest.fixture
def graph(relations: HeteroData) -> HeteroData:
    """The relations of the specification, with vectors of 3 numbers."""
    known = copy.copy(relations)
    generator = torch.Generator().manual_seed(1)
    known["item"].x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return known


def randomised(**options: Any) -> Pretrained:
    """Features in float64 with weights far from their start."""
    torch.manual_seed(0)
    features = Pretrained(4, size=3, **options).double().eval()
    with torch.no_grad():
        for parameter in features.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return features


def layer(weights: dict[str, Tensor], name: str, x: list[float]) -> list[float]:
    weight, bias = weights[f"{name}weight"].tolist(), weights[f"{name}bias"].tolist()
    products = [sum(w * v for w, v in zip(row, x, strict=True)) for row in weight]
    return [p + b for p, b in zip(products, bias, strict=True)]


def naive(features: Pretrained, graph: HeteroData, adapter: str) -> list[list[float]]:
    """Item by item, number by number."""
    w, rows = dict(features.state_dict()), []
    for item, x in enumerate(graph["item"].x.tolist()):
        if "change" in w:
            x = [a + b for a, b in zip(x, w["change"][item].tolist(), strict=True)]
        if adapter == "linear":
            x = layer(w, "adapter.", x)
        elif adapter == "mlp":
            inner = layer(w, "adapter.0.", x)
            inner = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in inner]
            x = layer(w, "adapter.3.", inner)
        if "weight" in w:
            x = [a + b for a, b in zip(x, w["weight"][item].tolist(), strict=True)]
        rows.append(x)
    return rows


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(("adapter", "dim"), [("linear", 2), ("mlp", 5), ("none", 3)])
def test_vectors_are_those_of_loops(
    graph: HeteroData, adapter: Any, dim: int, trained: bool, ids: bool
) -> None:
    features = randomised(dim=dim, adapter=adapter, trained=trained, ids=ids)
    expected = torch.tensor(naive(features, graph, adapter), dtype=torch.float64)
    torch.testing.assert_close(features(graph), expected)
    assert features.dim == dim and features.num_items == 4


def test_vectors_start_as_those_of_the_graph_and_are_trained_only_on_demand(
    graph: HeteroData,
) -> None:
    trained = Pretrained(4, size=3, dim=3, adapter="none", trained=True).double()
    assert torch.equal(trained(graph), graph["item"].x)
    trained(graph).square().sum().backward()
    torch.testing.assert_close(trained.change.grad, 2 * graph["item"].x)
    assert not [*Pretrained(4, size=3, dim=3, adapter="none").parameters()]


def test_a_table_of_vectors_is_propagated(graph: HeteroData) -> None:
    """As a trainable table of the same values is."""
    table = randomised(dim=2)
    plain = Propagated(4, dim=2).double()
    with torch.no_grad():
        plain.weight.copy_(table(graph))
    torch.testing.assert_close(Propagated(4, dim=2, table=table)(graph), plain(graph))
    fused = Fused(4, parts=[Propagated(4, dim=2)], table=table, how="mean")
    expected = (table(graph) + plain(graph)) / 2
    torch.testing.assert_close(fused.double()(graph), expected)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"size": 3, "dim": 4, "adapter": "none"}, "width dim=4, found size=3"),
        ({"size": 3, "dropout": 0.1}, "only adapter='mlp' reads it"),
    ],
)
def test_contradicting_options_are_refused(options: Any, found: str) -> None:
    with pytest.raises(OptionError, match=found):
        Pretrained(4, **options)


def test_tables_that_do_not_fit_are_refused() -> None:
    table = Pretrained(4, size=3, dim=2)
    with pytest.raises(OptionError, match="expected width dim=3, found 2"):
        Propagated(4, dim=3, table=table)
    with pytest.raises(OptionError, match="set the table of Fused"):
        Fused(4, parts=[Propagated(4, dim=2, table=table)])
    with pytest.raises(OptionError, match="num_items=5 in each, found 4 and 5"):
        Fused(5, parts=[Propagated(5, dim=2)], table=table)
    with pytest.raises(OptionError, match="found 4 rows for num_items=5"):
        Backbone(5, features=table, dim=2)


@pytest.mark.parametrize("over", [False, True])
def test_a_graph_without_fitting_vectors_is_refused_before_training(
    graph: HeteroData, over: bool
) -> None:
    features: Any = Pretrained(4, size=5, dim=2)
    if over:
        features = Propagated(4, dim=2, table=features)
    model = SASRec(3, Backbone(4, features=features))
    with pytest.raises(GraphError, match=r"\(4, 5\), and those of this graph have"):
        model.check(graph)
    with pytest.raises(GraphError, match="size=3"):
        features(graph)
    del graph["item"].x
    with pytest.raises(GraphError, match="have none: pass the step ItemVectors"):
        model.check(graph)
