"""Options are checked against signatures, remembered, and written as plain data."""

import copy
import json
import math
import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pytest

from graphseq.schema import (
    Configurable,
    Count,
    Dropout,
    Fraction,
    InvalidOption,
    OptionError,
    Positive,
    Size,
    Weight,
    checked,
    describe,
    fill_defaults,
    find_invalid,
    format_type,
    refuse,
)


class Part(Configurable):
    def __init__(self, size: int, *, scale: float = 1.5) -> None:
        self.size = size


class Outer(Configurable):
    def __init__(
        self, name: str, *, part: Part | None = None, ks: Any = (1, 2)
    ) -> None:
        self.name = name


class Ranges(Configurable):
    def __init__(
        self,
        *,
        size: Size = 1,
        count: Count = 0,
        fraction: Fraction = 1.0,
        dropout: Dropout | None = 0.0,
        weight: Weight = 0.0,
        positive: Positive = 1.0,
    ) -> None:
        pass


class Blocks(Configurable):
    def __init__(self, dim: Size = 64, *, heads: Size = 2) -> None:
        pass

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        if options["dim"] % options["heads"]:
            expected = f"expected a divisor of dim={options['dim']}"
            yield InvalidOption("heads", f"{expected}, found {options['heads']}")


class Typed(Configurable):
    def __init__(
        self,
        part: Part | None = None,
        times: Sequence[int] | int = 3,
        pair: tuple[int, int] = (1, 0),
        *,
        width: int = 4,
        kinds: Sequence[Literal["a", "b"]] = ("a",),
        direction: Literal["up", "down"] = "up",
        repeats: Literal[1, 3] | None = None,
        limit: Literal["all"] | int = "all",
    ) -> None:
        pass


def test_options_include_the_defaults() -> None:
    assert Part(3).options == {"size": 3, "scale": 1.5}
    assert Part(size=3, scale=2.0).options == {"size": 3, "scale": 2.0}


def test_a_description_is_plain_data_at_every_depth() -> None:
    assert describe(Outer("w", part=Part(3))) == {
        "Outer": {
            "name": "w",
            "part": {"Part": {"size": 3, "scale": 1.5}},
            "ks": [1, 2],
        }
    }
    assert describe([Part(1), {"a": (Part(2),)}]) == [
        {"Part": {"size": 1, "scale": 1.5}},
        {"a": [{"Part": {"size": 2, "scale": 1.5}}]},
    ]


def test_numbers_of_numpy_are_accepted_and_become_plain_data() -> None:
    given = Part(np.int64(3), scale=np.float32(0.5))
    assert json.dumps(describe(given)) == '{"Part": {"size": 3, "scale": 0.5}}'
    assert Typed(times=[1, np.int64(2)]).options["times"] == [1, 2]


def test_copies_and_pickles_keep_the_options() -> None:
    for twin in (
        copy.copy(Part(3)),
        copy.deepcopy(Part(3)),
        pickle.loads(pickle.dumps(Part(3))),
    ):
        assert twin.options == {"size": 3, "scale": 1.5}
        assert twin.size == 3


def test_all_invalid_options_are_reported_at_once_in_the_signatures_order() -> None:
    with pytest.raises(OptionError) as caught:
        Ranges(
            size=0, count=-1, fraction=1.5, dropout=1.0, weight=math.inf, positive=0.0
        )
    assert str(caught.value).splitlines() == [
        "Ranges: 6 problems",
        "  size      expected a whole number of 1 or more, found 0",
        "  count     expected a whole number of 0 or more, found -1",
        "  fraction  expected a number from 0 to 1, found 1.5",
        "  dropout   expected a number from 0 to below 1, or None, found 1.0",
        "  weight    expected a finite number of 0 or more, found inf",
        "  positive  expected a finite number above 0, found 0.0",
    ]
    assert [name for name, _ in caught.value.invalid] == list(Ranges().options)


def test_the_ends_of_a_range_are_accepted() -> None:
    Ranges(size=1, count=0, fraction=0.0, dropout=None, weight=0, positive=1e-9)
    Ranges(fraction=1)


@pytest.mark.parametrize("value", [math.nan, "0.5", True, None])
def test_what_is_not_a_number_is_refused(value: Any) -> None:
    with pytest.raises(OptionError, match="fraction"):
        Ranges(fraction=value)


