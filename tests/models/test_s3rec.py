"""S3-Rec: the four tasks against loops over positions, and the two stages."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.constants import HAS_ATTRIBUTE, INTERACTS
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import Attributes
from graphseq.models import MutualInformation, S3Rec, SASRec
from graphseq.models.s3rec import TASKS
from graphseq.sequences import Batch
from graphseq.sequences.masking import (
    bernoulli_mask,
    last_position,
    sample_negatives,
    segment_mask,
    swap_segment,
)

V, A = 8, 3
OWNED = {0: [0, 2], 1: [1], 2: [], 3: [0, 1, 2], 4: [2], 5: [0], 6: [1, 2], 7: [0]}
ROWS = [[0, 1, 2, 3], [4, 5], [6, 7, 0], [1, 1]]
WEIGHTS = {"item": 1.5, "segment": 0.6, "attribute": 0.3, "hidden_attribute": 2.0}


def small(
    backbone: dict[str, Any] | None = None, items: int = 12, **options: Any
) -> S3Rec:
    torch.manual_seed(0)
    encoder = {"Transformer": {"layers": 1, "dropout": 0.0}}
    sizes = {"dim": 8, "max_length": 5, "encoder": encoder} | (backbone or {})
    if options.get("variant") == "full":
        options = {"num_attributes": 2} | options
    objective = MutualInformation(**{"pretrain_epochs": 2} | options)
    return S3Rec(48, S3Rec.default_backbone(items, **sizes), objective=objective)


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


def rows(sequences: list[list[int]]) -> Batch:
    width = max(map(len, sequences))
    items = torch.tensor([row + [V] * (width - len(row)) for row in sequences])
    lengths = torch.tensor([len(row) for row in sequences])
    return Batch(torch.arange(len(sequences)), items, lengths, V)


def training_batch() -> Batch:
    """The sequences without their last items, which are the last targets."""
    batch = rows([row[:-1] for row in ROWS])
    batch_targets = rows([row[1:] for row in ROWS]).items
    return Batch(batch.user, batch.items, batch.lengths, V, targets=batch_targets)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def double_sigmoid(query: Tensor, true: Tensor, false: Tensor) -> float:
    gain = sigmoid(float(query @ true)) - sigmoid(float(query @ false))
    return -math.log(sigmoid(gain))


def hide(row: list[int], positions: Tensor) -> list[int]:
    return [V if positions[t] else item for t, item in enumerate(row)]


@torch.no_grad()
def loop(model: S3Rec, graph: HeteroData, seed: int) -> dict[str, float]:
    """All four sums, divided by the rows; draws in the order of the model's."""
    [objective], backbone = model.objectives, model.backbone
    torch.manual_seed(seed)
    batch = rows(ROWS)
    masked = bernoulli_mask(batch, objective.mask_rate) | last_position(batch)
    negatives = sample_negatives(batch)
    segment = segment_mask(batch)
    swapped = swap_segment(batch, segment, graph[INTERACTS].edge_index[1])
    table = backbone.features.weight

    def states(row: list[int]) -> Tensor:
        """Of one row, from both directions; V is a masked position."""
        x = torch.stack([backbone.token if v == V else table[v] for v in row])[None]
        real = torch.ones(1, len(row), dtype=torch.bool)
        return backbone.encoder(x, real, causal=False)[0]

    sums = dict.fromkeys(WEIGHTS, 0.0)
    for b, row in enumerate(ROWS):
        for t, (item, state) in enumerate(
            zip(row, states(hide(row, masked[b])), strict=True)
        ):
            if masked[b, t]:
                negative = table[int(negatives[b, t])]
                query = objective.maps["item"](state)
                sums["item"] += double_sigmoid(query, table[item], negative)
            task = "hidden_attribute" if masked[b, t] else "attribute"
            query = objective.maps[task](state)
            for a in range(A):
                p = sigmoid(float(query @ objective.attributes[a]))
                sums[task] -= math.log(p if a in OWNED[item] else 1 - p)
        other = swapped.items[b, : len(row)].tolist()
        rest = states(hide(row, segment[b]))[-1]
        true = states(hide(row, ~segment[b]))[-1]
        false = states(hide(other, ~segment[b]))[-1]
        sums["segment"] += double_sigmoid(objective.maps["segment"](rest), true, false)
    return {k: WEIGHTS[k] * v / len(ROWS) for k, v in sums.items()}


def shaken(model: S3Rec) -> S3Rec:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return model.double()


