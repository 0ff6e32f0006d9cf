"""Objects remember what they were built with, and say it as plain data."""

import copy
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pytest

from graphseq.schema import (
    Configurable,
    InvalidOption,
    OptionError,
    check_ranges,
    describe,
)


class Part(Configurable):
    def __init__(self, size: int, *, scale: float = 1.5) -> None:
        self.size = size


class Whole(Configurable):
    def __init__(
        self, name: str, *, part: Part | None = None, ks: Any = (1, 2)
    ) -> None:
        self.name = name


def test_options_hold_the_defaults_too() -> None:
    assert Part(3).options == {"size": 3, "scale": 1.5}
    assert Part(size=3, scale=2.0).options == {"size": 3, "scale": 2.0}


def test_a_description_is_plain_data_all_the_way_down() -> None:
    assert describe(Whole("w", part=Part(3))) == {
        "Whole": {
            "name": "w",
            "part": {"Part": {"size": 3, "scale": 1.5}},
            "ks": [1, 2],
        }
    }
    assert describe([Part(1), {"a": (Part(2),)}]) == [
        {"Part": {"size": 1, "scale": 1.5}},
        {"a": [{"Part": {"size": 2, "scale": 1.5}}]},
    ]


def test_copies_keep_the_options() -> None:
    for twin in (copy.copy(Part(3)), copy.deepcopy(Part(3))):
        assert twin.options == {"size": 3, "scale": 1.5}
        assert twin.size == 3


def test_options_out_of_their_range_are_told_together() -> None:
    with pytest.raises(OptionError) as told:
        check_ranges(
            InvalidOption("heads", 3, "a divisor of dim=8"),
            sizes={"dim": 8, "layers": 0, "inner": None},
            counts={"steps": -1},
            rates={"keep": 1.0, "mask": 1.5},
            dropouts={"dropout": 1.0},
            amounts={"contrast_weight": math.inf},
            positive={"temperature": 0.0},
        )
    assert str(told.value) == (
        "heads=3: expected a divisor of dim=8; layers=0: expected 1 or more; "
        "steps=-1: expected 0 or more; mask=1.5: expected 0 to 1; "
        "dropout=1.0: expected 0 or more and below 1; "
        "contrast_weight=inf: expected 0 or more, and finite; "
        "temperature=0.0: expected a number above 0"
    )


def test_the_ends_of_a_range_are_fine() -> None:
    check_ranges(
        sizes={"dim": 1},
        counts={"steps": 0},
        rates={"keep": 0.0, "mask": 1.0},
        dropouts={"dropout": 0.0, "attention_dropout": None},
    )


def test_numbers_of_numpy_are_plain_data() -> None:
    given = Part(np.int64(3), scale=np.float32(0.5))
    assert json.dumps(describe(given)) == '{"Part": {"size": 3, "scale": 0.5}}'


class Chosen(Configurable):
    def __init__(
        self,
        way: Literal["up", "down"] = "up",
        *,
        again: Literal[1, 3] | None = None,
        free: Literal["all"] | int = "all",
    ) -> None:
        self.way = way


def test_what_is_none_of_the_choices_is_refused_with_all_of_them() -> None:
    assert Chosen("down", again=3, free=7).options["free"] == 7
    assert Chosen(again=None).way == "up"
    with pytest.raises(OptionError) as told:
        Chosen("left", again=2)  # type: ignore[arg-type]
    assert str(told.value) == (
        "way='left': expected 'up' or 'down'; again=2: expected 1 or 3 or None"
    )


def test_sizes_and_counts_are_whole_numbers() -> None:
    check_ranges(sizes={"dim": 8}, counts={"steps": 0})
    with pytest.raises(OptionError, match=r"dim=8\.0: expected a whole number"):
        check_ranges(sizes={"dim": 8.0})


class Kinds(Configurable):
    def __init__(self, kinds: Sequence[Literal["a", "b"]] = ("a",)) -> None:
        pass


class Typed(Configurable):
    def __init__(
        self,
        part: Kinds | None = None,
        times: Sequence[int] | int = 3,
        pair: tuple[int, int] = (1, 0),
        *,
        width: int = 4,
    ) -> None:
        pass


@pytest.mark.parametrize(
    "made, told",
    [
        (lambda: Typed("Kinds"), "part='Kinds': expected Kinds or None"),
        (lambda: Typed(Part(3)), "part=Part(…): expected Kinds or None"),
        (lambda: Typed({"Kinds": {}}), "part={'Kinds': {}}: expected Kinds or None"),
        (lambda: Typed(times=0.5), "expected a list of a whole number or a whole"),
        (lambda: Typed(times=[1, "2"]), "times=[1, '2']: expected a list of"),
        (lambda: Typed(pair=(1.0, 0)), "expected a list of a whole number, a whole"),
        (lambda: Typed(pair=(1, 0, 1)), "pair=(1, 0, 1): expected"),
        (lambda: Kinds(["a", "bogus"]), "kinds=['a', 'bogus']: expected a list of 'a'"),
        (lambda: Kinds("a"), "kinds='a': expected a list of 'a' or 'b'"),
    ],
)
def test_what_is_not_of_an_options_type_is_refused(
    made: Callable[[], Any], told: str
) -> None:
    with pytest.raises(OptionError, match=re.escape(told)):
        made()


def test_what_is_of_an_options_type_is_taken() -> None:
    assert Typed(Kinds(["b", "a"]), [1, np.int64(2)], [2, 1]).options["pair"] == [2, 1]
    assert Typed(None, 7).options["times"] == 7


def test_a_misspelt_option_is_told_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="Typed has no option 'with'; did you mean"):
        Typed(**{"with": 3})
