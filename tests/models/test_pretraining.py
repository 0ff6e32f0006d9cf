"""The four pre-training tasks against loops over places, with the same draws."""

import math

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE, INTERACTS
from graphseq.errors import GraphError
from graphseq.models.backbone import Backbone
from graphseq.models.pretraining import Pretraining
from graphseq.nn import Transformer
from graphseq.sequences import Batch
from graphseq.sequences.cloze import (
    bernoulli_mask,
    last_place,
    sample_negatives,
    segment,
    swap,
)

V, D, A = 8, 4, 3
OWNED = {0: [0, 2], 1: [1], 2: [], 3: [0, 1, 2], 4: [2], 5: [0], 6: [1, 2], 7: [0]}
ROWS = [[0, 1, 2, 3], [4, 5], [6, 7, 0], [1]]
WEIGHTS = {"item": 1.0, "segment": 0.5, "attribute": 0.2, "hidden_attribute": 2.0}


@pytest.fixture
def graph() -> HeteroData:
    made = HeteroData()
    made["user"].num_nodes, made["item"].num_nodes = 2, V
    user = torch.tensor([0] * 5 + [1] * 5)
    made[INTERACTS].edge_index = torch.stack([user, torch.arange(10) % V])
    made["attribute"].num_nodes = A
    pairs = [(item, a) for item, owned in OWNED.items() for a in owned]
    made[HAS_ATTRIBUTE].edge_index = torch.tensor(pairs).T.contiguous()
    return made


def built(weights: dict[str, float]) -> tuple[Pretraining, Backbone]:
    torch.manual_seed(0)
    encoder = Transformer(D, 6, layers=2, heads=2, dropout=0.0)
    backbone = Backbone(V, encoder=encoder, max_length=6, mask_token=True)
    parts = Pretraining(D, weights, num_attributes=A)
    with torch.no_grad():
        for module in (parts, backbone):
            for parameter in module.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.5)
    return parts.double(), backbone.double()


def full() -> Batch:
    width = max(map(len, ROWS))
    items = torch.tensor([row + [V] * (width - len(row)) for row in ROWS])
    lengths = torch.tensor([len(row) for row in ROWS])
    return Batch(torch.arange(len(ROWS)), items, lengths, V)


def states_of(backbone: Backbone, row: list[int]) -> Tensor:
    """Of one row that looks both ways; V is a hidden place."""
    table = backbone.features.weight
    x = torch.stack([backbone.token if v == V else table[v] for v in row])[None]
    seen = torch.ones(1, len(row), dtype=torch.bool)
    return backbone.encoder(x, seen, causal=False)[0]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def told_apart(asked: Tensor, true: Tensor, false: Tensor) -> float:
    gain = sigmoid(float(asked @ true)) - sigmoid(float(asked @ false))
    return -math.log(sigmoid(gain))


def hidden(row: list[int], places: Tensor) -> list[int]:
    return [V if places[t] else item for t, item in enumerate(row)]


@torch.no_grad()
def loops(
    parts: Pretraining, backbone: Backbone, graph: HeteroData, seed: int
) -> dict[str, float]:
    """All four sums, a row; draws in the order of the model's."""
    torch.manual_seed(seed)
    batch = full()
    places = bernoulli_mask(batch, parts.mask_rate) | last_place(batch)
    others = sample_negatives(batch)
    cut = segment(batch)
    swapped = swap(batch, cut, graph[INTERACTS].edge_index[1])
    table = backbone.features.weight
    sums = dict.fromkeys(WEIGHTS, 0.0)
    for b, row in enumerate(ROWS):
        states = states_of(backbone, hidden(row, places[b]))
        for t, item in enumerate(row):
            if places[b, t]:
                asked = parts.maps["item"](states[t])
                other = table[int(others[b, t])]
                sums["item"] += told_apart(asked, table[item], other)
            task = "hidden_attribute" if places[b, t] else "attribute"
            asked = parts.maps[task](states[t])
            for a in range(A):
                p = sigmoid(float(asked @ parts.attributes[a]))
                sums[task] -= math.log(p if a in OWNED[item] else 1 - p)
        n = len(row)
        false_row = swapped.items[b, :n].tolist()
        around = states_of(backbone, hidden(row, cut[b]))[-1]
        true = states_of(backbone, hidden(row, ~cut[b]))[-1]
        false = states_of(backbone, hidden(false_row, ~cut[b]))[-1]
        sums["segment"] += told_apart(parts.maps["segment"](around), true, false)
    return {k: WEIGHTS[k] * v / len(ROWS) for k, v in sums.items()}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_terms_are_the_formulas(graph: HeteroData, seed: int) -> None:
    parts, backbone = built(WEIGHTS)
    torch.manual_seed(seed)
    found = parts(backbone, full(), graph)
    expected = loops(parts, backbone, graph, seed)
    assert found.keys() == expected.keys()
    for name, term in found.items():
        assert term.item() == pytest.approx(expected[name], rel=1e-8), name


@pytest.mark.parametrize("tasks", [["item"], ["item", "segment"], ["segment"]])
def test_only_the_asked_tasks_have_weights_and_terms(
    graph: HeteroData, tasks: list[str]
) -> None:
    parts, backbone = built({task: 1.0 for task in tasks})
    del graph[HAS_ATTRIBUTE]
    assert [*parts(backbone, full(), graph)] == tasks
    assert [*parts.maps] == tasks and parts.attributes is None


def test_more_attributes_than_vectors_are_refused(graph: HeteroData) -> None:
    parts, backbone = built(WEIGHTS)
    graph["attribute"].num_nodes = 5
    with pytest.raises(GraphError, match="set num_attributes=5"):
        parts(backbone, full(), graph)


def test_vectors_to_spare_are_attributes_that_no_item_has(graph: HeteroData) -> None:
    parts, backbone = built(WEIGHTS)
    graph["attribute"].num_nodes = 2
    edges = graph[HAS_ATTRIBUTE].edge_index
    graph[HAS_ATTRIBUTE].edge_index = edges[:, edges[1] < 2]
    assert all(term.isfinite() for term in parts(backbone, full(), graph).values())
