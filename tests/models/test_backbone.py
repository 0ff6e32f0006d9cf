"""The backbone: masked items, states, pooled vectors, losses, sizes that must fit."""

from typing import Any

import pytest
import torch

from graphseq.models import MODELS, create
from graphseq.models.backbone import Backbone
from graphseq.models.user_context import UserContext
from graphseq.nn import (
    GRU,
    Embedding,
    FourierFilter,
    FrequencyAttention,
    Propagated,
    TimeVariantFilter,
    Transformer,
    WaveletFilter,
)
from graphseq.schema import OptionError
from graphseq.sequences import Batch

V = 12


def batch_of(*rows: list[int]) -> Batch:
    lengths = torch.tensor([len(row) for row in rows])
    items = torch.full((len(rows), int(lengths.max())), V)
    for index, row in enumerate(rows):
        items[index, : len(row)] = torch.tensor(row)
    return Batch(torch.arange(len(rows)), items, lengths, V)


def test_a_masked_item_is_the_token_and_padding_is_zero() -> None:
    backbone = Backbone(V, dim=8, mask_token=True)
    table = backbone.features.weight
    x = backbone.embed(table, batch_of([3, V, 5], [4]))
    assert backbone.token is not None
    torch.testing.assert_close(x[0, 1], backbone.token)
    torch.testing.assert_close(x[0, 2], table[5])
    assert not x[1, 1:].any()


def test_without_a_token_a_masked_item_is_zero() -> None:
    backbone = Backbone(V, dim=8)
    x = backbone.embed(backbone.features.weight, batch_of([3, V, 5]))
    assert not x[0, 1].any()
    assert backbone.token is None


@pytest.mark.parametrize("join", [None, "token"])
def test_a_masked_item_that_is_hidden_is_as_if_cut_out(join: Any) -> None:
    users = UserContext(dim=8, join=join) if join else None
    given: dict[str, Any] = {"users": users, "sampler": "prefix"}
    backbone = Backbone(V, dim=8, hide_masked=True, **given).eval()
    with torch.no_grad():
        backbone.encoder.position.zero_()
    table = backbone.features.weight
    views = batch_of([3, V, 5], [V, 4], [V])
    last = backbone.last(table, views)
    torch.testing.assert_close(last[:1], backbone.last(table, batch_of([3, 5])))
    torch.testing.assert_close(last[1:2], backbone.last(table, batch_of([4])))
    assert torch.isfinite(last[2]).all()
    torch.testing.assert_close(backbone.states(table, views)[0, 2], last[0])
    given |= {"encoder": backbone.encoder, "features": backbone.features}
    seen = Backbone(V, **given).eval()
    assert not torch.allclose(seen.last(table, views)[0], last[0])


def test_only_an_encoder_with_attention_hides_masked_items() -> None:
    with pytest.raises(OptionError, match=r"hide_masked: needs .* found GRU"):
        Backbone(V, encoder=GRU(8), hide_masked=True)


@pytest.mark.parametrize("pooling", ["last", "mean", "flatten"])
def test_padding_does_not_change_pooled_vectors(pooling: str) -> None:
    torch.manual_seed(0)
    backbone = Backbone(V, dim=8, max_length=10).eval()
    table = backbone.features.weight
    alone = backbone.pooled(table, batch_of([3, 1]), pooling)  # type: ignore[arg-type]
    among = backbone.pooled(table, batch_of([3, 1], [1, 2, 3, 4]), pooling)  # type: ignore[arg-type]
    assert (alone.shape[1], among.shape[1]) == (
        (16, 32) if pooling == "flatten" else (8, 8)
    )
    torch.testing.assert_close(alone[0], among[0, -alone.shape[1] :])


def test_flattened_states_end_with_the_newest() -> None:
    backbone = Backbone(V, dim=8, max_length=10).eval()
    batch = batch_of([3, 1], [1, 2, 3, 4])
    states = backbone.states(backbone.features.weight, batch)
    flat = backbone.pooled(backbone.features.weight, batch, "flatten").view(2, 4, 8)
    torch.testing.assert_close(flat[0, 2:], states[0, :2])
    torch.testing.assert_close(flat[1], states[1])
    assert not flat[0, :2].any()


