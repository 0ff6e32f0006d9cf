"""EC4SRec: updates, terms against loops, guided views, guided retrieval."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import EC4SRec, ExplainedViews
from graphseq.models.ec4srec import update_epochs
from graphseq.models.explanation import importances, normalise
from graphseq.sequences import Batch
from graphseq.sequences.guided_augment import GuidedAugmentation
from graphseq.sequences.same_target import (
    retrieval_probabilities,
    shared_importance,
)

SSL: dict[str, Any] = {"target_weight": 0.0}
SL: dict[str, Any] = {"view_weight": 0.0, "negative_weight": 0.0}
VIEWS = {"views", "negative_views"}


def small(backbone: dict[str, Any] | None = None, **options: Any) -> EC4SRec:
    torch.manual_seed(0)
    sizes = {"dim": 8, "max_length": 6} | (backbone or {})
    objective = ExplainedViews(**{"updates": [2, 5]} | options)
    return EC4SRec(48, EC4SRec.default_backbone(12, **sizes), objective=objective)


def refreshed(graph: HeteroData, epoch: int, model: EC4SRec) -> tuple[Any, Any, Any]:
    """The objective, its index and its importances before an epoch."""
    with torch.no_grad():
        model.eval().refresh(graph, epoch)
    [objective] = model.objectives
    return objective, objective.index, objective.scores


@pytest.fixture
def batch(lab: Any, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=10)[0]


@pytest.mark.parametrize(
    "options, before, later",
    [
        ({}, {"same_target"}, VIEWS),
        (SSL, set(), VIEWS),
        (SL, {"same_target"}, set()),
    ],
)
def test_terms_before_and_after_the_first_update(
    cycle: HeteroData,
    batch: Batch,
    options: dict[str, Any],
    before: set[str],
    later: set[str],
) -> None:
    model = small(**options)
    with pytest.raises(RuntimeError, match="call refresh"):
        model.losses(batch, cycle)
    for epoch in range(4):
        refreshed(cycle, epoch, model)
        expected = before if epoch < 2 else before | later
        assert model.losses(batch, cycle).keys() == {"next_item", *expected}
        assert bool(model.epoch_state) == (epoch >= 2)


def test_a_run_does_not_stop_before_the_first_update() -> None:
    assert small().warmup == 2
    assert EC4SRec(9, 9).warmup == 15


@pytest.mark.parametrize(
    "updates, horizon, expected",
    [
        ([15, 30], 150, (15, 30)),
        ([30, 15, 15], 150, (15, 30)),
        (1, 150, (75,)),
        (2, 150, (50, 100)),
        (4, 150, (30, 60, 90, 120)),
        (3, 10, (2, 5, 7)),
    ],
)
def test_updates_are_listed_or_spread_evenly(
    updates: list[int] | int, horizon: int, expected: tuple[int, ...]
) -> None:
    assert update_epochs(updates, horizon) == expected
    if isinstance(updates, int):
        steps = range(1, updates + 1)
        assert expected == tuple(math.floor(k * horizon / (updates + 1)) for k in steps)


def test_importances_change_at_updates_only(cycle: HeteroData) -> None:
    model, kept = small(), {}
    for epoch in range(8):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        _, index, kept[epoch] = refreshed(cycle, epoch, model)
    assert kept[0] is None and kept[1] is None
    assert all(torch.equal(kept[2], kept[e]) for e in (3, 4))
    assert all(torch.equal(kept[5], kept[e]) for e in (6, 7))
    assert not torch.equal(kept[2], kept[5])
    assert len(kept[2]) == int(index.examples.length.sum()), "without padding"
    assert not [n for n in model.state_dict() if "score" in n], "not saved with weights"
    refreshed(cycle, 0, model)
    assert not model.epoch_state, "another run starts without importances"


@pytest.mark.parametrize("explanation", ["occlusion", "popularity"])
@pytest.mark.parametrize("sampler", ["prefix", "targets", "user"])
def test_importances_are_those_of_the_row(
    loops: Any, noise: HeteroData, sampler: Any, explanation: Any
) -> None:
    objective = ExplainedViews(updates=[0], explanation=explanation)
    model = loops.build(EC4SRec, noise, {"sampler": sampler}, objective=objective)
    objective, index, scores = refreshed(noise, 0, model)
    batch, items = loops.batch(model, noise), model.item_vectors(noise)
    found = importances(scores, index, index.indices(batch), batch)
    encoder, count = model.backbone.encoder, torch.bincount(index.flat, minlength=20)
    for i, n in enumerate(batch.lengths.tolist()):
        row, real = batch.items[i, :n], torch.ones(1, n, dtype=torch.bool)
        if explanation == "popularity":
            assert found[i, :n].tolist() == count[row].tolist()
            continue
        x = items[row][None]
        best = (encoder(x, real)[0, -1] @ items.T).max()
        for t in range(n):
            occluded = x.clone()
            occluded[0, t] = 0
            without = (encoder(occluded, real)[0, -1] @ items.T).max()
            torch.testing.assert_close(found[i, t], best - without)


def negative_contrast(
    first: Tensor, second: Tensor, negative: Tensor, t: float
) -> float:
    """L_cl- of the authors' code, anchor by anchor."""
    everything, number, total = [*first, *second, *negative], len(first), 0.0
    for u in range(number):
        mass = sum(
            math.exp(float(negative[u] @ other) / t)
            for at, other in enumerate(everything)
            if at != 2 * number + u
        )
        for v in range(number):
            own = float(negative[u] @ negative[v]) / t
            total += 0.0 if u == v else (math.log(mass) - own) / (number - 1)
    return total / number


