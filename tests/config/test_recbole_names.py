"""Every rule leads to options that exist here."""

import pytest

from graphseq.config import check
from graphseq.config.recbole import from_recbole
from graphseq.config.recbole_names import (
    COVERED,
    METRICS,
    MODELS,
    REQUESTED,
    SILENT,
    TRAINING,
)


@pytest.mark.parametrize("name", MODELS)
def test_the_defaults_of_every_model_are_options_of_ours(name: str) -> None:
    sections, _ = from_recbole({}, model=name, dataset="any")
    experiment = check(sections)
    assert list(experiment.resolved()["model"]) == [MODELS[name].name]


def test_no_setting_is_both_converted_and_passed_over() -> None:
    converted = {key for rule in MODELS.values() for key in rule.options} | {*TRAINING}
    assert not converted & SILENT
    assert not {*METRICS} & {*COVERED} | {*METRICS} & {*REQUESTED}
