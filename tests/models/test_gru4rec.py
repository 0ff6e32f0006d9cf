"""GRU4Rec: its losses as loops, its samplers, and its presets."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import GRU4Rec, create
from graphseq.nn import GRU, Embedding, Propagated
from graphseq.schema import describe
from graphseq.sequences import SequenceLoader


def small(**options) -> GRU4Rec:
    torch.manual_seed(0)
    given = {"dim": 6, "hidden": 5, "max_length": 8, "dropout": 0.0}
    return GRU4Rec(48, 12, **(given | options)).double()


def only_batch(graph: HeteroData, sampler: str = "targets", **options):
    given = {"batch_size": 10_000, "max_length": 8, "num_negatives": 2}
    (batch,) = SequenceLoader(graph, sampler, **(given | options))
    return batch


def places(model: GRU4Rec, batch):
    """(state, target, negatives) of every place that is asked, one row at a time.

    The state is that of the row's own items up to the place, encoded alone.
    """
    table = model.backbone.features.weight
    for row in range(len(batch)):
        for place in range(int(batch.lengths[row])):
            target = int(batch.targets[row, place])
            if target == 12:
                continue
            x = table[batch.items[row, : place + 1]][None]
            state = model.backbone.encoder(x, torch.ones(x.shape[:2]).bool())[0, -1]
            yield state, target, batch.negatives[row, place].tolist()


@pytest.mark.parametrize("sampler", ["targets", "prefix", "user"])
def test_ce_is_the_softmax_over_all_items_at_every_asked_place(
    cycle: HeteroData, sampler: str
) -> None:
    model = small(sampler=sampler)
    batch = only_batch(cycle, sampler)
    items = model.item_vectors(cycle)
    losses = [
        F.cross_entropy(items @ state, torch.tensor(target))
        for state, target, _ in places(model, batch)
    ]
    terms = model.losses(batch, cycle)
    torch.testing.assert_close(terms["next_item"], torch.stack(losses).mean())
    assert set(terms) == {"next_item"}


def test_bce_is_the_equation_written_as_loops(cycle: HeteroData) -> None:
    model = small(loss="bce", num_negatives=2)
    batch, items = only_batch(cycle), model.item_vectors(cycle)
    total, number = 0.0, 0
    for state, target, negatives in places(model, batch):
        total += math.log1p(math.exp(-(state @ items[target]).item()))
        total += sum(math.log1p(math.exp((state @ items[n]).item())) for n in negatives)
        number += 1
    found = model.losses(batch, cycle)["next_item"].item()
    assert found == pytest.approx(total / number)


def test_the_samplers_learn_the_same_when_sequences_fit(cycle: HeteroData) -> None:
    losses = [
        small(sampler=sampler).losses(only_batch(cycle, sampler), cycle)["next_item"]
        for sampler in ("targets", "prefix", "user")
    ]
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(losses[2], losses[0])


def test_it_is_a_backbone_with_a_gru(lab, cycle: HeteroData) -> None:
    model = small(layers=2, bias=True).eval()
    encoder = model.backbone.encoder
    assert isinstance(encoder, GRU)
    assert encoder.options | {"dim": 6} == {
        "dim": 6,
        "hidden": 5,
        "layers": 2,
        "dropout": 0.0,
        "bias": True,
    }
    batch = lab.test_batch(model, cycle)
    table = model.item_vectors(cycle)
    assert torch.equal(model.represent(batch, cycle), model.backbone.last(table, batch))


def test_item_rows_start_xavier_normal() -> None:
    model = GRU4Rec(10, 4000, dim=64)
    found = model.backbone.features.weight.std().item()
    assert found == pytest.approx((2 / 4064) ** 0.5, rel=0.02)


def test_features_decide_the_width(cycle: HeteroData) -> None:
    model = small(features=Embedding(12, dim=4))
    assert model.item_vectors(cycle).shape == (12, 4)
    assert model.backbone.encoder.dim == 4
    assert small(features=Propagated(12, dim=4)).requires


def test_only_the_house_of_s3_draws_negatives() -> None:
    assert GRU4Rec.preset("recbole", 48, 12).num_negatives == 0
    assert GRU4Rec.preset("s3", 48, 12, num_negatives=3).num_negatives == 3


def test_the_encoder_can_be_named_in_a_file() -> None:
    spec = {"GRU": {"hidden": 7, "dim": 6}}
    from graphseq.models import _part

    made = _part(spec, 12)
    assert isinstance(made, GRU) and describe(made)["GRU"]["hidden"] == 7
    with pytest.raises(ConfigError, match="GRU4Rec"):
        create({"GRU4rec": {}}, 48, 12)