@pytest.mark.parametrize("exclude, directions", [(True, "sum"), (False, "mean")])
@pytest.mark.parametrize("sampler", ["prefix", "targets", "user"])
def test_terms_are_their_equations(
    loops: Any, noise: HeteroData, sampler: Any, exclude: bool, directions: Any
) -> None:
    weights = {"view_weight": 0.2, "negative_weight": 0.03, "target_weight": 0.4}
    objective = ExplainedViews(
        updates=[0],
        temperature=0.7,
        negative_temperature=0.3,
        exclude_same_target=exclude,
        directions=directions,
        **weights,
    )
    model = loops.build(EC4SRec, noise, {"sampler": sampler}, objective=objective)
    objective, index, scores = refreshed(noise, 0, model)
    batch, items = loops.batch(model, noise, 20), model.item_vectors(noise)
    terms = loops.after(5, lambda: model.losses(batch, noise))
    torch.manual_seed(5)
    others = objective.retrieved(batch, index)
    views = objective.views(batch, index, scores)
    assert len(views) == 3 * len(batch)
    h, r = (loops.vectors(model.backbone, items, rows) for rows in (batch, others))
    first, second, negative = loops.vectors(model.backbone, items, views).chunk(3)
    targets = loops.last_targets(batch)
    assert loops.last_targets(others) == targets
    same = loops.equal_pairs(targets) if exclude else None
    same_target = loops.nt_xent(h, r, 0.7, same, directions=directions)
    loops.check(terms["same_target"], 0.4 * same_target)
    positive = loops.nt_xent(first, second, 0.7, directions=directions)
    loops.check(terms["views"], 0.2 * positive)
    expected = 0.03 * negative_contrast(first, second, negative, 0.3)
    loops.check(terms["negative_views"], expected)


