"""Caser: scores, multi-step losses and norms as loops; with and without users."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import by_user, synthetic
from graphseq.errors import GraphError
from graphseq.graphs import build_graph
from graphseq.models import Backbone, Caser
from graphseq.nn import Convolution
from graphseq.schema import OptionError
from graphseq.sequences import Batch, SequenceLoader

HEADS = [(o, u) for o in ("tied", "separate") for u in (True, False)]


def small(num_users: int = 48, num_items: int = 12, **options) -> Caser:
    torch.manual_seed(0)
    sizes = {"window": 3, "horizontal": 2, "vertical": 2, "dropout": 0.0}
    names = [n for n in ("sampler", "loss") if n in options]
    parts = {n: options.pop(n) for n in names} | {"max_length": 8}
    backbone = Backbone(num_items, encoder=Convolution(4, **sizes), **parts)
    made = Caser(num_users, backbone, **options).double().eval()
    if made.bias is not None:
        torch.nn.init.normal_(made.bias)
    return made


def only_batch(graph: HeteroData, sampler: str = "targets", **options) -> Batch:
    given = {"batch_size": 10_000, "max_length": 8, "num_negatives": 1}
    (batch,) = SequenceLoader(graph, sampler, **(given | options))
    return batch


def score(model: Caser, items: list[int], user: int, item: int) -> Tensor:
    """One number: the paper's, or RecBole's, from one image and one user."""
    table = model.backbone.features.weight
    w = dict(model.named_parameters())
    x = table[torch.tensor(items)][None]
    z = model.backbone.encoder(x, torch.ones(1, len(items)).bool())[0, -1]
    if model.users is not None:
        z = torch.cat([z, w["users"][user]])
    if model.blend is None:
        return w["outputs"][item] @ z + w["bias"][item]
    x = (w["blend.weight"] @ z + w["blend.bias"]).clamp(min=0)
    return table[item] @ x


@pytest.mark.parametrize(("output", "user_vector"), HEADS)
def test_scores_are_those_of_one_history_and_one_user(
    lab, cycle: HeteroData, output: str, user_vector: bool
) -> None:
    model = small(output=output, user_vector=user_vector)
    batch = replace(lab.test_batch(model, cycle), user=torch.arange(48).flip(0))
    found = model.score(batch, cycle)
    for row in (0, 5, 47):
        history = batch.items[row, : int(batch.lengths[row])].tolist()
        for item in (0, 7, 11):
            expected = score(model, history, int(batch.user[row]), item)
            torch.testing.assert_close(found[row, item], expected)


@pytest.mark.parametrize("sampler", ["targets", "prefix", "user"])
@pytest.mark.parametrize(("output", "user_vector"), HEADS)
def test_ce_is_the_softmax_over_all_items_at_every_target(
    cycle: HeteroData, sampler: str, output: str, user_vector: bool
) -> None:
    model = small(output=output, user_vector=user_vector, sampler=sampler)
    batch = only_batch(cycle, sampler)
    rows = torch.arange(0, len(batch), 19)
    batch = Batch(
        batch.user[rows],
        batch.items[rows],
        batch.lengths[rows],
        12,
        batch.targets[rows],
    )
    losses = []
    for row in range(len(batch)):
        for position in range(int(batch.lengths[row])):
            target = batch.targets[row, position]
            if target == 12:
                continue
            history = batch.items[row, : position + 1].tolist()
            scores = [score(model, history, int(batch.user[row]), v) for v in range(12)]
            losses.append(F.cross_entropy(torch.stack(scores), target))
    terms = model.losses(batch, cycle)
    torch.testing.assert_close(terms["next_item"], torch.stack(losses).mean())
    assert set(terms) == {"next_item"}


def test_three_steps_are_the_original_loss_written_as_loops(
    cycle: HeteroData,
) -> None:
    """Three targets and negatives of each state; two means, as in the authors' code."""
    model = small(steps=3, output="separate", loss="bce")
    batch = only_batch(cycle)
    rows = torch.arange(0, len(batch), 8)
    batch = replace(
        batch,
        **{
            name: getattr(batch, name)[rows]
            for name in ("user", "items", "lengths", "targets", "negatives", "example")
        },
    )
    positive, negative = [], []
    for row in range(len(batch)):
        n = int(batch.lengths[row])
        for position in range(n):
            history = batch.items[row, : position + 1].tolist()
            for later in range(position, min(position + 3, n)):
                target = int(batch.targets[row, later])
                other = int(batch.negatives[row, later, 0])
                user = int(batch.user[row])
                up = score(model, history, user, target).item()
                down = score(model, history, user, other).item()
                positive.append(-math.log(1 / (1 + math.exp(-up))))
                negative.append(-math.log(1 - 1 / (1 + math.exp(-down))))
    expected = sum(positive) / len(positive) + sum(negative) / len(negative)
    found = model.losses(batch, cycle)["next_item"].item()
    assert found == pytest.approx(expected)


