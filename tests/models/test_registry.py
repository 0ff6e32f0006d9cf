"""Models by name: files, descriptions, parts of one's own."""

from typing import Any

import pytest
import torch
from torch import Tensor

from graphseq import models
from graphseq.errors import ConfigError
from graphseq.models import MODELS, PARTS, Auxiliary, DuoRec, SASRec, create
from graphseq.models.registry import model_table
from graphseq.nn import Embedding, Encoder, Propagated
from graphseq.schema import OptionError, describe


def test_options_that_are_left_out_have_their_defaults() -> None:
    model = create({"SASRec": {"backbone": {"dim": 16}}}, 3, 4)
    assert isinstance(model, SASRec)
    assert (model.num_users, model.num_items, model.backbone.dim) == (3, 4, 16)
    assert model.backbone.max_length == 50
    assert model.backbone.encoder.options["layers"] == 2


@pytest.mark.parametrize("options", [None, {}])
def test_a_model_without_options(options: dict[str, Any] | None) -> None:
    assert type(create({"POP": options}, 3, 4)) is MODELS["POP"]


def test_a_models_options_of_its_parts_are_merged_with_given_ones() -> None:
    encoder = {"Transformer": {"layers": 1}}
    model = create({"SRMA": {"backbone": {"encoder": encoder, "dim": 8}}}, 3, 4)
    assert model.sampler == "user"
    options = model.backbone.encoder.options
    assert (options["layers"], options["attention_dropout"]) == (1, 0.1)
    assert (options["dim"], options["max_length"]) == (8, 50)
    gru = create({"SRMA": {"backbone": {"encoder": "GRU"}}}, 3, 4)
    assert "attention_dropout" not in gru.backbone.encoder.options


@pytest.mark.parametrize(
    ("name", "options", "users"),
    [
        ("BPRMF", {}, 10**12),
        ("SASRec", {"backbone": {"max_length": 10**12}}, 3),
    ],
)
def test_weights_beyond_the_memory_are_refused_before_they_are_made(
    name: str, options: dict[str, Any], users: int
) -> None:
    with pytest.raises(ConfigError, match=r"take \S+ TB, and .* are free"):
        create({name: options}, users, 4)


def test_a_model_that_needs_a_real_device_is_made() -> None:
    class Counted(MODELS["POP"]):  # type: ignore[name-defined,misc]
        def __init__(self, num_users: int, num_items: int) -> None:
            super().__init__(num_users, num_items)
            self.total = float(torch.ones(num_items).sum())

    MODELS["Counted"] = Counted
    try:
        assert create({"Counted": {}}, 3, 4).total == 4
    finally:
        del MODELS["Counted"]


@pytest.mark.parametrize("kind", [Embedding, Propagated])
def test_parts_are_built_for_the_items_of_the_data(kind: type) -> None:
    features = {kind.__name__: {"dim": 8}}
    model = create({"SASRec": {"backbone": {"features": features, "dim": 8}}}, 3, 4)
    assert type(model.backbone.features) is kind
    assert model.backbone.features.weight.shape == (4, 8)
    assert model.backbone.encoder.position.shape == (50, 8)


def test_a_description_of_other_sizes_is_built_for_these() -> None:
    model = create(describe(SASRec(9, 10)), 3, 4)
    assert (model.num_users, model.num_items) == (3, 4)
    assert model.backbone.features.weight.shape == (4, 64)


def test_objects_can_be_given_for_parts() -> None:
    features = Embedding(4, dim=8)
    model = create({"SASRec": {"backbone": {"features": features, "dim": 8}}}, 3, 4)
    assert model.backbone.features is features


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"SASRek.*mean 'SASRec'"):
        create({"SASRek": {}}, 3, 4)


def test_all_problems_are_reported_with_their_paths() -> None:
    spec = {
        "SequenceModel": {
            "backbone": {"dim": 0, "encoder": {"GRU": {"hidde": 3}}},
            "auxiliaries": [{"ViewContrast": {"weight": -1}}, "Contrast"],
        }
    }
    with pytest.raises(OptionError) as error:
        create(spec, 3, 4)
    paths = {problem.name for problem in error.value.invalid}
    assert paths >= {
        "model.SequenceModel.backbone.dim",
        "model.SequenceModel.backbone.encoder.GRU.hidde",
        "model.SequenceModel.auxiliaries[0].ViewContrast.weight",
        "model.SequenceModel.auxiliaries[1].Contrast",
    }


@pytest.mark.parametrize("spec", [{"Decay": {"dim": 8}}, {"Decay": None}, "Decay"])
def test_a_part_of_ones_own_is_known_once_it_is_entered(
    spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"DuoRec": {"backbone": {"encoder": spec, "dim": 8}}}
    with pytest.raises(ConfigError, match="Decay"):
        create(model, 3, 4)

    class Decay(Encoder):
        def __init__(self, dim: int = 8) -> None:
            super().__init__()
            self.dim = dim

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return x * mask[..., None]

    monkeypatch.setitem(PARTS, "Decay", Decay)
    made = create(model, 3, 4)
    assert isinstance(made, DuoRec) and type(made.backbone.encoder) is Decay


def test_every_model_and_objective_is_public() -> None:
    objectives = {n: p for n, p in PARTS.items() if issubclass(p, Auxiliary)}
    assert len(objectives) >= 10
    for name, cls in {**model_table(), **objectives}.items():
        assert getattr(models, name) is cls and name in models.__all__
        assert cls.__name__ == name
