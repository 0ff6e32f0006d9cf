"""GRU4Rec: its losses as loops, its samplers, its widths."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch_geometric.data import HeteroData

from graphseq.models import Backbone, GRU4Rec
from graphseq.nn import GRU, Transformer
from graphseq.schema import OptionError
from graphseq.sequences import SequenceLoader


def small(**options) -> GRU4Rec:
    torch.manual_seed(0)
    encoder = GRU(6, hidden=5, dropout=0.0)
    return GRU4Rec(48, Backbone(12, encoder=encoder, max_length=8, **options)).double()


def only_batch(graph: HeteroData, sampler: str = "targets", **options):
    given = {"batch_size": 10_000, "max_length": 8, "num_negatives": 2}
    (batch,) = SequenceLoader(graph, sampler, **(given | options))
    return batch


def target_states(model: GRU4Rec, batch):
    """(state, target, negatives) of every position with a target, row by row.

    The state is that of the row's items up to the position, encoded alone.
    """
    table = model.backbone.features.weight
    for row in range(len(batch)):
        for position in range(int(batch.lengths[row])):
            target = int(batch.targets[row, position])
            if target == 12:
                continue
            x = table[batch.items[row, : position + 1]][None]
            state = model.backbone.encoder(x, torch.ones(x.shape[:2]).bool())[0, -1]
            yield state, target, batch.negatives[row, position].tolist()


@pytest.mark.parametrize("sampler", ["targets", "prefix", "user"])
def test_ce_is_the_softmax_over_all_items_at_every_target(
    cycle: HeteroData, sampler: str
) -> None:
    model = small(sampler=sampler)
    batch = only_batch(cycle, sampler)
    items = model.item_vectors(cycle)
    losses = [
        F.cross_entropy(items @ state, torch.tensor(target))
        for state, target, _ in target_states(model, batch)
    ]
    terms = model.losses(batch, cycle)
    torch.testing.assert_close(terms["next_item"], torch.stack(losses).mean())
    assert set(terms) == {"next_item"}


def test_bce_is_the_equation_written_as_loops(cycle: HeteroData) -> None:
    model = small(loss="bce", num_negatives=2)
    batch, items = only_batch(cycle), model.item_vectors(cycle)
    total, number = 0.0, 0
    for state, target, negatives in target_states(model, batch):
        total += math.log1p(math.exp(-(state @ items[target]).item()))
        total += sum(math.log1p(math.exp((state @ items[n]).item())) for n in negatives)
        number += 1
    found = model.losses(batch, cycle)["next_item"].item()
    assert found == pytest.approx(total / number)


def test_all_samplers_have_the_same_loss_when_sequences_fit(cycle: HeteroData) -> None:
    losses = [
        small(sampler=sampler).losses(only_batch(cycle, sampler), cycle)["next_item"]
        for sampler in ("targets", "prefix", "user")
    ]
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(losses[2], losses[0])


def test_item_rows_start_xavier_normal() -> None:
    model = GRU4Rec(10, 4000)
    found = model.backbone.features.weight.std().item()
    assert found == pytest.approx((2 / 4064) ** 0.5, rel=0.02)


def test_a_backbone_without_an_encoder_is_no_transformer_by_mistake() -> None:
    with pytest.raises(OptionError, match="so is a Transformer; that of GRU4Rec is a "):
        GRU4Rec(48, Backbone(12, dim=4))
    for encoder in (GRU(4), Transformer(4)):  # what is named is meant
        assert GRU4Rec(48, Backbone(12, encoder=encoder)).backbone.encoder is encoder


def test_by_default_it_has_a_gru_of_its_width() -> None:
    backbone = GRU4Rec.default_backbone(12, dim=4)
    assert isinstance(backbone.encoder, GRU) and backbone.encoder.dim == 4
    assert GRU4Rec(48, backbone).item_vectors(HeteroData()).shape == (12, 4)
