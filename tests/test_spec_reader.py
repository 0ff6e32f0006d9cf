"""Specifications are read: names, options, sizes and parts, all problems at once."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from graphseq.schema import Configurable, InvalidOption, OptionError, Size, Weight
from graphseq.spec_reader import Reader, find_option
from graphseq.specs import Spec


class Part(Configurable):
    pass


class Wide(Part):
    def __init__(self, num_items: Size, *, dim: Size = 4, rate: Weight = 0.5) -> None:
        self.num_items, self.dim, self.rate = num_items, dim, rate


class Deep(Part):
    def __init__(self, *, layers: Size = 1, inner: Wide | None = None) -> None:
        self.layers, self.inner = layers, inner

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        if options["inner"] is not None and options["inner"].rate > options["layers"]:
            yield InvalidOption("layers", "fewer than inner.rate")


class Whole(Configurable):
    part_defaults: ClassVar = {"part": {"Wide": {"rate": 0.25}}}

    def __init__(
        self,
        num_items: Size,
        *,
        dim: Size | None = None,
        part: Part | None = None,
        others: Sequence[Part] = (),
        file: Path | None = None,
    ) -> None:
        self.num_items, self.dim, self.part = num_items, dim, part
        self.others, self.file = others, file


PARTS: dict[str, type] = {"Wide": Wide, "Deep": Deep}


def reader(**options: Any) -> Reader:
    return Reader(PARTS, frozenset({"num_items"}), **options)


def read(options: Any) -> Spec:
    strict = reader()
    spec = strict.pick({"Whole": Whole}, {"Whole": options}, "here")
    assert spec is not None, strict.problems
    return spec


def problems(options: Any) -> list[tuple[str, str]]:
    strict = reader()
    assert strict.pick({"Whole": Whole}, {"Whole": options}, "here") is None
    return [(p.name.removeprefix("here.Whole"), p.message) for p in strict.problems]


def test_a_specification_is_resolved_with_all_defaults_and_resolves_to_itself() -> None:
    spec = read({"dim": 8, "others": ["Deep", {"Deep": {"inner": {"rate": 1}}}]})
    full = spec.resolve()
    assert full == {
        "dim": 8,
        "part": {"Wide": {"dim": 8, "rate": 0.25}},
        "others": [
            {"Deep": {"layers": 1, "inner": None}},
            {"Deep": {"layers": 1, "inner": {"Wide": {"dim": 8, "rate": 1.0}}}},
        ],
        "file": None,
    }
    assert read(full).resolve() == full


def test_the_data_supply_sizes_to_every_part() -> None:
    spec = read({"others": [{"Deep": {"inner": {}}}], "file": "a.csv"})
    whole = spec.build(num_items=3)
    assert (
        whole.num_items == whole.part.num_items == whole.others[0].inner.num_items == 3
    )
    assert whole.part.rate == 0.25 and whole.file == Path("a.csv")


def test_the_width_of_a_part_is_that_of_the_whole() -> None:
    sized = read({"others": [], "part": {"Wide": {"dim": 6}}})
    assert sized.part.dim == 6
    assert read({"dim": 7}).part.dim == 7
    assert read({}).part.dim == 4


def test_all_problems_are_found_and_supplied_options_are_never_suggested() -> None:
    found = problems(
        {
            "num_items": 3,
            "num_item": 3,
            "dim": 0,
            "part": {"Wide": {"rate": -1, "raet": 1}},
            "others": ["Wide", {"Deep": {"layers": 1, "inner": {"rate": 2}}}, "Thin"],
        }
    )
    assert found == [
        (".num_items", "comes from the data or the command; leave it out"),
        (".num_item", "not an option; there are dim, part, others, file"),
        (".part.Wide.raet", "not an option; did you mean 'rate'?"),
        (".part.Wide.rate", "expected a finite number of 0 or more, found -1.0"),
        (".others[1].Deep.layers", "fewer than inner.rate"),
        (".others[2].Thin", "unknown name; there are Wide, Deep"),
        (".dim", "expected a whole number of 1 or more, or None, found 0"),
    ]


@pytest.mark.parametrize("value", [3, {"Wide": {}, "Deep": {}}, {"Wide": 3}])
def test_a_part_is_named_with_its_options(value: Any) -> None:
    [(_, message)] = problems({"part": value})
    assert message.startswith("expected ")


def test_the_description_of_a_built_model_may_contain_supplied_options() -> None:
    described = {"num_items": 9, "part": {"Wide": {"num_items": 9, "dim": 2}}}
    relaxed = reader(ignore_supplied=True)
    spec = relaxed.read(Whole, described, "model")
    assert spec is not None and not relaxed.problems
    assert spec.build(num_items=3).part.num_items == 3


def test_an_option_refused_by_the_object_is_reported_with_its_place() -> None:
    with pytest.raises(OptionError, match=r"here\.Whole\.part\.Wide\.num_items: exp"):
        read({}).build(num_items=0)


def test_an_option_is_found_in_the_parts_of_the_defaults_first() -> None:
    assert find_option(Whole, "rate", PARTS) == "part.Wide.rate"
    assert find_option(Whole, "layers", PARTS) == "part.Deep.layers"
    assert find_option(Whole, "none", PARTS) is None


class Nested(Part):
    def __init__(self, *, part: Part | None = None) -> None:
        self.part = part


def test_a_part_that_takes_its_own_kind_is_searched_once() -> None:
    parts = {"Nested": Nested, **PARTS}
    assert find_option(Nested, "layers", parts) == "part.Nested.part.Deep.layers"
    assert find_option(Nested, "none", parts) is None


def test_parts_can_be_walked() -> None:
    spec = read({"others": [{"Deep": {"inner": {}}}]})
    assert [s.place.removeprefix("here.") for s in spec.walk()] == [
        "Whole",
        "Whole.others[0].Deep",
        "Whole.others[0].Deep.inner",
        "Whole.part.Wide",
    ]
