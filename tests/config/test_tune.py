"""A search for options: what it tries, keeps, resumes, and never reads."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphseq.cli import main
from graphseq.config import Experiment, load
from graphseq.config.space import Range
from graphseq.config.tune import Trial, best_of, tune
from graphseq.data import synthetic
from graphseq.errors import ConfigError, GraphError

pytest.importorskip("optuna")

FILE = """
data: {cycle: {num_users: 30, num_items: 12, length: 6}}
split: {leave_one_out: {}}
model: {GRU4Rec: {backbone: {dim: 8, encoder: {GRU: {hidden: 8}}}}}
train: {max_epochs: 3, progress: false, threads: 1, batch_size: 64}
tune:
  train.lr: {log: [1.0e-6, 1.0e-1]}
  model.GRU4Rec.backbone.loss: {choice: [ce, bce]}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Iterator[Experiment]:
    path = tmp_path / "small.yaml"
    path.write_text(FILE)
    yield load(str(path))


def test_the_best_trial_becomes_an_experiment(
    experiment: Experiment, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []

    def report(trial: Trial, best: Trial) -> None:
        seen.append((trial.number, best.number))

    found = tune(experiment, trials=4, folder=tmp_path / "s", report=report)
    assert [trial.number for trial in found] == [n for n, _ in seen] == [0, 1, 2, 3]
    best = max(found, key=lambda trial: trial.value or 0)
    assert best_of(found).value == best.value and seen[-1][1] == best_of(found).number
    assert all(1e-6 <= trial.values["train.lr"] <= 1e-1 for trial in found)
    assert len({trial.values["train.lr"] for trial in found}) == 4
    written = load(str(tmp_path / "s" / "best.yaml"))
    values = best_of(found).values
    assert written.section("train").lr == pytest.approx(values["train.lr"])
    loss = values["model.GRU4Rec.backbone.loss"]
    assert written.section("model").backbone.loss == loss
    graph = written.graph()
    run = written.fit(written.model(graph), graph)
    assert run.best["NDCG@10"] == pytest.approx(best.value)
    with (tmp_path / "s" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete"] * 4
    assert float(rows[2]["value"]) == pytest.approx(found[2].value)


def test_the_test_part_is_not_read(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = []
    whole = Experiment.fit

    def fit(self: Experiment, model: Any, graph: Any, **supplied: Any) -> Any:
        graphs.append(graph)
        return whole(self, model, graph, **supplied)

    monkeypatch.setattr(Experiment, "fit", fit)
    tune(experiment, trials=2, folder=tmp_path / "s")
    assert len(graphs) == 2 and graphs[0] is graphs[1]
    assert "test" not in graphs[0] and "validation" in graphs[0]


def test_an_interrupted_search_continues(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s"
    first = tune(experiment, trials=1, folder=folder)

    def killed(self: Experiment, *_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Experiment, "fit", killed)
        tune(experiment, trials=3, folder=folder)
    found = tune(experiment, trials=3, folder=folder)
    assert [trial.state for trial in found] == ["complete", "failed", *["complete"] * 2]
    assert found[0] == first[0]
    assert len({trial.values["train.lr"] for trial in found}) == 4
    assert tune(experiment, trials=3, folder=folder) == found  # nothing is left to do


def test_trials_below_the_median_are_stopped(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first five are complete; the sixth has no chance after its fourth epoch."""
    values = iter([0.5] * 5 + [0.1])
    lengths = []

    class Fitted:
        best: dict[str, float]

    def fit(self: Experiment, model: Any, graph: Any, **supplied: Any) -> Any:
        [callback], run = supplied["callbacks"], Fitted()
        run.best = {"NDCG@10": next(values)}
        for epoch in range(1, 9):
            if callback({"epoch": epoch, **run.best}):
                break
        lengths.append(epoch)
        return run

    monkeypatch.setattr(Experiment, "fit", fit)
    found = tune(experiment, trials=6, folder=tmp_path / "s")
    assert lengths[:5] == [8] * 5 and lengths[5] < 8
    assert [trial.state for trial in found] == ["complete"] * 5 + ["pruned"]
    assert best_of(found).value == 0.5
    # objectives that join after three epochs count from there
    later = {"NextItemFirst": {"epochs": 3}}
    model = {"SequenceModel": {"backbone": {"dim": 8}, "auxiliaries": [later]}}
    options = {**experiment.options, "model": model}
    ranges = {"train.lr": experiment.tune["train.lr"]}
    joins = replace(experiment, options=options, tune=ranges)
    stopped, values, lengths = lengths[5], iter([0.5] * 5 + [0.1]), []
    tune(joins, trials=6, folder=tmp_path / "joins")
    assert lengths == [8] * 5 + [stopped + 3]
    values, lengths = iter([0.5] * 5 + [0.1]), []
    tune(experiment, trials=6, folder=tmp_path / "whole", prune=False)
    assert lengths == [8] * 6


def test_the_graph_can_vary_too(experiment: Experiment, tmp_path: Path) -> None:
    options = {
        **experiment.options,
        "graph": [{"CoOccurrence": {"kind": "item"}}],
        "model": {"SASRec": {"backbone": {"dim": 8, "features": {"Propagated": {}}}}},
    }
    space = {"graph[0].CoOccurrence.top_k": Range("int", (1, 9))}
    changed = replace(experiment, options=options, tune=space)
    found = tune(changed, trials=2, folder=tmp_path / "s")
    assert [trial.state for trial in found] == ["complete"] * 2
    assert "top_k: " in (tmp_path / "s" / "best.yaml").read_text()


def test_searches_that_cannot_run_are_refused(
    experiment: Experiment, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has no section tune"):
        tune(replace(experiment, tune={}), trials=1, folder=tmp_path / "s")
    train = {**experiment.options["train"], "monitor": None}
    blind = replace(experiment, options={**experiment.options, "train": train})
    with pytest.raises(ConfigError, match=r"train\.monitor is null"):
        tune(blind, trials=1, folder=tmp_path / "s")
    tune(experiment, trials=1, folder=tmp_path / "s")
    other = replace(experiment, tune={"train.lr": Range("log", (1e-3, 1e-2))})
    with pytest.raises(ConfigError, match="the search of another experiment"):
        tune(other, trials=1, folder=tmp_path / "s")
    seeded = {**experiment.options["train"], "seed": 4}
    other = replace(experiment, options={**experiment.options, "train": seeded})
    with pytest.raises(ConfigError, match=r"train\.seed \d, and this one has 4"):
        tune(other, trials=1, folder=tmp_path / "s")
    with pytest.raises(ConfigError, match="no trial is complete"):
        best_of([Trial(0, "failed", None, {})])


def test_the_command_prints_the_trials(
    experiment: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "study"
    words = ["tune", experiment.source, "--folder", str(folder), "--trials", "2"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "trial 0  complete" in shown and "trial 1  complete" in shown
    assert "lr=" in shown and "loss=" in shown and "train.lr" not in shown
    assert f"next: graphseq train {folder / 'best.yaml'}" in shown
    assert main([*words[:-1], "3"]) == 0
    assert "trial 2  complete" in capsys.readouterr().out
    assert (
        main(
            [
                "tune",
                experiment.source,
                "--folder",
                str(tmp_path / "x"),
                "--set",
                "train.lr=-1",
            ]
        )
        == 2
    )


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(
    experiment: Experiment, tmp_path: Path
) -> None:
    rates = Range("choice", (1e38, 1e-3))
    diverging = replace(experiment, tune={"train.lr": rates})
    with pytest.warns(UserWarning, match=r"trial \d with .*1e\+38.* failed: the loss"):
        found = tune(diverging, trials=3, folder=tmp_path / "s")
    states = [trial.state for trial in found]
    assert states.count("complete") == 3 and "failed" in states
    table = (tmp_path / "s" / "trials.csv").read_text()
    assert table.count("failed") == states.count("failed")
    assert best_of(found).values == {"train.lr": 1e-3}


def test_a_search_ends_after_many_failures_in_a_row(
    experiment: Experiment, tmp_path: Path
) -> None:
    hopeless = replace(experiment, tune={"train.lr": Range("log", (1e37, 1e38))})
    with (
        pytest.warns(UserWarning, match=r"trial \d with"),
        pytest.raises(ConfigError, match="10 trials failed one after the other; the"),
    ):
        tune(hopeless, trials=3, folder=tmp_path / "s")


def test_a_search_does_not_go_on_with_other_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = synthetic.cycle(30, 12, length=6).frame()
    frame.write_csv("log.csv")
    data = "data: {path: log.csv}"
    text = FILE.replace(
        "data: {cycle: {num_users: 30, num_items: 12, length: 6}}", data
    )
    Path("small.yaml").write_text(text)
    searched = load("small.yaml")
    tune(searched, trials=1, folder="s")
    assert len(tune(searched, trials=2, folder="s")) == 2
    frame.head(-6).write_csv("log.csv")
    with pytest.raises(ConfigError, match="contains a search on other events"):
        tune(searched, trials=3, folder="s")


def test_results_of_someone_else_are_not_replaced(
    experiment: Experiment, tmp_path: Path
) -> None:
    (tmp_path / "best.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"contains best\.yaml and no search"):
        tune(experiment, trials=1, folder=tmp_path)
    with pytest.raises(ConfigError, match=r"has no \?"):
        tune(experiment, trials=1, folder=tmp_path / "s?x=1")
    assert (tmp_path / "best.yaml").read_text() == "mine"


def test_a_second_search_in_the_same_folder_is_refused(
    experiment: Experiment, tmp_path: Path
) -> None:
    def again(*_: Trial) -> None:
        tune(experiment, trials=1, folder=tmp_path / "s")

    with pytest.raises(GraphError, match=r"another process is writing .*s at this"):
        tune(experiment, trials=1, folder=tmp_path / "s", report=again)
