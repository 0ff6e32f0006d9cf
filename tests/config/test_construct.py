"""Checked options become the objects that they name."""

from pathlib import Path
from typing import Any

import pytest
import torch

from graphseq.config.checks import Schema, parameters
from graphseq.config.construct import build, resolve
from graphseq.config.experiment import MODEL
from graphseq.models import MODELS
from graphseq.schema import describe


class Part:
    pass


class Wheel(Part):
    def __init__(self, size: int, *, spokes: int = 8, width: float = 1.0) -> None:
        self.got = (size, spokes, width)


class Cart:
    def __init__(
        self,
        size: int,
        *,
        wheel: Part | None = None,
        ks: tuple[int, ...] = (1, 2),
        load: float = 1.0,
        path: str | Path | None = None,
    ) -> None:
        self.got: dict[str, Any] = {"size": size, "ks": ks, "load": load, "path": path}
        self.wheel = wheel


SCHEMA = Schema({"Wheel": Wheel}, frozenset({"size"}))


def test_lists_become_tuples_and_whole_numbers_floats() -> None:
    cart = build(SCHEMA, Cart, {"ks": [5, 10], "load": 2, "path": "a"}, size=7)
    assert cart.got == {"size": 7, "ks": (5, 10), "load": 2.0, "path": "a"}
    assert isinstance(cart.got["load"], float)


def test_a_nested_name_becomes_its_object_with_what_the_data_supply() -> None:
    cart = build(SCHEMA, Cart, {"wheel": {"Wheel": {"spokes": 4, "width": 3}}}, size=7)
    assert cart.wheel.got == (7, 4, 3.0)
    assert build(SCHEMA, Cart, {"wheel": "Wheel"}, size=7).wheel.got == (7, 8, 1.0)
    assert build(SCHEMA, Cart, {"wheel": None}, size=7).wheel is None


def test_no_options_are_the_defaults() -> None:
    assert build(SCHEMA, Cart, None, size=1).got["ks"] == (1, 2)


def test_resolved_options_are_complete_plain_and_build_the_same() -> None:
    full = resolve(SCHEMA, Cart, {"wheel": {"Wheel": {"spokes": 4}}, "load": 2})
    assert full == {
        "wheel": {"Wheel": {"spokes": 4, "width": 1.0}},
        "ks": [1, 2],
        "load": 2,
        "path": None,
    }
    assert SCHEMA.check(Cart, full, "cart") == []
    assert build(SCHEMA, Cart, full, size=1).wheel.got == (1, 4, 1.0)
    assert resolve(SCHEMA, Cart, full) == full


PRESETS = [
    (name, preset, data)
    for name, model in MODELS.items()
    for preset in model.presets
    for data in model.for_data or (None,)
]


@pytest.mark.parametrize(("name", "preset", "data"), PRESETS)
def test_a_preset_in_a_file_is_the_one_of_python(
    name: str, preset: str, data: str | None
) -> None:
    given = {"preset": preset, "num_negatives": 3, **({"data": data} if data else {})}
    if "num_negatives" not in parameters(MODELS[name]):
        del given["num_negatives"]
    assert MODEL.pick(MODELS, {name: given}, "model") == (name, given, [])
    rest = {key: value for key, value in given.items() if key != "preset"}
    expected = describe(MODELS[name].preset(preset, 5, 6, **rest))
    made = build(MODEL, MODELS[name], given, num_users=5, num_items=6)
    assert describe(made) == expected
    full = resolve(MODEL, MODELS[name], given)
    assert "preset" not in full and "data" not in full and "num_users" not in full
    again = build(MODEL, MODELS[name], full, num_users=5, num_items=6)
    assert describe(again) == expected
    assert MODEL.check(MODELS[name], full, "model") == []


def test_a_part_beside_a_preset_overrules_its_own() -> None:
    given = {"preset": "s3", "data": "beauty", "encoder": {"GRU": {"hidden": 8}}}
    full = resolve(MODEL, MODELS["CoSeRec"], given)
    assert full["encoder"]["GRU"]["hidden"] == 8
    assert full["threshold"] == 12


def test_writing_out_a_preset_draws_none_of_the_callers_random_numbers() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    resolve(MODEL, MODELS["SASRec"], {"preset": "original"})
    assert torch.equal(torch.get_rng_state(), before)


def test_presets_that_are_none_are_refused_with_those_that_are() -> None:
    (found,) = MODEL.check(MODELS["SASRec"], {"preset": "best"}, "model.SASRec")
    assert found.what == "expected one of 'original', 'recbole', 's3', got 'best'"
    (found,) = MODEL.check(MODELS["POP"], {"preset": "s3"}, "model.POP")
    assert found.what.startswith("POP has no such option")
    assert MODEL.check(MODELS["ICLRec"], {"data": "beauty"}, "model.ICLRec")
