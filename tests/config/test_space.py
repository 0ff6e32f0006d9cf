"""The section ``tune`` of an experiment file."""

from pathlib import Path
from typing import Any

import pytest

from graphseq.config import load
from graphseq.config.space import Range, check_space, read_space, settings
from graphseq.schema import OptionError

FILE = """
data: {cycle: {num_users: 20, num_items: 12, length: 6}}
split: {leave_one_out: {}}
model: {SASRec: {backbone: {dim: 8}}}
train: {max_epochs: 2}
tune:
  train.lr: {log: [1.0e-4, 1.0e-2]}
  model.SASRec.backbone.dim: {choice: [8, 16]}
"""


def test_a_file_says_what_varies(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(FILE)
    experiment = load(str(path))
    assert experiment.tune == {
        "train.lr": Range("log", (1e-4, 1e-2)),
        "model.SASRec.backbone.dim": Range("choice", (8, 16)),
    }
    assert "tune" not in experiment.options
    check_space(experiment.tune, experiment.options, "small")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ([1, 2], "expected one of log, uniform, int, choice with its values"),
        ({"log": [1, 2], "int": [1, 2]}, "expected one of log, uniform, int, choice"),
        ({"normal": [0, 1]}, "found 'normal'"),
        ({"log": [0.0, 1.0]}, "log needs bounds above 0"),
        ({"log": 0.1}, "log needs a list of two values or more; found 0.1"),
        ({"uniform": [1.0, 0.5]}, "uniform needs a lower and a higher bound"),
        ({"uniform": [0.1, 0.2, 0.3]}, "uniform needs two numbers"),
        ({"uniform": [0.1, float("nan")]}, "uniform needs two numbers"),
        ({"int": [1.5, 3]}, "int needs two whole numbers"),
        ({"int": [True, 3]}, "int needs two whole numbers"),
        ({"choice": [3]}, "choice needs a list of two values or more"),
        ({"choice": "ab"}, "choice needs a list of two values or more"),
    ],
)
def test_wrong_ranges_are_refused(written: Any, found: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_space({"train.lr": written}, "small.yaml")
    assert "small.yaml: tune.train.lr: " in str(caught.value)
    assert found in str(caught.value)


def test_all_wrong_ranges_are_listed() -> None:
    with pytest.raises(OptionError, match=r"2 problems\n .*train.lr .*\n .*train.seed"):
        read_space({"train.lr": 3, "train.seed": {"int": [3, 1]}}, "small.yaml")
    with pytest.raises(OptionError, match="tune: expected options and their ranges"):
        read_space(["train.lr"], "small.yaml")
    assert read_space(None, "small.yaml") == {}


def test_values_that_the_experiment_does_not_take_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(FILE)
    experiment = load(str(path))
    space = {
        "train.learning_rate": Range("log", (0.1, 1.0)),
        "train.patience": Range("int", (0, 3)),
        "model.SASRec.backbone.dim": Range("choice", (8, "wide")),
    }
    with pytest.raises(OptionError) as caught:
        check_space(space, experiment.options, "small.yaml")
    text = str(caught.value)
    assert "tune.train.learning_rate" in text and "not an option" in text
    assert "tune.train.patience" in text and "with 0: train.patience" in text
    assert "with 'wide': model.SASRec.backbone.dim" in text
    assert "with 8" not in text and "with 3" not in text


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("train.monitor", ("NDCG@10", "HR@10"), "compared by one metric"),
        ("train.history", ("kept", "excluded"), "compared by one protocol"),
        ("train.seed", (0, 1), "the best of several seeds is chance"),
        ("evaluate.history", ("kept", "excluded"), "how the test part is ranked"),
        ("data.cycle.length", (6, 8), "with other held-out events"),
        ("filters[0].Recent.days", (6, 8), "with other held-out events"),
        ("split.leave_one_out.validation", (True, False), "other held-out events"),
    ],
)
def test_what_makes_trials_incomparable_cannot_vary(
    name: str, values: tuple[Any, ...], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(FILE)
    with pytest.raises(OptionError) as caught:
        check_space({name: Range("choice", values)}, load(str(path)).options, "a.yaml")
    assert f"a.yaml: tune.{name}: " in str(caught.value)
    assert reason in str(caught.value)


def test_values_are_written_as_settings() -> None:
    values = {"train.lr": 1e-05, "model.SASRec.backbone.loss": "bce", "a.b": [1, None]}
    assert settings(values) == [
        "train.lr=1e-05",
        'model.SASRec.backbone.loss="bce"',
        "a.b=[1, null]",
    ]