def with_all_tasks(**options: Any) -> S3Rec:
    encoder = {"Transformer": {"layers": 2, "dropout": 0.0}}
    weights = {f"{task}_weight": weight for task, weight in WEIGHTS.items()}
    sizes = {"dim": 4, "max_length": 6, "encoder": encoder}
    given = {"variant": "full", "num_attributes": A} | weights | options
    return shaken(small(sizes, V, **given))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_terms_are_their_equations(graph: HeteroData, seed: int) -> None:
    """Added to the next item, and as the losses of the first stage."""
    model, batch = with_all_tasks(pretrain_epochs=0), training_batch()
    expected = loop(model, graph, seed)
    torch.manual_seed(seed)
    [objective] = model.objectives
    encoding = model.backbone.encode(model.item_vectors(graph), batch, graph)
    found = objective.terms(encoding, graph)
    pretrained = with_all_tasks()
    torch.manual_seed(seed)
    alone = pretrained.stages()[0].steps[0].losses(batch, graph)
    assert found.keys() == alone.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-8), name
        assert torch.equal(alone[name], found[name])


def test_more_attributes_than_vectors_are_refused(graph: HeteroData) -> None:
    graph["attribute"].num_nodes = 5
    with pytest.raises(GraphError, match="set num_attributes=5"):
        with_all_tasks().stages()[0].steps[0].losses(training_batch(), graph)


def test_attributes_without_items_are_negatives(graph: HeteroData) -> None:
    graph["attribute"].num_nodes = 2
    edges = graph[HAS_ATTRIBUTE].edge_index
    graph[HAS_ATTRIBUTE].edge_index = edges[:, edges[1] < 2]
    terms = with_all_tasks().stages()[0].steps[0].losses(training_batch(), graph)
    assert all(term.isfinite() for term in terms.values())


@pytest.fixture(scope="module")
def described(cycle: HeteroData) -> HeteroData:
    """The ring, whose even and odd items differ by an attribute."""
    ids = cycle["item"].vocabulary.ids.to_list()
    return Attributes({item: [place % 2] for place, item in enumerate(ids)})(cycle)


@pytest.mark.parametrize("variant", TASKS)
def test_pretraining_trains_all_and_fine_tuning_what_ranks(
    lab: Any, variant: Any, described: HeteroData
) -> None:
    model = small(variant=variant)
    assert (HAS_ATTRIBUTE in model.requires) == (variant == "full")
    first, second = model.stages()
    assert (first.epochs, first.sampler) == (2, "prefix")
    assert (second.epochs, second.sampler) == (None, None)
    batch = lab.load(model, described)[0]
    terms = first.steps[0].losses(batch, described)
    assert tuple(terms) == TASKS[variant]
    torch.stack([*terms.values()]).sum().backward()
    trained = {id(p) for p in first.steps[0].trains(model)}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
        assert id(parameter) in trained
    model.zero_grad()
    terms = second.steps[0].losses(batch, described)
    assert [*terms] == ["next_item"]
    terms["next_item"].backward()
    for name, parameter in model.named_parameters():
        ranks = name.startswith("backbone.") and name != "backbone.token"
        assert (parameter.grad is not None and parameter.grad.any()) == ranks, name


def test_without_pretraining_the_next_item_is_sasrecs(
    lab: Any, cycle: HeteroData
) -> None:
    model = small(pretrain_epochs=0)
    [stage] = model.stages()
    assert stage.epochs is None
    batch = lab.load(model, cycle)[0]
    assert [*model.losses(batch, cycle)] == ["next_item", "item"]
    sasrec = SASRec(48, model.backbone)
    assert torch.equal(
        model.losses(batch, cycle)["next_item"],
        sasrec.losses(batch, cycle)["next_item"],
    )
    histories = lab.test_batch(model, cycle)
    assert torch.equal(model.score(histories, cycle), sasrec.score(histories, cycle))


def test_pretraining_leaves_the_batch_and_the_encoder_causal(
    lab: Any, described: HeteroData
) -> None:
    model = small(variant="full")
    batch = lab.load(model, described)[0]
    items, targets = batch.items.clone(), batch.targets.clone()
    model.stages()[0].steps[0].losses(batch, described)
    assert torch.equal(batch.items, items) and torch.equal(batch.targets, targets)
    assert model.backbone.encoder.causal


def test_fit_runs_both_stages(described: HeteroData) -> None:
    model = small(variant="full", pretrain_epochs=1, pretrain_batch_size=64)
    run = fit(model, described, max_epochs=2, progress=False, accelerator="cpu")
    first, second = run.history
    assert first["hidden_attribute"] > 0 and first["next_item"] is None
    assert second["next_item"] > 0 and second["item"] is None


def test_attributes_need_their_number_and_their_edges(cycle: HeteroData) -> None:
    with pytest.raises(ConfigError, match=r"num_attributes: .* found None"):
        MutualInformation(variant="full")
    with pytest.raises(GraphError, match="has"):
        small(variant="full").check(cycle)


def test_an_encoder_of_one_direction_is_refused() -> None:
    with pytest.raises(ConfigError, match="both directions, a Transformer; found GRU"):
        small({"encoder": {"GRU": {}}})
