"""The backbone: masked places, the states that are asked for, and what must fit."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import MODELS
from graphseq.models.backbone import Backbone
from graphseq.nn import Embedding, Propagated, Transformer
from graphseq.schema import OptionError
from graphseq.sequences import Batch, SequenceLoader

V = 12


def batch_of(*rows: list[int]) -> Batch:
    lengths = torch.tensor([len(row) for row in rows])
    items = torch.full((len(rows), int(lengths.max())), V)
    for place, row in enumerate(rows):
        items[place, : len(row)] = torch.tensor(row)
    return Batch(torch.arange(len(rows)), items, lengths, V)


def test_a_masked_place_reads_the_token_and_padding_reads_nothing() -> None:
    backbone = Backbone(V, dim=8, mask_token=True)
    table = backbone.features.weight
    x = backbone.read(table, batch_of([3, V, 5], [4]))
    assert backbone.token is not None
    torch.testing.assert_close(x[0, 1], backbone.token)
    torch.testing.assert_close(x[0, 2], table[5])
    assert not x[1, 1:].any()


def test_without_a_token_a_masked_place_reads_zeros() -> None:
    backbone = Backbone(V, dim=8)
    x = backbone.read(backbone.features.weight, batch_of([3, V, 5]))
    assert not x[0, 1].any()
    assert backbone.token is None


def test_what_is_asked_is_the_same_for_prefixes_and_for_all_places(
    cycle: HeteroData,
) -> None:
    torch.manual_seed(0)
    items = cycle["item"].num_nodes
    backbone = Backbone(items, dim=8, sampler="prefix").eval()
    batch = SequenceLoader(cycle, "prefix", 16, 50)[0]
    table = backbone.items(cycle)
    every = backbone.states(table, batch)[batch.target_positions()[0]]
    torch.testing.assert_close(backbone.states_at_targets(table, batch), every)


@pytest.mark.parametrize("pooling", ["last", "mean", "flatten"])
def test_the_vector_for_contrast_knows_no_padding(pooling: str) -> None:
    torch.manual_seed(0)
    backbone = Backbone(V, dim=8, max_length=10).eval()
    table = backbone.features.weight
    alone = backbone.view(table, batch_of([3, 1]), pooling)  # type: ignore[arg-type]
    among = backbone.view(table, batch_of([3, 1], [1, 2, 3, 4]), pooling)  # type: ignore[arg-type]
    assert (alone.shape[1], among.shape[1]) == (
        (16, 32) if pooling == "flatten" else (8, 8)
    )
    torch.testing.assert_close(alone[0], among[0, -alone.shape[1] :])


def test_flattened_states_stand_with_the_newest_at_the_end() -> None:
    backbone = Backbone(V, dim=8, max_length=10).eval()
    batch = batch_of([3, 1], [1, 2, 3, 4])
    states = backbone.states(backbone.features.weight, batch)
    flat = backbone.view(backbone.features.weight, batch, "flatten").view(2, 4, 8)
    torch.testing.assert_close(flat[0, 2:], states[0, :2])
    torch.testing.assert_close(flat[1], states[1])
    assert not flat[0, :2].any()


def test_features_and_encoder_of_different_widths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"8 dimensions and the encoder reads 16"):
        Backbone(V, features=Embedding(V, dim=8), encoder=Transformer(16))


def test_an_encoder_that_reads_less_than_the_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"max_length=50 .* up to 20"):
        Backbone(V, encoder=Transformer(8, 20), max_length=50)


PRESETS = {
    "CL4SRec": ("s3", {}),
    "CoSeRec": ("s3", {}),
    "DuoRec": ("code", {"data": "ml-1m"}),
    "ICLRec": ("code", {}),
    "LMA4Rec": ("s3", {}),
    "MCLRec": ("code", {"data": "ml-1m"}),
    "S3Rec": ("s3", {}),
    "SRMA": ("code", {}),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_its_encoder_as_wide_as_given_features(name: str) -> None:
    preset, options = PRESETS[name]
    features = Embedding(V, dim=8)
    cls: Any = MODELS[name]
    model = cls.preset(preset, 5, V, features=features, max_length=6, **options)
    assert (model.backbone.encoder.dim, model.backbone.encoder.max_length) == (8, 6)
    given = Transformer(16, 9)
    model = cls.preset(preset, 5, V, dim=8, encoder=given, max_length=6, **options)
    assert model.backbone.encoder is given


@pytest.mark.parametrize("rows", [V - 1, V + 1])
@pytest.mark.parametrize("kind", [Embedding, Propagated])
def test_features_of_other_items_are_refused(kind: type, rows: int) -> None:
    with pytest.raises(ConfigError, match=f"of {rows} items .* ranks {V}"):
        Backbone(V, features=kind(rows, dim=8))


def test_models_that_read_sequences_refuse_pairs() -> None:
    for name in ("SASRec", "CL4SRec", "MCLSR", "ComiRec"):
        with pytest.raises(OptionError, match="'targets' or 'user' or 'prefix'"):
            MODELS[name](5, V, sampler="pairs")
