"""SASRec: its three losses as loops, and equal targets of all samplers."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch_geometric.data import HeteroData

from graphseq.data import synthetic
from graphseq.models import Backbone, SASRec
from graphseq.nn import Embedding, Propagated, Transformer
from graphseq.sequences import SequenceLoader


def small(**options) -> SASRec:
    torch.manual_seed(0)
    given = {"encoder": Transformer(8, 8, layers=1), "max_length": 8}
    return SASRec(48, Backbone(12, **(given | options))).double().eval()


def only_batch(graph: HeteroData, sampler: str = "targets", **options):
    given = {"batch_size": 10_000, "max_length": 8, "num_negatives": 3}
    (batch,) = SequenceLoader(graph, sampler, **(given | options))
    return batch


def test_parameters_are_those_of_the_specification() -> None:
    """U-16, less the rows for padding and mask that our item table does not have."""
    model = SASRec(22_363, 12_101)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 877_760 == 877_888 - 2 * 64


def test_ce_is_the_cross_entropy_of_every_position_with_a_target(
    cycle: HeteroData,
) -> None:
    model, batch = small(), only_batch(cycle)
    states, items = (
        model.backbone.states(model.backbone.features.weight, batch),
        model.backbone.features.weight,
    )
    losses = []
    for row in range(len(batch)):
        for position in range(int(batch.lengths[row])):
            target = batch.targets[row, position]
            if target != 12:
                losses.append(F.cross_entropy(items @ states[row, position], target))
    terms = model.losses(batch, cycle)
    torch.testing.assert_close(terms["next_item"], torch.stack(losses).mean())
    assert set(terms) == {"next_item"}


@pytest.mark.parametrize("loss", ["bce", "gbce"])
def test_sampled_losses_are_the_equations_written_as_loops(
    cycle: HeteroData, loss: str
) -> None:
    model, batch = small(loss=loss, num_negatives=3), only_batch(cycle)
    states, items = (
        model.backbone.states(model.backbone.features.weight, batch),
        model.backbone.features.weight,
    )
    alpha = 3 / 11
    beta = 1.0 if loss == "bce" else alpha * (0.75 * (1 - 1 / alpha) + 1 / alpha)
    total, number = 0.0, 0
    for row in range(len(batch)):
        for position in range(batch.items.shape[1]):
            if batch.targets[row, position] == 12:
                continue
            score = (states[row, position] @ items[batch.targets[row, position]]).item()
            total += beta * math.log1p(math.exp(-score))
            for other in batch.negatives[row, position].tolist():
                total += math.log1p(
                    math.exp((states[row, position] @ items[other]).item())
                )
            number += 1
    found = model.losses(batch, cycle)["next_item"].item()
    assert found == pytest.approx(total / number)


def test_only_the_sampled_losses_have_negatives() -> None:
    assert small().num_negatives == 0
    assert small(loss="bce").num_negatives == 1
    assert small(loss="gbce", num_negatives=4).num_negatives == 4


@pytest.mark.parametrize("sampler", ["prefix", "user"])
@pytest.mark.parametrize("features", ["Embedding", "Propagated"])
def test_all_samplers_have_the_same_loss_when_sequences_fit(
    cycle: HeteroData, sampler: str, features: str
) -> None:
    """With positions from the start, a prefix has the state of a window's position."""
    kind = {"Embedding": Embedding, "Propagated": Propagated}[features]
    torch.manual_seed(1)
    model = small(features=kind(12, dim=8, std=1.0))
    whole = model.losses(only_batch(cycle), cycle)["next_item"]
    apart = model.losses(only_batch(cycle, sampler), cycle)["next_item"]
    torch.testing.assert_close(apart, whole)


def test_a_state_does_not_depend_on_later_items(cycle: HeteroData) -> None:
    model, batch = small(), only_batch(cycle)
    items = model.backbone.features.weight
    later = replace(batch, items=batch.items.clone())
    later.items[:, 3:] = 0
    torch.testing.assert_close(
        model.backbone.states(items, later)[:, :3],
        model.backbone.states(items, batch)[:, :3],
    )


def test_scores_depend_on_the_history_only(lab, cycle: HeteroData) -> None:
    model = small()
    batch = lab.test_batch(model, cycle)
    scores = model.score(batch, cycle)
    other = replace(batch, user=batch.user.flip(0))
    assert torch.equal(model.score(other, cycle), scores)
    assert torch.equal(model.score(batch, HeteroData()), scores)
    reversed_ = replace(batch, items=batch.items.flip(1))
    assert not torch.allclose(model.score(reversed_, cycle), scores)


def test_propagated_features_are_encoded_and_scored(lab, cycle: HeteroData) -> None:
    torch.manual_seed(0)
    model = small(features=Propagated(12, dim=8, layers=2, std=1.0))
    items = model.backbone.features(cycle)
    torch.testing.assert_close(model.item_vectors(cycle), items)
    plain = small(features=Embedding(12, dim=8))
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        plain.backbone.features.weight[:] = items
    batch = lab.test_batch(model, cycle)
    expected = plain.score(batch, cycle)
    torch.testing.assert_close(model.score(batch, cycle), expected)


@pytest.mark.parametrize("loss", ["bce", "gbce"])
def test_sampled_losses_learn_a_ring(lab, loss: str) -> None:
    """The history is excluded: a user's own items are never negatives."""
    graph = lab.graph_of(synthetic.cycle(90, 30, length=7, seed=0))
    encoder = {"Transformer": {"dropout": 0.0}}
    options = {"loss": loss, "num_negatives": 2, "encoder": encoder}
    model = lab.build("SASRec", graph, backbone=options)
    lab.train(model, graph, 15, lr=0.02)
    batch = lab.test_batch(model, graph)
    scores = model.score(batch, graph).scatter(1, graph.test.history.view(90, 6), -1e9)
    best = scores.topk(3).indices
    hits = (best == graph.test.target[:, None]).any(dim=1).float().mean()
    assert hits > 0.9  # chance: 3 of 24
