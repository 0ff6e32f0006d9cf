"""Caser: its score, its looks ahead and its norms as loops; with and without users."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from graphseq.models.check import check_fits
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import by_user, synthetic
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import build_graph
from graphseq.models import Caser
from graphseq.nn import Embedding
from graphseq.sequences import Batch, SequenceLoader

HEADS = [(o, u) for o in ("tied", "separate") for u in (True, False)]


def small(num_users: int = 48, num_items: int = 12, **options) -> Caser:
    torch.manual_seed(0)
    given = {"dim": 4, "window": 3, "horizontal": 2, "vertical": 2, "max_length": 8}
    given |= {"dropout": 0.0}
    made = Caser(num_users, num_items, **(given | options)).double().eval()
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
def test_ce_is_the_softmax_over_all_items_at_every_asked_place(
    cycle: HeteroData, sampler: str, output: str, user_vector: bool
) -> None:
    model = small(output=output, user_vector=user_vector, sampler=sampler)
    batch = only_batch(cycle, sampler)
    some = torch.arange(0, len(batch), 9)
    batch = Batch(
        batch.user[some],
        batch.items[some],
        batch.lengths[some],
        12,
        batch.targets[some],
    )
    losses = []
    for row in range(len(batch)):
        for place in range(int(batch.lengths[row])):
            target = batch.targets[row, place]
            if target == 12:
                continue
            history = batch.items[row, : place + 1].tolist()
            scores = [score(model, history, int(batch.user[row]), v) for v in range(12)]
            losses.append(F.cross_entropy(torch.stack(scores), target))
    terms = model.losses(batch, cycle)
    torch.testing.assert_close(terms["next_item"], torch.stack(losses).mean())
    assert set(terms) == {"next_item"}


def test_three_steps_ahead_are_the_original_loss_written_as_loops(
    cycle: HeteroData,
) -> None:
    """Each state: three targets, three negatives; both means, as the authors' code."""
    model = small(steps=3, output="separate", loss="bce")
    batch = only_batch(cycle)
    some = torch.arange(0, len(batch), 8)
    batch = replace(
        batch,
        **{
            name: getattr(batch, name)[some]
            for name in ("user", "items", "lengths", "targets", "negatives", "example")
        },
    )
    positive, negative = [], []
    for row in range(len(batch)):
        n = int(batch.lengths[row])
        for place in range(n):
            history = batch.items[row, : place + 1].tolist()
            for later in range(place, min(place + 3, n)):
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
    """RecBole: not squared; users, items, filters and layers, each by itself."""
    model = small(norm_weight=0.5)
    total = 0.0
    for name, weight in model.named_parameters():
        if "bias" not in name:
            total += math.sqrt(sum(v * v for v in weight.flatten().tolist()))
    assert model.losses(only_batch(cycle), cycle)["norms"].item() == pytest.approx(
        0.5 * total
    )


def test_a_vector_for_each_user_knows_users_and_none_does_not() -> None:
    assert (
        small().has_user_embeddings and not small(user_vector=False).has_user_embeddings
    )
    log = synthetic.cycle(40, 12, length=9, seed=0)
    graph = build_graph(by_user(log))
    with pytest.raises(GraphError, match="embedding for each user"):
        check_fits(small(40), graph)
    check_fits(small(40, user_vector=False), graph)


def test_without_a_user_vector_only_the_history_counts(lab, cycle: HeteroData) -> None:
    for user_vector in (True, False):
        model = small(user_vector=user_vector)
        batch = lab.test_batch(model, cycle)
        other = replace(batch, user=batch.user.roll(1))
        same = torch.equal(model.score(other, cycle), model.score(batch, cycle))
        assert same != user_vector


def test_looking_ahead_needs_more_than_one_target_a_row() -> None:
    with pytest.raises(ConfigError, match="steps=3"):
        small(steps=3, sampler="prefix")
    with pytest.raises(ConfigError, match="steps=0"):
        small(steps=0)


def test_features_decide_the_width(cycle: HeteroData) -> None:
    model = small(features=Embedding(12, dim=6), output="separate")
    assert model.outputs.shape == (12, 12) and model.users.shape == (48, 6)
    assert model.item_vectors(cycle).shape == (12, 13), "the last one is the bias"


def test_the_original_may_go_without_its_users() -> None:
    model = Caser.preset("original", 48, 12, user_vector=False)
    assert model.num_negatives == 1 and model.users is None
    assert model.outputs.shape == (12, 50)


@pytest.mark.parametrize("output", ["tied", "separate"])
def test_parameters_start_as_in_both_codes(output: Any) -> None:
    """Tables N(0, 1/D²), D their own width; RecBole's dense layers Xavier."""
    torch.manual_seed(0)
    model = Caser(3000, 3000, dim=50, output=output)
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
