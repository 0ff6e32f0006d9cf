"""Errors that a user can fix, and the suggestions in them."""

import inspect

import pytest

from graphseq import errors
from graphseq.errors import GraphSeqError, quantity, suggest


def test_every_error_of_the_package_is_one_that_the_command_line_catches() -> None:
    found = [e for _, e in inspect.getmembers(errors, inspect.isclass)]
    raised = [e for e in found if issubclass(e, Exception)]
    assert len(raised) == 5
    assert all(issubclass(e, GraphSeqError) for e in raised)


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("temprature", ["temperature", "top_k"], "did you mean 'temperature'?"),
        ("SASREC", ["POP", "SASRec"], "did you mean 'SASRec'?"),
        ("zzz", ["alpha", "beta"], "there are alpha, beta"),
        ("zzz", [], "there are none"),
        (3, ["alpha"], "there are alpha"),
    ],
)
def test_a_suggestion_is_the_nearest_name_or_all_of_them(
    name: str, known: list[str], words: str
) -> None:
    assert suggest(name, known) == words


def test_a_long_list_is_cut() -> None:
    assert suggest("zzz", [f"x{i}" for i in range(30)]).endswith("x9, …")


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 users"), (1, "1 user"), (2000, "2,000 users")]
)
def test_a_number_agrees_with_its_noun(number: int, words: str) -> None:
    assert quantity(number, "user") == words
