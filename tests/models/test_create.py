"""Models by name, from what ``describe`` says of them."""

from typing import Any

import pytest
from torch import Tensor

from graphseq import models
from graphseq.errors import ConfigError
from graphseq.models import MODELS, SASRec, create
from graphseq.nn import Embedding, Encoder, Propagated


def test_options_that_are_not_named_have_their_defaults() -> None:
    model = create({"SASRec": {"layers": 1}}, 3, 4)
    assert isinstance(model, SASRec)
    assert model.options["layers"] == 1 and model.options["dim"] == 64
    assert (model.num_users, model.num_items) == (3, 4)
    assert len(model.backbone.encoder.blocks) == 1


@pytest.mark.parametrize("options", [None, {}])
def test_no_options_at_all_are_fine(options: dict | None) -> None:
    assert type(create({"POP": options}, 3, 4)) is MODELS["POP"]


@pytest.mark.parametrize("kind", [Embedding, Propagated])
def test_parts_are_built_for_the_same_items(kind: type) -> None:
    model = create({"SASRec": {"features": {kind.__name__: {"dim": 8}}}}, 3, 4)
    assert type(model.backbone.features) is kind
    assert model.backbone.features.weight.shape == (4, 8)
    assert model.backbone.encoder.position.shape == (50, 8), (
        "the features' width is the model's"
    )


def test_sizes_come_from_the_graph_and_not_from_the_description() -> None:
    spec = {"SASRec": {"num_users": 9, "num_items": 9, "features": {"Embedding": None}}}
    assert create(spec, 3, 4).backbone.features.weight.shape == (4, 64)


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"SASRek.*mean 'SASRec'"):
        create({"SASRek": {}}, 3, 4)


@pytest.mark.parametrize("spec", [{"Decay": {"dim": 8}}, {"Decay": None}])
def test_a_part_of_ones_own_is_known_once_it_is_entered(
    spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"no part 'Decay'.*PARTS\['Decay'\] = Decay"):
        create({"DuoRec": {"encoder": spec}}, 3, 4)

    class Decay(Encoder):
        def __init__(self, dim: int = 8) -> None:
            super().__init__()
            self.dim = dim

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return x * mask[..., None]

    monkeypatch.setitem(models.PARTS, "Decay", Decay)
    made = create({"DuoRec": {"encoder": spec}}, 3, 4)
    assert type(made.backbone.encoder) is Decay


def test_every_model_is_public() -> None:
    for name, cls in MODELS.items():
        assert getattr(models, name) is cls and name in models.__all__
        assert cls.__name__ == name