@pytest.mark.parametrize("value", [8.0, True, "8"])
def test_sizes_are_whole_numbers(value: Any) -> None:
    with pytest.raises(OptionError, match="expected a whole number of 1 or more"):
        Ranges(size=value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Typed("Part"), "part: expected Part, or None, found 'Part'"),
        (lambda: Typed(Outer("x")), "part: expected Part, or None, found Outer(…)"),
        (lambda: Typed({"Part": {}}), "part: expected Part, or None, found {'Part'"),
        (lambda: Typed(times=0.5), "times: expected a list of a whole number or a"),
        (lambda: Typed(times=[1, "2"]), "times: expected a list of"),
        (lambda: Typed(pair=(1.0, 0)), "pair: expected a list of a whole number, a"),
        (lambda: Typed(pair=(1, 0, 1)), "pair: expected"),
        (lambda: Typed(kinds=["a", "c"]), "kinds: expected a list of 'a' or 'b'"),
        (lambda: Typed(kinds="a"), "kinds: expected a list of 'a' or 'b', found 'a'"),
        (lambda: Typed(direction="left"), "direction: expected 'up' or 'down'"),
        (lambda: Typed(repeats=2), "repeats: expected 1 or 3, or None, found 2"),
        (lambda: Part(), "size: missing; expected a whole number"),
        (lambda: Part(1, 2), "expected at most 1 without a name, found 2"),
        (lambda: Part(1, size=2), "size: given twice"),
        (lambda: Typed(widht=3), "widht: not an option; did you mean 'width'?"),
        (lambda: Blocks(8, heads=3), "heads: expected a divisor of dim=8, found 3"),
    ],
)
def test_what_does_not_fit_the_signature_is_refused(
    make: Callable[[], Any], message: str
) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        make()


def test_what_fits_the_signature_is_accepted() -> None:
    given = Typed(Part(1), [1, 2], [2, 1], kinds=["b", "a"], repeats=3, limit=7)
    assert given.options["pair"] == [2, 1] and given.options["limit"] == 7
    assert Typed(None, 7).options["times"] == 7


def test_a_part_needs_a_type_in_the_signature() -> None:
    """Otherwise the run of a model with it could not be loaded."""

    class Untyped(Configurable):
        def __init__(self, part, size: int = 1) -> None:  # type: ignore[no-untyped-def]
            pass

    assert Untyped("plain").options == {"part": "plain", "size": 1}
    for value in (Part(1), [Part(1)]):
        with pytest.raises(OptionError, match=r"part: found .* option without a type"):
            Untyped(value)


def test_conflicts_are_checked_only_for_options_that_fit_alone() -> None:
    with pytest.raises(OptionError, match="dim: expected a whole number of 1"):
        Blocks(0, heads=2)


@checked
def train(model: str, *, epochs: Size = 1, lr: Positive = 0.1) -> str:
    return f"{model} {epochs} {lr}"


def test_a_checked_function_checks_its_calls() -> None:
    assert train("m", epochs=2) == "m 2 0.1"
    with pytest.raises(OptionError, match="train: 2 problems") as caught:
        train("m", epoch=2, lr=0)  # type: ignore[call-arg]
    assert "did you mean 'epochs'?" in str(caught.value)
    assert "lr     expected a finite number above 0, found 0" in str(caught.value)


class Trainer:
    @checked
    def train(self, model: str, *, epochs: Size = 1) -> str:
        return f"{model} {epochs}"


def test_a_checked_method_checks_its_calls() -> None:
    assert Trainer().train("m", epochs=2) == "m 2"
    with pytest.raises(OptionError, match="train: epochs: expected a whole number"):
        Trainer().train("m", epochs=0)


def test_defaults_are_filled_in_the_order_of_the_signature() -> None:
    filled = fill_defaults(train, {"lr": 0.2, "model": "m"})
    assert list(filled.items()) == [("model", "m"), ("epochs", 1), ("lr", 0.2)]


def test_nothing_invalid_is_not_refused() -> None:
    refuse("source", [])


@pytest.mark.parametrize(
    "hint, words",
    [
        (Size | None, "a whole number of 1 or more, or None"),
        (Sequence[str], "a list of a text"),
        (Mapping[str, Any], "options by name"),
        (Part, "Part"),
    ],
)
def test_types_are_formatted_in_words(hint: Any, words: str) -> None:
    assert format_type(hint) == words


def test_numbers_beyond_64_bits_are_refused() -> None:
    def train(batch_size: Size = 1) -> None: ...

    assert not [*find_invalid(train, {"batch_size": 2**63 - 1})]
    [(name, message)] = find_invalid(train, {"batch_size": 10**30})
    assert (name, message) == ("batch_size", "1e+30 is more than 64 bits can hold")
