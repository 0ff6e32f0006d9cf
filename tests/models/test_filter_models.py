"""FMLP-Rec, BSARec, WEARec and TV-Rec: losses as loops over rows, sizes, refusals.

The encoders are compared with oracles in ``tests/nn``.
"""

from collections.abc import Callable

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import (
    Backbone,
    BSARec,
    FMLPRec,
    InterestContrast,
    SequenceModel,
    TVRec,
    WEARec,
)
from graphseq.nn import (
    Encoder,
    FourierFilter,
    FrequencyAttention,
    TimeVariantFilter,
    WaveletFilter,
)

ENCODERS: dict[type[SequenceModel], Callable[[], Encoder]] = {
    FMLPRec: lambda: FourierFilter(4, 8, dropout=0.0),
    BSARec: lambda: FrequencyAttention(4, 8, dropout=0.0),
    WEARec: lambda: WaveletFilter(4, 8, dropout=0.0),
    TVRec: lambda: TimeVariantFilter(4, 8, bases=3, dropout=0.0),
}


def small(
    kind: type[SequenceModel], graph: HeteroData, **options: object
) -> SequenceModel:
    torch.manual_seed(0)
    users, items = graph["user"].num_nodes, graph["item"].num_nodes
    given = {"encoder": ENCODERS[kind](), "sampler": "prefix", "max_length": 8}
    return kind(users, Backbone(items, **(given | options))).double()


@pytest.mark.parametrize("empty_history", [False, True])
@pytest.mark.parametrize("kind", ENCODERS)
def test_the_loss_is_the_softmax_over_all_items_of_every_row(
    lab, cycle: HeteroData, kind: type[SequenceModel], empty_history: bool
) -> None:
    model = small(kind, cycle, empty_history=empty_history)
    (batch,) = lab.load(model, cycle, batch_size=10_000)
    assert bool((batch.lengths == 0).any()) == empty_history
    terms = model.losses(batch, cycle)
    expected = lab.prefix_losses(model, cycle).mean()
    torch.testing.assert_close(terms["next_item"], expected)
    assert set(terms) == {"next_item"}


def test_fmlp_samples_one_negative_for_each_target(lab, cycle: HeteroData) -> None:
    model = FMLPRec(48, cycle["item"].num_nodes).double().eval()
    (batch,) = lab.load(model, cycle, batch_size=10_000)
    states, items = model.represent(batch, cycle), model.item_vectors(cycle)
    rows, last = torch.arange(len(batch)), batch.lengths - 1
    positive = (states * items[batch.targets[rows, last]]).sum(1)
    negative = (states * items[batch.negatives[rows, last, 0]]).sum(1)
    expected = -(positive.sigmoid().log() + (1 - negative.sigmoid()).log()).mean()
    torch.testing.assert_close(model.losses(batch, cycle)["next_item"], expected)


@pytest.mark.parametrize("sampler", ["targets", "user"])
@pytest.mark.parametrize("kind", ENCODERS)
def test_samplers_that_show_later_items_are_refused(
    cycle: HeteroData, kind: type[SequenceModel], sampler: str
) -> None:
    with pytest.raises(ConfigError, match="sampler='prefix'"):
        small(kind, cycle, sampler=sampler)


def test_rows_without_items_need_the_sampler_prefix() -> None:
    with pytest.raises(ConfigError, match="rows without items need sampler='prefix'"):
        Backbone(12, empty_history=True)


def test_auxiliaries_refuse_rows_without_items(cycle: HeteroData) -> None:
    backbone = small(BSARec, cycle, empty_history=True).backbone
    with pytest.raises(ConfigError, match="has no term for a row without items"):
        SequenceModel(48, backbone, [InterestContrast()])


@pytest.mark.parametrize(("kind", "count"), [(FMLPRec, 851_200), (BSARec, 878_208)])
def test_parameters_are_as_many_as_the_authors(
    kind: type[SequenceModel], count: int
) -> None:
    """The logs of the authors' programs on Beauty, in which row 0 is padding."""
    assert sum(p.numel() for p in kind(22_363, 12_101).parameters()) == count


def test_the_bases_of_tvrec_are_made_orthogonal(lab, cycle: HeteroData) -> None:
    backbone = small(TVRec, cycle).backbone
    model = TVRec(48, backbone, reg=0.5)
    (batch,) = lab.load(model, cycle, batch_size=10_000)
    terms = model.losses(batch, cycle)
    assert set(terms) == {"next_item", "orthogonality"}
    expected = 0.5 * backbone.encoder.correlation()
    torch.testing.assert_close(terms["orthogonality"], expected)
    terms["orthogonality"].backward()
    grads = [p.grad for n, p in model.named_parameters() if n.endswith("mixer.basis")]
    assert grads and all(grad.any() for grad in grads)


def test_orthogonal_bases_need_an_encoder_with_bases() -> None:
    with pytest.raises(ConfigError, match="needs a TimeVariantFilter"):
        TVRec(48, Backbone(12), reg=0.1)
