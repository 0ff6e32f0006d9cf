"""Item features propagated over the relations of a graph."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE, INTERACTS, ITEM_CO_OCCURS
from graphseq.errors import GraphError
from graphseq.nn import Propagated
from graphseq.nn.adjacency import operator, two_hops
from graphseq.schema import OptionError, describe


@pytest.fixture
def triangle() -> HeteroData:
    """Items 0-1-2 in a weighted path, item 3 alone."""
    graph = HeteroData()
    graph["item"].num_nodes = 4
    edges = graph[ITEM_CO_OCCURS]
    edges.edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    edges.edge_weight = torch.tensor([3.0, 3.0, 1.0, 1.0])
    return graph


def smoothed(table: Tensor, steps: int, readout: str) -> Tensor:
    """Â by hand, dense: the degrees are 3, 4, 1 and 0."""
    a = torch.zeros(4, 4)
    a[0, 1] = a[1, 0] = 3 / (3 * 4) ** 0.5
    a[1, 2] = a[2, 1] = 1 / (4 * 1) ** 0.5
    layers = [table]
    for _ in range(steps):
        layers.append(a @ layers[-1])
    return layers[-1] if readout == "last" else torch.stack(layers).mean(dim=0)


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
@pytest.mark.parametrize("readout", ["last", "mean"])
def test_propagated_equals_dense_powers(
    triangle: HeteroData, layers: int, readout: str
) -> None:
    features = Propagated(4, dim=6, layers=layers, readout=readout)
    found = features(triangle)
    torch.testing.assert_close(found, smoothed(features.weight, layers, readout))
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    mine = torch.autograd.grad((found * weight).sum(), features.weight)
    dense = smoothed(features.weight, layers, readout)
    its = torch.autograd.grad((dense * weight).sum(), features.weight)
    torch.testing.assert_close(mine, its)


def test_an_isolated_item_keeps_only_its_term_of_the_mean(
    triangle: HeteroData,
) -> None:
    mean = Propagated(4, dim=6, layers=2)
    torch.testing.assert_close(mean(triangle)[3], mean.weight[3] / 3)
    last = Propagated(4, dim=6, layers=2, readout="last")
    assert not last(triangle)[3].any()


def test_a_missing_relation_is_reported() -> None:
    with pytest.raises(GraphError, match="co_occurs"):
        Propagated(4, dim=6)(HeteroData())


def test_features_record_their_options() -> None:
    assert describe(Propagated(4, dim=6, layers=2)) == {
        "Propagated": {
            "num_items": 4,
            "num_users": None,
            "dim": 6,
            "table": None,
            "relation": "item",
            "direction": "both",
            "layers": 2,
            "readout": "mean",
            "self_loops": False,
            "users": "trained",
            "event_weight": "binary",
            "max_fraction": 0.1,
            "edge_dropout": 0.0,
            "target_edges": "kept",
            "std": 0.02,
        }
    }


def specified(
    tables: tuple[Tensor, Tensor], graph: HeteroData, **options: Any
) -> Tensor:
    """The vectors of features whose tables are those of the specification."""
    features = Propagated(4, 3, dim=2, **options).double()
    with torch.no_grad():
        features.weight.copy_(tables[1])
        if features.users is not None:
            features.users.copy_(tables[0])
    found: Tensor = features(graph)
    return found


SPECIFIED: dict[str, tuple[dict[str, Any], list[list[float]]]] = {
    "G1 mean": (
        {"relation": "item"},
        [
            [0.67677670, 0.38090084],
            [0.49279928, 0.78867513],
            [1.17677670, 0.53867513],
            [1.25, -0.25],
        ],
    ),
    "G1 last": (
        {"relation": "item", "layers": 2, "readout": "last"},
        [
            [0.88092232, 0.26304971],
            [0.92581198, 0.35566243],
            [0.94403559, 0.85267090],
            [0.67677670, 0.03867513],
        ],
    ),
    "G2 successors": (
        {"relation": "precedes", "direction": "successors", "readout": "last"},
        [[0, 1], [1, 1], [2, -1], [0, 0]],
    ),
    "G2 predecessors": (
        {"relation": "precedes", "direction": "predecessors", "readout": "last"},
        [[0, 0], [1, 0], [0, 1], [1, 1]],
    ),
    "G2 both": (
        {"relation": "precedes"},
        [[1 / 3, 1 / 3], [2 / 3, 2 / 3], [1, 1 / 3], [1, 0]],
    ),
    "G3 one step": (
        {"relation": "interacts", "readout": "last", "self_loops": False},
        [
            [0.57735027, 0.57735027],
            [0.40824829, 1.40824829],
            [-0.07491496, 1.14982991],
            [-0.70710678, 0],
        ],
    ),
    "G3 mean": (
        {"relation": "interacts", "layers": 2},
        [
            [0.70104456, 0.33516754],
            [0.32805249, 1.05504062],
            [0.71310995, 0.88193538],
            [0.86052278, -0.40377496],
        ],
    ),
    "G8": (
        {
            "relation": "precedes",
            "direction": "undirected",
            "self_loops": True,
            "readout": "last",
        },
        [
            [0.5, 0.35355339],
            [0.85355339, 0.75],
            [0.95710678, 0.39644661],
            [1.35355339, -0.14644661],
        ],
    ),
    "G6": (
        {"relation": "has", "readout": "last", "max_fraction": 1.0},
        [[0, 0.65465367], [1.78854709, 0], [1, -0.12203553], [0.5, 0.87796447]],
    ),
}


@pytest.mark.parametrize("name", [name for name in SPECIFIED if name != "G3 one step"])
def test_vectors_are_those_of_the_specification(
    relations: HeteroData, tables: tuple[Tensor, Tensor], name: str
) -> None:
    options, expected = SPECIFIED[name]
    found = specified(tables, relations, **options)
    exact = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found, exact, rtol=0, atol=2e-7)


def test_one_step_over_the_user_item_graph_reads_users_only(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    """G3 is half of the mean of layers 0 and 1."""
    found = 2 * specified(tables, relations, relation="interacts") - tables[1]
    exact = torch.tensor(SPECIFIED["G3 one step"][1], dtype=torch.float64)
    torch.testing.assert_close(found, exact, rtol=0, atol=2e-7)


@pytest.mark.parametrize("readout", ["mean", "last"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_both_directions_are_the_mean_of_all_layers(
    relations: HeteroData, layers: int, readout: Any
) -> None:
    options: dict[str, Any] = {"layers": layers, "readout": readout}
    both = Propagated(4, dim=3, relation="precedes", **options)
    step = operator(relations, ("item", "precedes", "item"))
    after, before = [both.weight], [both.weight]
    for _ in range(layers):
        after.append(step @ after[-1])
        before.append(step.transpose @ before[-1])
    if readout == "last":
        expected = (after[-1] + before[-1]) / 2
    else:
        expected = torch.stack([*after, *before[1:]]).mean(dim=0)
    torch.testing.assert_close(both(relations), expected)


def test_users_that_are_zeros_have_no_table(relations: HeteroData) -> None:
    features = Propagated(4, dim=3, relation="interacts", users="zero", layers=2)
    assert [name for name, _ in features.named_parameters()] == ["weight"]
    step = operator(relations, INTERACTS)
    nodes = torch.cat([torch.zeros(3, 3), features.weight])
    expected = (nodes + step @ nodes + step @ (step @ nodes)) / 3
    torch.testing.assert_close(features(relations), expected[3:])


def test_edges_are_dropped_in_training_only(relations: HeteroData) -> None:
    features = Propagated(4, dim=3, edge_dropout=0.5)
    torch.manual_seed(0)
    drawn = {str(features(relations).tolist()) for _ in range(8)}
    assert len(drawn) > 2
    plain = Propagated(4, dim=3)
    plain.load_state_dict(features.state_dict())
    assert torch.equal(features.eval()(relations), plain(relations))


def test_target_edges_are_left_out_where_the_option_says_so(
    relations: HeteroData,
) -> None:
    edges = torch.tensor([[0, 2], [2, 3]])
    kept = Propagated(4, 3, dim=3, relation="interacts")
    left = Propagated(4, 3, dim=3, relation="interacts", target_edges="left_out")
    left.load_state_dict(kept.state_dict())
    assert torch.equal(kept.in_training(relations, edges), kept(relations))
    found = left.in_training(relations, edges)
    step = operator(relations, INTERACTS, excluded=edges)
    nodes = torch.cat([kept.users, kept.weight])  # type: ignore[list-item]
    torch.testing.assert_close(found, ((nodes + step @ nodes) / 2)[3:])
    assert not torch.allclose(found, left(relations))


@pytest.mark.parametrize(
    "options, found",
    [
        ({"direction": "both", "relation": "item", "users": "zero"}, "users: only rel"),
        ({"relation": "item", "direction": "successors"}, "direction: only relation="),
        ({"relation": "item", "event_weight": "count"}, "event_weight: only relation="),
        ({"relation": "item", "max_fraction": 0.3}, "max_fraction: only relation='has"),
        ({"target_edges": "left_out"}, "target_edges: .* events of many users"),
        ({"relation": "has", "self_loops": True}, "self_loops: .* the diagonal"),
        ({"relation": "interacts"}, "num_users: expected the number of users"),
        (
            {"relation": "interacts", "users": "zero", "readout": "last"},
            "readout: after 1 layers, the last item vectors depend on users only",
        ),
        (
            {"relation": "interacts", "num_users": 3, "layers": 2, "readout": "last"},
            "users: after 2 layers, no item vector depends on the users' ones",
        ),
        (
            {
                "relation": "interacts",
                "num_users": 3,
                "event_weight": "count",
                "target_edges": "left_out",
            },
            "target_edges: 'left_out' needs event_weight='binary'",
        ),
    ],
)
def test_contradicting_options_are_refused(options: dict[str, Any], found: str) -> None:
    with pytest.raises(OptionError, match=found):
        Propagated(4, dim=3, **options)


def test_attributes_are_read_over_two_hops(relations: HeteroData) -> None:
    features = Propagated(4, dim=3, relation="has", max_fraction=0.5)
    expected = (features.weight + two_hops(relations, 0.5) @ features.weight) / 2
    torch.testing.assert_close(features(relations), expected)
    assert features.requires == (HAS_ATTRIBUTE,)