def test_features_and_encoder_of_different_widths_are_refused() -> None:
    found = r"dim: expected one width, found encoder has 16, features has 8"
    with pytest.raises(OptionError, match=found):
        Backbone(V, features=Embedding(V, dim=8), encoder=Transformer(16))
    with pytest.raises(OptionError, match="found dim has 4, encoder has 16"):
        Backbone(V, encoder=Transformer(16), dim=4)


@pytest.mark.parametrize(
    "options",
    [
        {"dim": 8},
        {"features": Embedding(V, dim=8)},
        {"encoder": GRU(8)},
        {"features": Propagated(V, dim=8), "encoder": Transformer(8)},
    ],
)
def test_all_parts_have_the_width_of_any_of_them(options: dict[str, Any]) -> None:
    backbone = Backbone(V, **options)
    widths = (backbone.dim, backbone.features.dim, backbone.encoder.dim)
    assert widths == (8, 8, 8)
    assert backbone.requires == backbone.features.requires


def test_an_encoder_that_reads_less_than_the_model_is_refused() -> None:
    with pytest.raises(OptionError, match=r"reads up to 20 items, max_length is 50"):
        Backbone(V, encoder=Transformer(8, 20), max_length=50)


@pytest.mark.parametrize("rows", [V - 1, V + 1])
@pytest.mark.parametrize("kind", [Embedding, Propagated])
def test_features_of_other_items_are_refused(kind: type, rows: int) -> None:
    found = f"found {rows} rows for num_items={V}"
    with pytest.raises(OptionError, match=found):
        Backbone(V, features=kind(rows, dim=8))


def test_models_that_read_sequences_refuse_pairs() -> None:
    for target in (Backbone, MODELS["MCLSR"], MODELS["ComiRec"]):
        sizes = (V,) if target is Backbone else (5, V)
        with pytest.raises(OptionError, match="'targets' or 'user' or 'prefix'"):
            target(*sizes, sampler="pairs")


READS_AHEAD = {
    "FourierFilter": FourierFilter(8),
    "FrequencyAttention": FrequencyAttention(8),
    "WaveletFilter": WaveletFilter(8),
    "TimeVariantFilter": TimeVariantFilter(8),
    "Transformer": Transformer(8, causal=False),
}


@pytest.mark.parametrize("sampler", ["targets", "user"])
@pytest.mark.parametrize("name", READS_AHEAD)
def test_what_reads_later_positions_learns_from_prefixes_only(
    name: str, sampler: Any
) -> None:
    found = f"sampler: {name} reads later positions, .* set sampler='prefix'"
    encoder = READS_AHEAD[name]
    with pytest.raises(OptionError, match=found):
        Backbone(V, encoder=encoder, sampler=sampler)
    assert Backbone(V, encoder=encoder, sampler="prefix").encoder is encoder
    options = {"causal": False} if name == "Transformer" else {}
    part = {"encoder": {name: options}, "dim": 8, "sampler": sampler}
    with pytest.raises(OptionError, match=found):
        create({"SASRec": {"backbone": part}}, 5, V)
    # masked items may be learned from both directions, the next item may not
    masked = Backbone(V, encoder=encoder, sampler=sampler, mask_token=True)
    for kind in (MODELS["SASRec"], MODELS["Caser"], MODELS["DSSRec"]):
        with pytest.raises(OptionError, match=f"backbone.{found}"):
            kind(5, masked)


def test_taps_by_position_learn_from_every_position() -> None:
    encoder = TimeVariantFilter(8, taps="position")
    assert Backbone(V, encoder=encoder, sampler="targets").sampler == "targets"
    part = {"encoder": {"TimeVariantFilter": {"taps": "position"}}, "dim": 8}
    assert create({"SASRec": {"backbone": part}}, 5, V).sampler == "targets"
