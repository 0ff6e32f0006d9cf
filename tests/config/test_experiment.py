"""Experiments: checked whole, then built, resolved and repeated."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from graphseq.config import Experiment, check
from graphseq.constants import ITEM_CO_OCCURS, PRECEDES
from graphseq.data import synthetic
from graphseq.errors import ConfigError, DataError
from graphseq.graphs import graph_hash
from graphseq.schema import describe
from graphseq.training.run_folder import _without_sizes

TINY = Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv"
OPTIONS: dict[str, Any] = {
    "data": {"path": "tiny.csv"},
    "filters": [{"min_length": {"n": 3}}],
    "split": {"leave_one_out": {}},
    "graph": [{"CoOccurrence": {"kind": "item"}}, "Transitions"],
    "model": {"SASRec": {"backbone": {"dim": 8, "features": "Propagated"}}},
    "train": {"max_epochs": 2, "seed": 3, "progress": False, "batch_size": 16},
    "evaluate": {"ks": [1, 3]},
}


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return check(OPTIONS)


def test_the_log_is_read_from_the_folder_of_the_data_and_filtered(
    experiment: Experiment,
) -> None:
    log = experiment.read(TINY.parent)
    assert log.num_users == 11  # one of 12 has fewer than 3 events
    assert experiment.data_name == "tiny.csv"


def test_the_graph_has_the_relations_of_its_steps(experiment: Experiment) -> None:
    graph = experiment.graph(TINY.parent)
    assert {ITEM_CO_OCCURS, PRECEDES} <= set(graph.edge_types)
    assert len(graph.test.user) == 11


def test_the_seed_draws_the_weights_and_leaves_the_process_alone(
    experiment: Experiment,
) -> None:
    graph = experiment.graph(TINY.parent)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = experiment.model(graph), experiment.model(graph)
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    other = check({**OPTIONS, "train": {"seed": 4}}).model(graph)
    ours, theirs = first.backbone.features, other.backbone.features
    assert not torch.equal(ours.weight, theirs.weight)


def test_the_resolved_experiment_is_complete_and_resolves_to_itself(
    experiment: Experiment,
) -> None:
    full = experiment.resolved()
    assert full["graph"][0]["CoOccurrence"]["top_k"] == 50
    assert full["train"]["lr"] == 0.001
    assert full["evaluate"]["ks"] == [1, 3]
    backbone = full["model"]["SASRec"]["backbone"]["Backbone"]
    assert backbone["features"]["Propagated"]["layers"] == 1
    assert backbone["encoder"]["Transformer"]["heads"] == 2
    again = check(yaml.safe_load(yaml.safe_dump(full)))
    assert again.resolved() == full
    first, second = (e.graph(TINY.parent) for e in (experiment, again))
    assert graph_hash(first) == graph_hash(second)


def test_the_file_in_the_run_folder_repeats_the_run(
    experiment: Experiment, tmp_path: Path
) -> None:
    graph = experiment.graph(TINY.parent)
    model = experiment.model(graph)
    run = experiment.fit(model, graph, folder=tmp_path / "first")
    report = experiment.evaluate(model, graph, part="test")
    written = yaml.safe_load((tmp_path / "first" / "experiment.yaml").read_text())
    again = check(written)
    graph = again.graph(TINY.parent)
    second = again.model(graph)
    rerun = again.fit(second, graph, folder=tmp_path / "second")
    assert rerun.history == run.history
    assert again.evaluate(second, graph, part="test").means == report.means
    text = (tmp_path / "second" / "experiment.yaml").read_text()
    assert yaml.safe_load(text) == written


@pytest.mark.parametrize(
    "model",
    [
        {"SRMA": {"backbone": {"dim": 8}}},
        {"DuoRec": {"backbone": {"encoder": {"GRU": {"dim": 8}}}}},
        {"SequenceModel": {"backbone": {"encoder": {"GRU": {"dim": 8}}}}},
        {
            "SequenceModel": {
                "backbone": {"dim": 8, "users": {"UserContext": {"source": "graph"}}}
            }
        },
    ],
    ids=["SRMA", "DuoRec", "SequenceModel", "users"],
)
def test_a_model_with_defaults_draws_the_weights_of_its_resolved_file(
    model: dict[str, Any],
) -> None:
    """The resolved file names the parts that the first one leaves to the defaults."""
    first = check({**OPTIONS, "model": model})
    graph = first.graph(TINY.parent)
    made = first.model(graph)
    second = check({**OPTIONS, "model": _without_sizes(describe(made))}).model(graph)
    assert describe(second) == describe(made)
    for (name, a), b in zip(made.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_options_of_a_command_override_the_file(experiment: Experiment) -> None:
    graph = experiment.graph(TINY.parent)
    model = experiment.model(graph)
    report = experiment.evaluate(model, graph, part="validation", ks=(2,))
    assert report.facts["ks"] == [2]
    assert report.facts["part"] == "validation"


def test_a_missing_log_is_reported_with_the_folder() -> None:
    experiment = check({**OPTIONS, "data": {"path": "nowhere.csv"}})
    with pytest.raises(
        DataError, match=r"nowhere\.csv.*relative to the current folder"
    ):
        experiment.read()


def test_folders_and_patterns_are_read_as_read_log_does(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    log = synthetic.cycle(6, 4, length=5).frame()
    for number, part in enumerate((log[:10], log[10:])):
        part.write_parquet(tmp_path / "parts" / f"part-{number}.parquet")
    for path in ("parts", "parts/*.parquet"):
        experiment = check({**OPTIONS, "data": {"path": path}})
        assert len(experiment.read(tmp_path)) == len(log)


def test_steps_that_add_the_same_relation_are_refused() -> None:
    steps = [{"CoOccurrence": {"kind": "item"}}, {"Transitions": {}}]
    check({**OPTIONS, "graph": steps})
    again = {"WeightedCoOccurrence": {"kind": "item"}}
    with pytest.raises(ConfigError, match=r"both add the relation item–co_occurs–item"):
        check({**OPTIONS, "graph": [*steps, again]})


def test_epochs_that_end_too_early_are_refused_before_the_data_are_read() -> None:
    model = {"S3Rec": {"backbone": {"dim": 8}, "objective": {"pretrain_epochs": 2}}}
    options = {**OPTIONS, "model": model, "data": {"path": "nowhere.csv"}}
    with pytest.raises(ConfigError, match="trains 2 epochs before its last stage"):
        check(options).check_stages()
    check({**options, "train": {"max_epochs": 3}}).check_stages()
