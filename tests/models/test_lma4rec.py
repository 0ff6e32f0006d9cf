"""LMA4Rec: dropout rates that the contrast learns, and the two passes of ARM."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import (
    LearnableDropoutContrast,
    LMA4Rec,
    SequenceModel,
    create,
)
from graphseq.models.lma4rec import learnable_dropouts
from graphseq.nn.dropout import LearnableDropout
from graphseq.schema import OptionError
from graphseq.sequences import Batch
from graphseq.sequences.augment import InformedAugmentation, draw_views


def small(graph: HeteroData, **options: Any) -> LMA4Rec:
    torch.manual_seed(0)
    encoder = {
        "Transformer": {"dropout": 0.2, "learnable": LearnableDropout(**options)}
    }
    part = LMA4Rec.default_backbone(12, dim=8, max_length=6, encoder=encoder)
    model = LMA4Rec(48, part, augmentation=InformedAugmentation(threshold=3))
    with torch.no_grad():
        model.refresh(graph, 0)
    return model.train()


@pytest.fixture
def batch(lab: Any, cycle: HeteroData) -> Batch:
    return lab.load(small(cycle), cycle, batch_size=9)[0]


class Case:
    """A model, its objective and dropouts, and two views of every row of a batch."""

    def __init__(self, graph: HeteroData, batch: Batch, **options: Any) -> None:
        self.model = small(graph, **options)
        [self.objective] = self.model.objectives
        self.backbone, self.items = self.model.backbone, self.model.item_vectors(graph)
        self.dropouts = learnable_dropouts(self.backbone)
        self.logits = [dropout.logit for dropout in self.dropouts]
        torch.manual_seed(1)
        self.views = draw_views(self.objective.augmentation, batch, 6)

    def contrast(self, seed: int = 7) -> Tensor:
        torch.manual_seed(seed)
        return self.objective.contrast(self.backbone, self.items, self.views)

    def one_pass(self, phase: Any, seed: int = 7) -> Tensor:
        torch.manual_seed(seed)
        for dropout in self.dropouts:
            dropout.set_phase(phase)
        return self.objective.one_pass(self.backbone, self.items, self.views)


@pytest.mark.parametrize("pooling", ["mean", "flatten"])
def test_the_contrast_is_its_equation(
    loops: Any, noise: HeteroData, pooling: Any
) -> None:
    options = {"pooling": pooling, "temperature": 0.7, "contrast_weight": 0.3}
    backbone = {"mask_token": True}
    augmentation = InformedAugmentation(threshold=3)
    model = loops.build(LMA4Rec, noise, backbone, augmentation=augmentation, **options)
    model.refresh(noise, 0)
    views = loops.record_views(model)
    batch, items = loops.batch(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    h = loops.vectors(model.backbone, items, views[0], pooling).chunk(2)
    loops.check(terms["contrast"], 0.3 * loops.nt_xent(*h, 0.7))


def test_every_block_has_its_own_rate_initially_one_half(cycle: HeteroData) -> None:
    model = small(cycle)
    logits = {n: p for n, p in model.named_parameters() if n.endswith("dropout.logit")}
    assert len(logits) == 2 and all(p.tolist() == [0.0] for p in logits.values())
    default = LMA4Rec(48, LMA4Rec.default_backbone(12, dim=8, max_length=6))
    assert [d.logit.tolist() for d in learnable_dropouts(default.backbone)] == [[0]] * 2


def test_arm_trains_the_rates_by_the_difference_of_both_passes(
    cycle: HeteroData, batch: Batch
) -> None:
    case = Case(cycle, batch)
    with torch.no_grad():
        mirrored = case.one_pass("mirrored")
    first = case.one_pass("first")
    noises = [dropout.noise for dropout in case.dropouts]
    difference = (first - mirrored).detach()
    by_scale = torch.autograd.grad(first, case.logits)
    found = case.contrast()
    assert found.item() == pytest.approx(first.item(), rel=1e-6)
    gradients = torch.autograd.grad(found, case.logits)
    for gradient, scale, noise in zip(gradients, by_scale, noises, strict=True):
        expected = scale + difference * noise
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)
    assert all(dropout.phase == "plain" for dropout in case.dropouts)


def test_other_weights_are_trained_by_the_first_pass_alone(
    cycle: HeteroData, batch: Batch
) -> None:
    case = Case(cycle, batch)
    (found,) = torch.autograd.grad(case.contrast(), case.items)
    (expected,) = torch.autograd.grad(case.one_pass("first"), case.items)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("estimator, trains", [("arm", False), ("concrete", True)])
def test_the_next_item_trains_the_rates_of_a_relaxation_only(
    cycle: HeteroData, batch: Batch, estimator: Any, trains: bool
) -> None:
    case = Case(cycle, batch, estimator=estimator)
    case.model.losses(batch, cycle)["next_item"].backward()
    assert [logit.grad is not None for logit in case.logits] == [trains] * 2


def test_a_relaxation_needs_one_pass(cycle: HeteroData, batch: Batch) -> None:
    case = Case(cycle, batch, estimator="concrete")
    found = case.contrast()
    assert torch.equal(found, case.one_pass("plain"))
    assert all(g.any() for g in torch.autograd.grad(found, case.logits))


def test_both_passes_draw_the_same_numbers_and_later_draws_follow_the_first(
    cycle: HeteroData, batch: Batch
) -> None:
    case = Case(cycle, batch)
    case.contrast(seed=3)
    after_both = torch.rand(3)
    case.one_pass("first", seed=3)
    assert torch.equal(after_both, torch.rand(3))


def test_an_encoder_without_learnable_dropout_is_refused() -> None:
    with pytest.raises(ConfigError, match="found a GRU without one; use Transformer"):
        LMA4Rec(48, LMA4Rec.default_backbone(12, encoder={"GRU": {}}))
    plain = SequenceModel.default_backbone(12)
    with pytest.raises(ConfigError, match="found a Transformer without one"):
        SequenceModel(48, plain, [LearnableDropoutContrast()])


def test_options_that_nothing_would_read_are_refused() -> None:
    with pytest.raises(OptionError, match="view_targets: its views have no next-item"):
        LearnableDropoutContrast(view_targets=True)
    learned = {"dim": 8, "encoder": {"Transformer": {"learnable": {}}}}
    backbone = SequenceModel.default_backbone(12, **learned)
    with pytest.raises(ConfigError, match="no objective that learns the rates"):
        SequenceModel(48, backbone).check_stages()
    with pytest.raises(ConfigError, match="no objective that learns the rates"):
        create({"CL4SRec": {"backbone": learned}}, 48, 12).check_stages()
    SequenceModel(48, backbone, [LearnableDropoutContrast()]).check_stages()
    LMA4Rec(48, 12).check_stages()
    learned["encoder"] = {
        "Transformer": {"learnable": {"LearnableDropout": {"estimator": "concrete"}}}
    }
    create({"SASRec": {"backbone": learned}}, 48, 12).check_stages()
