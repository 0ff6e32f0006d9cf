"""Two experiments have one fingerprint if, and only if, they say the same."""

from typing import Any

import pytest

from graphseq.config.fingerprint import fingerprint

SAID: dict[str, Any] = {
    "data": {"dataset": "amazon-beauty"},
    "split": {"leave_one_out": {}},
    "model": {"SASRec": {"dim": 32, "loss": "ce"}},
    "train": {"lr": 0.01, "seed": 1},
}


@pytest.mark.parametrize(
    "changed",
    [
        {"train": {"seed": 2, "lr": 0.01, "threads": 4, "progress": False}},
        {"model": {"SASRec": {"loss": "ce", "dim": 32}}},
        {"graph": [], "filters": None},
    ],
    ids=["seed and threads", "order", "empty sections"],
)
def test_what_changes_no_figure_does_not_count(changed: dict[str, Any]) -> None:
    assert fingerprint(SAID | changed) == fingerprint(SAID)


@pytest.mark.parametrize(
    "changed",
    [
        {"train": {"lr": 0.02, "seed": 1}},
        {"model": {"SASRec": {"dim": 32}}},
        {"graph": [{"CoOccurrence": {"kind": "item"}}]},
        {"evaluate": {"ks": [5]}},
    ],
    ids=["rate", "model", "graph", "evaluation"],
)
def test_everything_else_does(changed: dict[str, Any]) -> None:
    assert fingerprint(SAID | changed) != fingerprint(SAID)


def test_without_training_options_the_section_may_as_well_be_absent() -> None:
    bare = {name: section for name, section in SAID.items() if name != "train"}
    assert fingerprint(bare) == fingerprint(bare | {"train": {"seed": 3}})


def test_the_options_are_left_as_they_were() -> None:
    before = repr(SAID)
    fingerprint(SAID)
    assert repr(SAID) == before