def test_norms_are_of_every_weight_and_of_no_bias(cycle: HeteroData) -> None:
    """RecBole: not squared; users, items, filters and layers, each on its own."""
    model = small(norm_weight=0.5)
    total = 0.0
    for name, weight in model.named_parameters():
        if "bias" not in name:
            total += math.sqrt(sum(v * v for v in weight.flatten().tolist()))
    assert model.losses(only_batch(cycle), cycle)["norms"].item() == pytest.approx(
        0.5 * total
    )


def test_only_user_vectors_need_training_events_of_each_user() -> None:
    assert (
        small().has_user_embeddings and not small(user_vector=False).has_user_embeddings
    )
    log = synthetic.cycle(40, 12, length=9, seed=0)
    graph = build_graph(by_user(log))
    with pytest.raises(GraphError, match="a vector for each user"):
        small(40).check(graph)
    small(40, user_vector=False).check(graph)


def test_without_user_vectors_only_the_history_matters(lab, cycle: HeteroData) -> None:
    for user_vector in (True, False):
        model = small(user_vector=user_vector)
        batch = lab.test_batch(model, cycle)
        other = replace(batch, user=batch.user.roll(1))
        same = torch.equal(model.score(other, cycle), model.score(batch, cycle))
        assert same != user_vector


def test_several_steps_need_several_targets_per_row() -> None:
    with pytest.raises(OptionError, match="steps above 1 need a target at every"):
        small(steps=3, sampler="prefix")


def test_separate_outputs_have_the_width_of_both_vectors(cycle: HeteroData) -> None:
    model = small(output="separate")
    assert model.outputs.shape == (12, 8) and model.users.shape == (48, 4)
    assert model.item_vectors(cycle).shape == (12, 9), "the last one is the bias"
    assert small(output="separate", user_vector=False).outputs.shape == (12, 4)


@pytest.mark.parametrize("output", ["tied", "separate"])
def test_parameters_start_as_in_both_codes(output: Any) -> None:
    """Tables N(0, 1/D²), D their own width; RecBole's dense layers Xavier."""
    torch.manual_seed(0)
    backbone = Caser.default_backbone(3000, dim=50)
    model = Caser(3000, backbone, output=output)
    tables = {"items": model.backbone.features.weight, "users": model.users}
    widths = {"items": 50, "users": 50}
    if output == "separate":
        tables["outputs"], widths["outputs"] = model.outputs, 100
    for name, table in tables.items():
        assert table.shape[1] == widths[name]
        assert table.std().item() == pytest.approx(1 / widths[name], rel=0.03), name
    dense = [model.backbone.encoder.out]
    dense += [] if model.blend is None else [model.blend]
    for layer in dense:
        rows, columns = layer.weight.shape
        spread = (2 / (rows + columns)) ** 0.5
        assert layer.weight.std().item() == pytest.approx(spread, rel=0.05)
        assert not layer.bias.any()
