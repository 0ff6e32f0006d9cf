"""MCLRec: both losses, the plan of its steps, one pair of views for all of them."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import MCLRec, Stage, Step, mclrec
from graphseq.nn import GRU
from graphseq.objectives import contrastive_regularization, nt_xent
from graphseq.sequences import Batch


def small(**options) -> MCLRec:
    torch.manual_seed(0)
    given = {"dim": 8, "max_length": 6, "cl1_weight": 0.2, "cl2_weight": 0.5}
    return MCLRec(48, 12, **(given | options))


def state(model: MCLRec) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The parts of the model that hold a parameter that is not what it was."""
    names = (n for n in before if not torch.equal(before[n], after[n]))
    return {name.split(".")[0] for name in names}


@pytest.fixture
def batch(lab, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=10)[0]


@pytest.fixture
def views(monkeypatch: pytest.MonkeyPatch, batch: Batch) -> tuple[Batch, Batch]:
    """Fixed views: the first item alone, and the row itself."""
    ones = torch.ones_like(batch.lengths)
    first = Batch(batch.user, batch.items[:, :1], ones, batch.num_items)
    second = Batch(batch.user, batch.items, batch.lengths, batch.num_items)
    monkeypatch.setattr(mclrec, "random_views", lambda *_, **__: (first, second))
    return first, second


def parts(model: MCLRec, views: tuple[Batch, Batch]) -> tuple[Tensor, ...]:
    table = model.backbone.features.weight
    h1, h2 = (model.backbone.last(table, view) for view in views)
    first, last = model.augmenters[0], model.augmenters[-1]
    return h1, h2, first(h1), last(h2)


def test_the_encoders_loss_is_its_equation(
    cycle: HeteroData, batch: Batch, views: tuple[Batch, Batch]
) -> None:
    model = small().double().eval()
    h1, h2, z1, z2 = parts(model, views)
    cl2 = nt_xent(z1, z2) + nt_xent(h1, z2) + nt_xent(h2, z1)
    r = (
        contrastive_regularization(h1, z2)
        + contrastive_regularization(h2, z1)
        + contrastive_regularization(z1, z2)
    )
    states = model.represent(batch, cycle)
    targets = batch.target_positions()[1]
    scores = states @ model.item_vectors(cycle).T
    found = model.losses(batch, cycle)
    expected = {
        "next_item": torch.nn.functional.cross_entropy(scores, targets),
        "data_views": 0.2 * nt_xent(h1, h2),
        "learnt_views": 0.5 * cl2,
        "separation": 0.05 * r,
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


@pytest.mark.parametrize("scope", ["anchor", "batch"])
@pytest.mark.parametrize("pairs", [1, 3])
def test_the_augmenters_loss_is_its_equation(
    cycle: HeteroData,
    batch: Batch,
    views: tuple[Batch, Batch],
    scope: str,
    pairs: int,
) -> None:
    model = small(r_scope=scope, r_pairs=pairs, gamma2=0.3).double().eval()
    h1, h2, z1, z2 = parts(model, views)
    cl2 = nt_xent(z1, z2) + nt_xent(h1, z2) + nt_xent(h2, z1)
    r = contrastive_regularization(z1, z2, scope=scope)
    if pairs == 3:
        r = (
            r
            + contrastive_regularization(h1, z2, scope=scope)
            + contrastive_regularization(h2, z1, scope=scope)
        )
    found = model.augmenter_losses(batch, cycle)
    torch.testing.assert_close(found["augmenter_views"], cl2)
    torch.testing.assert_close(found["augmenter_separation"], 0.3 * r)


def test_the_augmenters_loss_does_not_reach_the_encoder(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small()
    torch.stack([*model.augmenter_losses(batch, cycle).values()]).sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == name.startswith("augmenters."), name


@pytest.mark.parametrize(
    "options, names",
    [
        ({}, ["backbone.", "augmenters.", "backbone."]),
        ({"encoder_steps": [1, 0]}, ["backbone.", "augmenters."]),
        ({"encoder_steps": [0, 2]}, ["augmenters.", "backbone.", "backbone."]),
    ],
)
def test_the_plan_is_the_trainers_or_algorithm_1(options: dict, names: list) -> None:
    (stage,) = small(**options).stages()
    assert [step.parameters for step in stage.steps] == [(name,) for name in names]


def test_joint_is_one_step_of_everything() -> None:
    (stage,) = small(joint=True).stages()
    (step,) = stage.steps
    assert step.parameters is None


def test_every_parameter_is_moved_by_one_kind_of_step() -> None:
    model = small(mask_token=True)
    (stage,) = model.stages()
    encoder, augmenters, _ = stage.steps
    for name, _ in model.named_parameters():
        assert encoder.moves(name) != augmenters.moves(name)


@pytest.mark.parametrize("part", ["backbone", "augmenters"])
def test_a_step_leaves_the_other_part_as_it_was(cycle: HeteroData, part: str) -> None:
    """An epoch of the real trainer, of one kind of step."""
    model = small()
    losses = model.losses if part == "backbone" else model.augmenter_losses
    plan = (Stage((Step(losses, (f"{part}.",)),)),)
    model.stages = lambda: plan
    before = state(model)
    fit(model, cycle, max_epochs=1, batch_size=64, monitor=None, progress=False)
    assert moved(before, state(model)) == {part}


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, ["backbone", "augmenters", "backbone"]),
        ({"encoder_steps": [1, 0]}, ["backbone", "augmenters"]),
        ({"joint": True}, ["both"]),
    ],
)
def test_the_trainer_takes_the_steps_in_turn(
    cycle: HeteroData, options: dict, expected: list[str]
) -> None:
    """Before each loss, what has moved since the one before."""
    model = small(**options)
    snapshots, seen = [], []

    def watched(losses):
        def watching(batch, graph):
            snapshots.append(state(model))
            seen.append(model.views(batch))
            return losses(batch, graph)

        return watching

    model.losses = watched(model.losses)
    model.augmenter_losses = watched(model.augmenter_losses)
    fit(model, cycle, max_epochs=1, batch_size=128, monitor=None, progress=False)
    snapshots.append(state(model))
    steps = [moved(a, b) for a, b in pairwise(snapshots)]
    both = {"backbone", "augmenters"}
    turn = [both if part == "both" else {part} for part in expected]
    batches = len(steps) // len(turn)
    assert batches > 1 and steps == turn * batches
    for first in range(0, len(seen), len(turn)):
        own = seen[first : first + len(turn)]
        assert all(views is own[0] for views in own), "a batch's steps share its views"
    firsts = seen[:: len(turn)]
    assert all(a is not b for a, b in pairwise(firsts))


