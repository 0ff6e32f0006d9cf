"""Suites collect all failures, and name what was checked, found and to do."""

from typing import Any

import pytest
import torch

from graphseq.errors import ConfigError, GraphSeqError
from graphseq.testing import CheckError
from graphseq.testing.suite import Suite, Unmet, expect, expect_json


class Case:
    def __init__(self, make: Any, factor: int = 1) -> None:
        self.value = factor * make()


SUITE = Suite(Case)


@SUITE.add
def it_is_even(case: Case) -> None:
    """The number is even."""
    expect(case.value % 2 == 0, f"{case.value}", "double it")


@SUITE.add
def it_divides_twelve(case: Case) -> None:
    """The number divides 12."""
    expect(12 % case.value == 0, f"{case.value}", "choose a divisor")


def seven() -> int:
    return 7


def test_all_failures_are_in_one_error() -> None:
    with pytest.raises(CheckError) as caught:
        SUITE.run(seven)
    assert str(caught.value).splitlines() == [
        "seven: 2 of 2 checks failed",
        "  it_is_even",
        "    checked: The number is even.",
        "    found: 7",
        "    to do: double it",
        "  it_divides_twelve",
        "    checked: The number divides 12.",
        "    found: 7",
        "    to do: choose a divisor",
    ]
    assert [failure.check for failure in caught.value.failures] == [
        "it_is_even",
        "it_divides_twelve",
    ]
    assert isinstance(caught.value, GraphSeqError | AssertionError)


def test_errors_of_the_part_are_found_with_their_line() -> None:
    with pytest.raises(
        CheckError, match=r"ZeroDivisionError: .*suite\.py:\d+"
    ) as caught:
        SUITE.run(int)
    assert [failure.check for failure in caught.value.failures] == ["it_divides_twelve"]
    even, divides = SUITE
    even(int)
    with pytest.raises(ZeroDivisionError):  # alone, with its traceback
        divides(int)


def test_options_reach_the_case_and_unknown_ones_are_refused() -> None:
    SUITE.run(lambda: 3, factor=2)
    with pytest.raises(ConfigError, match="did you mean 'factor'"):
        SUITE.run(seven, factr=2)


def test_a_check_leaves_the_random_state_of_the_process() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with pytest.raises(CheckError):
        SUITE.run(lambda: 7 + int(torch.rand(())))
    assert torch.equal(torch.rand(3), expected)


def test_checks_that_do_not_apply_are_skipped_by_their_names() -> None:
    with pytest.raises(CheckError, match="1 of 1 checks failed"):
        SUITE.run(seven, skip=["it_is_even"])
    with pytest.raises(ConfigError, match="skip: did you mean 'it_is_even'"):
        SUITE.run(seven, skip=["it_is_evn"])


def test_options_that_json_changes_are_reported() -> None:
    expect_json({"sizes": [1, 2.5], "name": None}, "advice")
    for options in ({1: "an int as a key"}, {"a": (1,)}, {"a": object()}):
        with pytest.raises(Unmet, match="is not JSON data"):
            expect_json(options, "advice")
