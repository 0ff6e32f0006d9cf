"""Specifications: resolved with defaults, walked, built, and merged."""

from typing import Any

import pytest

from graphseq.schema import Configurable, OptionError, Size, Weight
from graphseq.specs import Spec, class_of, merge


class Wide(Configurable):
    def __init__(self, num_items: Size, *, dim: Size = 4, rate: Weight = 0.5) -> None:
        self.num_items, self.dim, self.rate = num_items, dim, rate


class Whole(Configurable):
    def __init__(self, num_items: Size, *, parts: list[Wide], depth: Size = 2) -> None:
        self.num_items, self.parts, self.depth = num_items, parts, depth


SUPPLIED = frozenset({"num_items"})


def whole(**options: Any) -> Spec:
    part = Spec(Wide, options, "model.Whole.parts[0].Wide", SUPPLIED)
    return Spec(Whole, {"parts": [part]}, "model.Whole", SUPPLIED)


def test_a_specification_is_resolved_with_the_defaults_of_its_parts() -> None:
    spec = whole(dim=8)
    assert spec.resolve() == {"parts": [{"Wide": {"dim": 8, "rate": 0.5}}], "depth": 2}
    assert spec.depth == 2, "options are attributes, as of the object"
    with pytest.raises(AttributeError, match="width"):
        _ = spec.width


def test_parts_are_walked_from_the_whole_down() -> None:
    places = [spec.place for spec in whole().walk()]
    assert places == ["model.Whole", "model.Whole.parts[0].Wide"]


def test_the_data_supply_sizes_to_every_part() -> None:
    built = whole(dim=8).build(num_items=3, num_users=5)
    assert built.num_items == built.parts[0].num_items == 3
    assert built.parts[0].dim == 8
    assert class_of(built) is class_of(whole()) is Whole


def test_an_option_refused_by_an_object_is_reported_with_its_place() -> None:
    with pytest.raises(OptionError, match=r"model\.Whole\.parts\[0\]\.Wide\.rate: exp"):
        whole(rate=-1.0).build(num_items=3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"part": {"Wide": {"dim": 1, "rate": 2}}}),
        ({"part": {"Wide": {"dim": 3}}}, {"part": {"Wide": {"dim": 3, "rate": 2}}}),
        ({"part": "Wide"}, {"part": {"Wide": {"dim": 1, "rate": 2}}}),
        ({"part": {"Wide": None}}, {"part": {"Wide": {"dim": 1, "rate": 2}}}),
        ({"part": {"Deep": {}}}, {"part": {"Deep": {}}}),
        ({"part": None}, {"part": None}),
        ({"a": [1]}, {"part": {"Wide": {"dim": 1, "rate": 2}}, "a": [1]}),
        (
            {"Whole": {"a": 1}},
            {"Whole": {"part": {"Wide": {"dim": 1, "rate": 2}}, "a": 1}},
        ),
    ],
)
def test_options_are_merged_over_those_of_the_same_part(
    options: Any, expected: Any
) -> None:
    assert merge({"part": {"Wide": {"dim": 1, "rate": 2}}}, options) == expected