def test_steps_on_one_batch_differ_by_their_dropout_alone(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small().train()
    one, other = (model.losses(batch, cycle)["data_views"] for _ in range(2))
    assert one != other
    model.eval()
    one, other = (model.losses(batch, cycle)["data_views"] for _ in range(2))
    assert one == other
    drawn = model.views(batch)
    assert len(drawn) == 2 * len(batch)


def test_shared_augmenters_are_one(cycle: HeteroData, batch: Batch) -> None:
    model = small(shared=True)
    assert len(model.augmenters) == 1
    h = torch.randn(4, 8)
    z1, z2 = model.augmenters[0](h), model.augmenters[-1](h)
    assert torch.equal(z1, z2)
    two = small()
    sizes = [sum(p.numel() for p in m.augmenters.parameters()) for m in (model, two)]
    assert sizes[1] == 2 * sizes[0]


def test_without_r_nothing_is_separated(cycle: HeteroData, batch: Batch) -> None:
    model = MCLRec.preset("without_r", 48, 12, dim=8, max_length=6)
    terms = model.losses(batch, cycle) | model.augmenter_losses(batch, cycle)
    assert terms["separation"] == 0 and terms["augmenter_separation"] == 0
    assert terms["learnt_views"] > 0


def test_without_learnt_views_only_the_datas_are_compared(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small(cl2_weight=0.0)
    assert set(model.losses(batch, cycle)) == {"next_item", "data_views"}
    assert set(small(cl1_weight=0.0).losses(batch, cycle)) == {
        "next_item",
        "learnt_views",
        "separation",
    }


def test_a_batch_of_one_row_has_nothing_to_contrast(lab, cycle: HeteroData) -> None:
    model = small()
    batch = lab.load(model, cycle, batch_size=1)[0]
    terms = model.losses(batch, cycle) | model.augmenter_losses(batch, cycle)
    next_item = terms.pop("next_item")
    assert next_item > 0
    for name, term in terms.items():
        assert term.item() == pytest.approx(0, abs=1e-6), name


@pytest.mark.parametrize(
    "data, cl1, cl2",
    [
        ("sports", 0.04, 0.4),
        ("beauty", 0.0, 0.05),
        ("yelp", 0.03, 0.1),
        ("ml-1m", 0.0, 0.01),
    ],
)
def test_the_presets_are_those_of_the_specification(
    data: str, cl1: float, cl2: float
) -> None:
    """2.17."""
    code = MCLRec.preset("code", 9, 9, data=data)
    assert (code.cl1_weight, code.cl2_weight) == (cl1, cl2)
    assert (code.gamma, code.gamma2) == (pytest.approx(0.1 * cl2), 0.1)
    assert (code.encoder_steps, code.r_pairs) == ((1, 1), 3)
    assert code.augmenters[0].normalize and code.sampler == "prefix"
    assert code.backbone.encoder.dropout == (0.1 if data == "ml-1m" else 0.5)
    paper = MCLRec.preset("paper", 9, 9, data=data)
    assert (paper.gamma, paper.gamma2) == (pytest.approx(0.1 * cl2),) * 2
    assert (paper.encoder_steps, paper.r_pairs) == ((1, 0), 1)
    assert not paper.augmenters[0].normalize and paper.backbone.token is not None


def test_augmenters_may_be_shared() -> None:
    assert len(MCLRec.preset("shared", 9, 9, dim=8).augmenters) == 1


def test_parameters_are_those_of_the_specification() -> None:
    """U-16 and 2.17, less the rows for padding and mask."""
    model = MCLRec.preset("code", 22_363, 12_101)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 877_888 - 2 * 64 + 2 * 3696


def test_any_encoder_will_do(lab, cycle: HeteroData, batch: Batch) -> None:
    model = MCLRec(48, 12, encoder=GRU(8), max_length=6)
    assert model.losses(batch, cycle)["learnt_views"].isfinite()
    assert model.score(lab.test_batch(model, cycle), cycle).shape[1] == 12


@pytest.mark.parametrize("steps", [[0, 0], [1], [2, -1]])
def test_a_plan_without_a_step_of_the_encoder_is_refused(steps: list[int]) -> None:
    with pytest.raises(ConfigError, match="encoder_steps"):
        small(encoder_steps=steps)
