"""TVRec: its loss as a loop over the rows, its size, its options."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import Backbone, TVRec
from graphseq.nn import TimeVariantFilter


def small(cycle: HeteroData, **options: object) -> TVRec:
    torch.manual_seed(0)
    encoder = TimeVariantFilter(4, 8, bases=3, dropout=0.0)
    given = {"encoder": encoder, "sampler": "prefix", "max_length": 8}
    sizes = cycle["user"].num_nodes, cycle["item"].num_nodes
    return TVRec(sizes[0], Backbone(sizes[1], **(given | options))).double()


def test_the_loss_is_the_softmax_over_all_items_of_every_row(
    lab, cycle: HeteroData
) -> None:
    model = small(cycle)
    (batch,) = lab.load(model, cycle, batch_size=10_000)
    terms = model.losses(batch, cycle)
    expected = lab.prefix_losses(model, cycle).mean()
    torch.testing.assert_close(terms["next_item"], expected)
    assert set(terms) == {"next_item"}


def test_samplers_that_show_later_items_are_refused(cycle: HeteroData) -> None:
    for sampler in ("targets", "user"):
        with pytest.raises(ConfigError, match="sampler='prefix'"):
            small(cycle, sampler=sampler)


def test_the_bases_are_made_orthogonal(lab, cycle: HeteroData) -> None:
    plain = small(cycle)
    model = TVRec(48, plain.backbone, reg=0.5)
    (batch,) = lab.load(model, cycle, batch_size=10_000)
    terms = model.losses(batch, cycle)
    assert set(terms) == {"next_item", "orthogonality"}
    expected = 0.5 * plain.backbone.encoder.correlation()
    torch.testing.assert_close(terms["orthogonality"], expected)
    terms["orthogonality"].backward()
    assert any(p.grad is not None for p in plain.backbone.encoder.parameters())


def test_orthogonal_bases_need_an_encoder_with_bases(cycle: HeteroData) -> None:
    with pytest.raises(ConfigError, match="needs a TimeVariantFilter"):
        TVRec(48, Backbone(12), reg=0.1)
