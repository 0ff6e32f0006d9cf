"""Checked options become the objects that they name."""

from pathlib import Path
from typing import Any

from graphseq.config.checks import Schema
from graphseq.config.construct import build, resolve


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
