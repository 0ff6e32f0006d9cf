"""MCLRec: both losses against loops, alternating steps, views that steps share."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import LearnedViews, MCLRec, Stage, Step
from graphseq.sequences import Batch

OWN = {"encoder_steps", "in_turn", "joint"}


def small(backbone: dict[str, Any] | None = None, **options: Any) -> MCLRec:
    torch.manual_seed(0)
    own = {n: options.pop(n) for n in OWN & options.keys()}
    sizes = {"dim": 8, "max_length": 6} | (backbone or {})
    objective = LearnedViews(**{"cl1_weight": 0.2, "cl2_weight": 0.5} | options)
    return MCLRec(48, MCLRec.default_backbone(12, **sizes), objective=objective, **own)


@pytest.fixture
def batch(lab: Any, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=10)[0]


def overlap(first: Tensor, second: Tensor, scope: str) -> float:
    """R, anchor by anchor: how far positives and negatives overlap."""
    both, number = torch.cat([first, second]), len(first)
    positives, negatives = [], []
    for i in range(2 * number):
        partner = (i + number) % (2 * number)
        positives.append(float(both[i] @ both[partner]))
        others = [j for j in range(2 * number) if j not in (i, partner)]
        negatives.append([float(both[i] @ both[j]) for j in others])
    up, down = [], []
    for own, row in zip(positives, negatives, strict=True):
        p, n = own, max(row)
        if scope == "batch":
            p, n = min(positives), max(map(max, negatives))
        up.append(max(own - min(p, n), 0.0))
        down += [max(max(p, n) - other, 0.0) for other in row]
    return sum(up) / len(up) + sum(down) / len(down)


@pytest.mark.parametrize(
    "pairs, scope, directions", [(1, "batch", "sum"), (3, "anchor", "mean")]
)
@pytest.mark.parametrize("shared", [False, True])
def test_both_losses_are_their_equations(
    loops: Any,
    noise: HeteroData,
    pairs: Any,
    scope: Any,
    directions: Any,
    shared: bool,
) -> None:
    """As printed, a contrast sums both directions, and R halves nothing."""
    weights = {"cl1_weight": 0.2, "cl2_weight": 0.5, "gamma": 0.07, "gamma2": 0.3}
    options = {"r_pairs": pairs, "r_scope": scope, "directions": directions}
    objective = LearnedViews(**weights, **options, shared=shared)
    model = loops.build(MCLRec, noise, objective=objective)
    batch = model.with_views(loops.batch(model, noise))
    items = model.item_vectors(noise)
    terms = model.losses(batch, noise) | model.augmenter_losses(batch, noise)
    h1, h2 = loops.vectors(model.backbone, items, batch.views).chunk(2)
    assert len(objective.augmenters) == 2 - shared
    z1, z2 = objective.augmenters[0](h1).detach(), objective.augmenters[-1](h2).detach()
    views = [(z1, z2), (h1, z2), (h2, z1)]
    contrast = sum(loops.nt_xent(*pair, directions=directions) for pair in views)
    r = sum(overlap(*pair, scope) for pair in views[:pairs])
    random_views = loops.nt_xent(h1, h2, directions=directions)
    loops.check(terms["random_views"], 0.2 * random_views)
    loops.check(terms["learned_views"], 0.5 * contrast)
    loops.check(terms["regularization"], 0.07 * r)
    loops.check(terms["augmenter_views"], contrast)
    loops.check(terms["augmenter_regularization"], 0.3 * r)


def test_each_loss_trains_its_part(cycle: HeteroData, batch: Batch) -> None:
    model = small()
    torch.stack([*model.augmenter_losses(batch, cycle).values()]).sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (".augmenters." in name), name
    model.losses(batch, cycle)["learned_views"].backward()
    assert all(p.grad is not None for p in model.backbone.parameters())


@pytest.mark.parametrize(
    "options, parts",
    [
        ({}, "bab"),
        ({"encoder_steps": [1, 0]}, "ba"),
        ({"encoder_steps": [0, 2]}, "abb"),
    ],
)
def test_steps_alternate(options: dict[str, Any], parts: str) -> None:
    model = small({"mask_token": True}, **options)
    [stage] = model.stages()
    assert len(stage.steps) == len(parts)
    for part, step in zip(parts, stage.steps, strict=True):
        trained = {id(p) for p in step.trains(model)}
        for name, parameter in model.named_parameters():
            own = "b" if name.startswith("backbone.") else "a"
            assert (id(parameter) in trained) == (own == part), name


def test_joint_training_is_one_step_of_everything() -> None:
    [stage] = small(joint=True).stages()
    [step] = stage.steps
    assert step.modules == () and stage.prepare is None


def state(model: MCLRec) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The parts of the model that hold a parameter that has changed."""
    names = (n for n in before if not torch.equal(before[n], after[n]))
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("part", ["backbone", "auxiliaries"])
def test_a_step_leaves_the_other_part_unchanged(cycle: HeteroData, part: str) -> None:
    """An epoch of the trainer, of one kind of step."""
    model = small()
    backbone = part == "backbone"
    losses = model.losses if backbone else model.augmenter_losses
    trained = model.backbone if backbone else model.learned_views.augmenters
    plan = (Stage((Step(losses, (trained,)),)),)
    model.stages = lambda: plan
    before = state(model)
    fit(model, cycle, max_epochs=1, batch_size=128, monitor=None, progress=False)
    assert changed(before, state(model)) == {part}


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [{"backbone"}, {"auxiliaries"}, {"backbone"}]),
        ({"encoder_steps": [1, 0]}, [{"backbone"}, {"auxiliaries"}]),
        ({"joint": True}, [{"backbone", "auxiliaries"}]),
    ],
)
def test_the_trainer_takes_the_steps_in_turn(
    cycle: HeteroData, options: dict[str, Any], expected: list[set[str]]
) -> None:
    """Before each loss, the parts that have changed since the one before."""
    model = small(**options)
    snapshots, views = [], []

    def watched(losses: Any) -> Any:
        def watching(batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
            snapshots.append(state(model))
            views.append(batch.views)
            return losses(batch, graph)

        return watching

    model.losses = watched(model.losses)
    model.augmenter_losses = watched(model.augmenter_losses)
    fit(model, cycle, max_epochs=1, batch_size=128, monitor=None, progress=False)
    snapshots.append(state(model))
    steps = [changed(a, b) for a, b in pairwise(snapshots)]
    batches = len(steps) // len(expected)
    assert batches > 1 and steps == expected * batches
    if len(expected) == 1:
        assert views == [None] * len(views)
        return
    for first in range(0, len(views), len(expected)):
        own = views[first : first + len(expected)]
        assert all(each is own[0] for each in own)
    firsts = views[:: len(expected)]
    assert all(a is not b for a, b in pairwise(firsts))


def test_whole_passes_take_each_step_on_all_batches_before_the_next(
    cycle: HeteroData,
) -> None:
    """The batches of both passes are the same, their views are not."""
    model = small(encoder_steps=[1, 0], in_turn="epoch")
    seen: list[tuple[str, Batch]] = []
    losses, augmenter_losses = model.losses, model.augmenter_losses

    def watch(name: str, losses: Any) -> Any:
        def watching(batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
            seen.append((name, batch))
            return losses(batch, graph)

        return watching

    model.losses = watch("encoder", losses)
    model.augmenter_losses = watch("augmenters", augmenter_losses)
    run = fit(model, cycle, max_epochs=2, batch_size=128, monitor=None, progress=False)
    names = [name for name, _ in seen]
    number = len(names) // 4
    assert number > 1
    assert names == (["encoder"] * number + ["augmenters"] * number) * 2
    for (_, first), (_, second) in zip(seen[:number], seen[number:], strict=False):
        assert torch.equal(first.items, second.items)
        assert first.views is not None and second.views is not None
        assert not torch.equal(first.views.items, second.views.items)
    assert {"random_views", "augmenter_views"} <= run.history[0].keys()


def test_steps_on_one_batch_differ_by_their_dropout_alone(
    lab: Any, cycle: HeteroData
) -> None:
    model = small().train()
    batches = lab.load(model, cycle, batch_size=10)
    batch = model.with_views(max(batches, key=lambda b: int(b.lengths.min())))
    assert len(batch.views) == 2 * len(batch)
    one, other = (model.losses(batch, cycle)["random_views"] for _ in range(2))
    assert one != other
    model.eval()
    one, other = (model.losses(batch, cycle)["random_views"] for _ in range(2))
    assert one == other
    alone = replace(batch, views=None)
    one, other = (model.losses(alone, cycle)["random_views"] for _ in range(2))
    assert one != other


def test_weights_of_the_regularization_follow_the_contrast() -> None:
    objective = LearnedViews(cl2_weight=0.4)
    assert (objective.gamma, objective.gamma2) == (pytest.approx(0.04), 0.1)
    paper = LearnedViews(cl2_weight=0.4, gamma2=None)
    assert paper.gamma2 == paper.gamma
    unregularized = LearnedViews(gamma=0.0, gamma2=None)
    assert unregularized.gamma == unregularized.gamma2 == 0


@pytest.mark.parametrize(
    "options, names",
    [
        ({"cl2_weight": 0.0}, {"random_views"}),
        ({"cl1_weight": 0.0}, {"learned_views", "regularization"}),
        ({"cl2_weight": 0.0, "gamma": 0.1}, {"random_views", "learned_views"}),
    ],
)
def test_terms_without_weight_are_left_out(
    cycle: HeteroData, batch: Batch, options: dict[str, Any], names: set[str]
) -> None:
    names = names | ({"regularization"} if "gamma" in options else set())
    assert small(**options).losses(batch, cycle).keys() == {"next_item", *names}


def test_a_batch_of_one_row_has_nothing_to_contrast(
    lab: Any, cycle: HeteroData
) -> None:
    model = small()
    batch = lab.load(model, cycle, batch_size=1)[0]
    terms = model.losses(batch, cycle) | model.augmenter_losses(batch, cycle)
    assert terms.pop("next_item") > 0
    for name, term in terms.items():
        assert term.item() == pytest.approx(0, abs=1e-6), name


def test_parameters_are_those_of_the_specification() -> None:
    """U-16 and 2.17, without the rows of padding and mask."""
    model = MCLRec(22_363, 12_101)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 877_888 - 2 * 64 + 2 * 3696


@pytest.mark.parametrize("steps", [[0, 0], [1], [2, -1]])
def test_plans_without_a_step_of_the_encoder_are_refused(steps: list[int]) -> None:
    with pytest.raises(ConfigError, match="encoder_steps"):
        small(encoder_steps=steps)
