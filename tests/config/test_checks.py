"""A signature is a schema: what fits it, what does not, and how that is said."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from graphseq.config.checks import Problem, Schema, refuse
from graphseq.errors import ConfigError


class Shape:
    pass


class Circle(Shape):
    def __init__(self, size: int, *, radius: float = 1.0) -> None: ...


class Square(Shape):
    def __init__(
        self, size: int, *, side: float, kind: Literal["a", "b"] = "a"
    ) -> None: ...


def draw(
    title: str,
    *,
    shape: Shape | None = None,
    width: float = 1.0,
    top_k: int | None = 3,
    bold: bool = False,
    ks: tuple[int, ...] = (1, 2),
    share: tuple[float, float] = (0.5, 0.5),
    colour: Literal["red", "green"] | None = "red",
    names: Sequence[str] = (),
    widths: Mapping[str, int] | None = None,
    path: str | Path | None = None,
    anything: Any = None,
) -> None: ...


SCHEMA = Schema({"Circle": Circle, "Square": Square}, frozenset({"size"}))


def told(**options: Any) -> list[tuple[str, str]]:
    problems = SCHEMA.check(draw, {"title": "t", **options}, "at")
    return [(p.where.removeprefix("at."), p.what) for p in problems]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"width": 2},
        {"width": 2.5, "top_k": None},
        {"top_k": 7, "bold": True},
        {"ks": []},
        {"ks": [5, 10, 20], "share": [0.1, 1]},
        {"ks": (5,)},
        {"colour": None},
        {"colour": "green", "names": ["a", "b"]},
        {"widths": {"a": 1}, "path": "x/y"},
        {"anything": {"a": [1]}},
        {"shape": None},
        {"shape": "Circle"},
        {"shape": {"Circle": None}},
        {"shape": {"Circle": {"radius": 3}}},
        {"shape": {"Square": {"side": 1.0, "kind": "b"}}},
    ],
)
def test_what_fits_the_signature_is_no_problem(options: dict[str, Any]) -> None:
    assert told(**options) == []


@pytest.mark.parametrize(
    ("options", "where", "what"),
    [
        ({"widht": 1}, "widht", "draw has no such option; did you mean 'width'?"),
        ({"width": "wide"}, "width", "expected float, got 'wide'"),
        ({"width": True}, "width", "expected float, got True"),
        ({"top_k": "fifty"}, "top_k", "expected int | None, got 'fifty'"),
        ({"top_k": 1.0}, "top_k", "expected int | None, got 1.0"),
        ({"top_k": False}, "top_k", "expected int | None, got False"),
        ({"bold": 1}, "bold", "expected bool, got 1"),
        ({"bold": None}, "bold", "expected bool, got None"),
        ({"ks": 5}, "ks", "expected list of int, got 5"),
        ({"ks": [5, "ten"]}, "ks[1]", "expected int, got 'ten'"),
        ({"share": [1]}, "share", "expected list of float, float, got [1]"),
        ({"names": "a"}, "names", "expected list of str, got 'a'"),
        (
            {"colour": "blue"},
            "colour",
            "expected one of 'red', 'green' | None, got 'blue'",
        ),
        ({"widths": {"a": "b"}}, "widths.a", "expected int, got 'b'"),
        ({"path": 3}, "path", "expected str | Path | None, got 3"),
        (
            {"shape": {"Cirle": {}}},
            "shape.Cirle",
            "no such name; did you mean 'Circle'?",
        ),
        (
            {"shape": {"Circle": {"radius": "r"}}},
            "shape.Circle.radius",
            "expected float, got 'r'",
        ),
        ({"shape": "Square"}, "shape.Square.side", "Square needs it: float"),
        (
            {"shape": {"Circle": {"size": 2}}},
            "shape.Circle.size",
            "this comes from elsewhere; leave it out",
        ),
        ({"shape": 3}, "shape", "expected one of Circle, Square | None, got 3"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(
    options: dict[str, Any], where: str, what: str
) -> None:
    assert told(**options) == [(where, what)]


def test_all_problems_are_told_at_once() -> None:
    places = [where for where, _ in told(widht=1, top_k="x", shape={"Square": {}})]
    assert places == ["widht", "top_k", "shape.Square.side"]


def test_an_option_without_a_default_is_needed() -> None:
    assert SCHEMA.check(draw, None, "at") == [Problem("at.title", "draw needs it: str")]


def test_options_that_are_no_mapping_are_one_problem() -> None:
    [problem] = SCHEMA.check(draw, [1], "at")
    assert problem == Problem("at", "expected options of draw by name, got [1]")


@pytest.mark.parametrize("entry", [{"Circle": {}, "Square": {}}, 3, None, [], {}])
def test_a_choice_names_exactly_one(entry: Any) -> None:
    _, _, [problem] = SCHEMA.pick({"Circle": Circle}, entry, "model")
    assert problem.where == "model"
    assert "expected one of Circle, as {Name:" in problem.what


def test_the_report_is_aligned_and_counts() -> None:
    problems = [Problem("a.b", "wrong"), Problem("a.long.place", "worse")]
    with pytest.raises(ConfigError) as error:
        refuse("file.yaml", problems)
    assert str(error.value).splitlines() == [
        "file.yaml: 2 problems",
        "  a.b           wrong",
        "  a.long.place  worse",
    ]
    with pytest.raises(ConfigError, match=r"^file\.yaml: 1 problem\n"):
        refuse("file.yaml", problems[:1])
    refuse("file.yaml", [])
