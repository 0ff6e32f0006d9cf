"""LMA4Rec: rates that the contrast moves, and the two passes that it takes."""

from typing import Any

import pytest
import torch
from graphseq.sequences.views import join
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import LMA4Rec
from graphseq.nn import GRU, Transformer
from graphseq.nn.dropout import LearnableDropout
from graphseq.sequences import Batch


def small(**options: Any) -> LMA4Rec:
    torch.manual_seed(0)
    encoder = Transformer(8, 6, dropout=0.2)
    given = {"encoder": encoder, "max_length": 6, "threshold": 3}
    return LMA4Rec(48, 12, **(given | options))


@pytest.fixture
def batch(lab, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=9)[0]


def views(model: LMA4Rec, batch: Batch, graph: HeteroData) -> Batch:
    torch.manual_seed(1)
    return join(*model.views.draw(batch, model.similar(graph)))


def test_every_block_has_a_rate_of_its_own_from_one_half() -> None:
    model = small()
    logits = {n: p for n, p in model.named_parameters() if n.endswith("dropout.logit")}
    assert len(logits) == 2 and all(p.tolist() == [0.0] for p in logits.values())
    for block in model.backbone.encoder.blocks:
        assert isinstance(block.dropout, LearnableDropout)
    units = small(per_unit=True)
    assert all(site.logit.shape == (8,) for site in units.sites)


def test_the_learnt_dropout_stands_where_the_fixed_one_stood() -> None:
    """At one half kept, both drop as much of a block's two outputs."""
    model = small()
    block = model.backbone.encoder.blocks[0].train()
    x = torch.ones(4, 5, 8)
    torch.manual_seed(0)
    found = block.dropout(x)
    assert set(found.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(block.eval().dropout(x), x)


def test_arm_moves_the_rates_by_both_passes(cycle: HeteroData, batch: Batch) -> None:
    model = small().train()
    both, table = views(model, batch, cycle), model.item_vectors(cycle)

    def one_pass(phase: str) -> torch.Tensor:
        torch.manual_seed(7)
        model.begin(phase)
        return model.encoded(table, both)

    with torch.no_grad():
        mirrored = one_pass("mirrored")
    first = one_pass("first")
    noises = [site.noise for site in model.sites]
    difference = (first - mirrored).detach()
    scale = torch.autograd.grad(first, [site.logit for site in model.sites])
    torch.manual_seed(7)
    found = model.contrast(table, both)
    assert found.item() == pytest.approx(first.item(), rel=1e-6)
    gradients = torch.autograd.grad(found, [site.logit for site in model.sites])
    for gradient, by_scale, noise in zip(gradients, scale, noises, strict=True):
        expected = by_scale + difference * noise
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)
    assert all(site.phase == "plain" for site in model.sites)


def test_other_weights_learn_from_the_first_pass_alone(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small().train()
    both = views(model, batch, cycle)
    weight = model.backbone.features.weight
    torch.manual_seed(7)
    (found,) = torch.autograd.grad(model.contrast(weight, both), weight)
    torch.manual_seed(7)
    model.begin("first")
    (expected,) = torch.autograd.grad(model.encoded(weight, both), weight)
    torch.testing.assert_close(found, expected)


def test_the_next_item_does_not_move_the_rates_under_arm(
    cycle: HeteroData, batch: Batch
) -> None:
    for estimator, moves in (("arm", False), ("concrete", True)):
        model = small(estimator=estimator).train()
        model.losses(batch, cycle)["next_item"].backward()
        assert [p.logit.grad is not None for p in model.sites] == [moves] * 2


def test_both_passes_draw_the_same_numbers_and_what_follows_is_as_after_one(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small().train()
    both, table = views(model, batch, cycle), model.item_vectors(cycle)
    torch.manual_seed(3)
    model.contrast(table, both)
    after_both = torch.rand(3)
    torch.manual_seed(3)
    model.begin("first")
    model.encoded(table, both)
    assert torch.equal(after_both, torch.rand(3))


def test_in_evaluation_nothing_is_dropped(cycle: HeteroData, batch: Batch) -> None:
    model = small().eval()
    both, table = views(model, batch, cycle), model.item_vectors(cycle)
    assert model.contrast(table, both).item() == model.encoded(table, both).item()


def test_only_a_transformer_has_such_dropout() -> None:
    with pytest.raises(ConfigError, match=r"Transformer's blocks; got GRU"):
        small(encoder=GRU(8))