def test_the_second_pass_has_its_own_dropout(
    cycle: HeteroData, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(**SL)
    refreshed(cycle, 0, model)
    last, passes = model.train().backbone.last, []

    def encode(*arguments: Any) -> Tensor:
        passes.append(last(*arguments))
        return passes[-1]

    monkeypatch.setattr(model.backbone, "last", encode)
    model.losses(batch, cycle)
    assert len(passes) == 3  # the next item, once more, and the retrieved rows
    assert not torch.allclose(passes[0], passes[1])


@pytest.mark.parametrize("sampler", ["prefix", "targets", "user"])
def test_positive_views_keep_what_is_important(
    lab: Any, cycle: HeteroData, sampler: Any
) -> None:
    """Of 6 items, 1 is important and 4 are unimportant."""
    model = small({"sampler": sampler})
    objective, index, scores = refreshed(cycle, 2, model)
    torch.manual_seed(0)
    checked = 0
    for batch in lab.load(model, cycle, batch_size=40):
        importance = importances(scores, index, index.indices(batch), batch)
        views = objective.views(batch, index, scores).items.chunk(3)
        for row in (batch.lengths == 6).nonzero()[:, 0].tolist():
            items, order = batch.items[row].tolist(), importance[row].argsort().tolist()
            positive = [view[row].tolist() for view in views[:2]]
            for view in positive:
                kept = [item for item in view if item != 12]
                if len(kept) == 1:
                    assert kept == [items[order[-1]]]
                else:
                    assert all(view[i] == items[i] for i in order[4:])
            assert positive[0] != positive[1]
            negative = [item for item in views[2][row].tolist() if item != 12]
            if len(negative) < 6:
                assert items[order[-1]] not in negative
            checked += 1
    assert checked >= 48


def test_rows_of_one_item_are_their_own_positive_views(
    lab: Any, cycle: HeteroData
) -> None:
    model = small()
    objective, index, scores = refreshed(cycle, 2, model)
    batch = lab.load(model, cycle, batch_size=200)[0]
    single = batch.lengths == 1
    assert single.sum() > 20
    first, second, negative = objective.views(batch, index, scores).items.chunk(3)
    assert torch.equal(first[single], second[single])
    assert torch.equal(first[single, 0], batch.items[single, 0])
    drawn = negative[single]
    assert (drawn[:, 0] < 12).all() and (drawn[:, 1:] == 12).all()
    assert len(drawn[:, 0].unique()) > 5


@pytest.mark.parametrize("utility, temperature", [("code", 0.05), ("paper", 1.0)])
@pytest.mark.parametrize("clip", [False, True])
def test_retrieval_is_by_the_importance_of_shared_items(
    loops: Any, noise: HeteroData, utility: Any, temperature: float, clip: bool
) -> None:
    """For the prefix where it matters most whether negative scores are clipped."""
    options = {"utility": utility, "utility_temperature": temperature, "clip": clip}
    objective = ExplainedViews(updates=[0], **options)
    model = loops.build(EC4SRec, noise, objective=objective)
    objective, index, scores = refreshed(noise, 0, model)
    rows = torch.arange(len(index.target))
    owner, candidates = index.candidates(rows)
    others, batch = index.gather(candidates), index.gather(rows)
    importance = importances(scores, index, candidates, others)

    def probabilities(clip: bool) -> Tensor:
        weight = normalise(importance, others.mask, clip=clip)
        return retrieval_probabilities(
            *shared_importance(batch, owner, others, weight),
            batch.lengths[owner],
            others.lengths,
            owner,
            utility=utility,
            temperature=temperature,
        )

    p, gap = probabilities(clip), (probabilities(True) - probabilities(False)).abs()
    row = owner[gap.argmax()]
    assert gap.max() > 0.1
    torch.manual_seed(0)  # of the sampler "prefix", examples are prefixes
    found = objective.retrieved(index.gather(row.repeat(3000)), index).example
    p, own = p[owner == row], candidates[owner == row]
    frequency = torch.stack([(found == c).sum() for c in own]) / 3000
    assert ((frequency - p).abs() <= 5 * (p * (1 - p) / 3000).sqrt() + 1e-6).all()


@pytest.mark.parametrize("limit", [512, 1])
def test_candidates_are_limited(cycle: HeteroData, limit: int) -> None:
    """Near the temperature 0 the best candidate is drawn; a single one is random."""
    options = {"max_candidates": limit, "utility_temperature": 1e-4}
    objective, index, _ = refreshed(cycle, 2, small(**options))
    row = int((index.examples.length == 4).nonzero()[0])
    found = objective.retrieved(index.gather(torch.full((200,), row)), index)
    different = len(found.items.unique(dim=0))
    assert different == 1 if limit == 512 else different > 3


def test_before_the_first_update_retrieval_is_duorecs(
    monkeypatch: pytest.MonkeyPatch, cycle: HeteroData, batch: Batch
) -> None:
    objective, index, _ = refreshed(cycle, 0, small())
    monkeypatch.setattr(type(index), "draw", lambda self, rows: rows.flip(0))
    found = objective.retrieved(batch, index)
    assert torch.equal(found.example, batch.example.flip(0))


def test_parameters_are_those_of_the_specification() -> None:
    """2.16."""
    model = EC4SRec(22_363, 12_101)
    assert sum(p.numel() for p in model.parameters()) == 877_824 - 64


@pytest.mark.parametrize("updates", [0, [], [-1]])
def test_objectives_without_updates_are_refused(updates: Any) -> None:
    with pytest.raises(ConfigError, match="updates"):
        ExplainedViews(updates=updates)
    with pytest.raises(ConfigError, match="negative"):
        GuidedAugmentation(negative=())


def test_attention_of_another_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match="Transformer"):
        small({"encoder": {"GRU": {}}}, explanation="attention")
