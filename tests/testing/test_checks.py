"""The table of checks: one for each claim, all named and described."""

import re

import pytest

from graphseq import testing
from graphseq.errors import ConfigError
from graphseq.testing.checks import KINDS, SUITES


def test_every_check_has_a_name_and_one_sentence() -> None:
    everything = [check for kind in KINDS for check in testing.checks(kind)]
    for check in everything:
        assert check.name.isidentifier()
        assert re.fullmatch(r"\w.*[^.]\.", check.claim.replace("\n", " ")), check
        assert repr(check) == check.__name__ == check.name
    for kind in KINDS:
        names = [check.name for check in testing.checks(kind)]
        assert len(names) == len(set(names))
    assert {*SUITES} == {*KINDS}


def test_every_kind_has_a_function_that_runs_its_checks() -> None:
    for kind in KINDS:
        assert f"check_{kind}" in testing.__all__


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="kind: expected 'model' or 'encoder'"):
        testing.checks("encodr")
