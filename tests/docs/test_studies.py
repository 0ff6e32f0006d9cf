"""Studies measure what their runs have, name every experiment, and draw every point."""

import csv
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import graphseq as gs
from experiments.studies.__main__ import finished, main, path
from experiments.studies.catalogue import STUDIES
from experiments.studies.kinds import Cost, Noise, Segments, Sweep, Variants
from experiments.studies.maps import ItemMap, ViewMap, view_vectors
from experiments.studies.measurements import read, write
from experiments.studies.study import Point, Runs
from graphseq.config import experiments_of, load
from graphseq.config.fingerprint import fingerprint
from graphseq.drawing import svg
from graphseq.training import Run, load_run

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "studies"
MODELS = {"GRU": "a:gru", "attention": "a:attention"}


def fingerprints(study: str) -> set[str]:
    """Fingerprints of the experiments of a study."""
    variants = STUDIES[study].variants
    return {fingerprint(load(path(each)).options) for each in variants}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    log = gs.data.synthetic.communities(num_users=60, num_items=48, num_communities=4)
    graph = gs.build_graph(gs.leave_one_out(log))

    def backbone(encoder: Any) -> gs.models.Backbone:
        return gs.models.Backbone(
            log.num_items, encoder=encoder, dim=8, sampler="targets"
        )

    made: dict[str, Any] = {
        "a:gru": lambda: gs.models.SASRec(log.num_users, backbone(gs.nn.GRU(8))),
        "a:attention": lambda: gs.models.SASRec(
            log.num_users, backbone(gs.nn.Transformer(8))
        ),
        "a:views": lambda: gs.models.MCLRec(
            log.num_users, backbone(gs.nn.Transformer(8))
        ),
    }
    found: dict[str, list[Run]] = {}
    for name, make in made.items():
        for seed in range(2 if name == "a:gru" else 1):
            torch.manual_seed(seed)
            own = folder / f"{name[2:]}-{seed}"
            options: dict[str, Any] = {"max_epochs": 2, "progress": False}
            gs.fit(model := make(), graph, folder=own, seed=seed, **options)
            gs.evaluate(model, graph, folder=own)
            found.setdefault(name, []).append(load_run(own))
    return Runs(found)


def points(study: Any, runs: Runs) -> Sequence[Point]:
    """The measurements, all of which are in the picture."""
    found = [*study.measure(runs)]
    assert svg(study.draw(found)) == svg(study.draw(found))
    return found


def test_variants_have_the_metric_and_the_paired_interval(runs: Runs) -> None:
    entries = {"one": "a:attention", "two": "a:gru"}
    first, second = points(Variants("", entries, metrics=("NDCG@10",)), runs)
    assert first.value == runs("a:attention")[0].report["kept"]["NDCG@10"]
    assert math.isnan(first.low) and math.isnan(first.high)
    compared = gs.compare(
        [*runs("a:gru")], [*runs("a:attention")], "NDCG@10", history="kept"
    )
    assert compared.interval is not None
    assert second.value == pytest.approx(compared.a)
    expected = [first.value + bound for bound in compared.interval]
    assert [second.low, second.high] == pytest.approx(expected)


def test_a_sweep_has_the_mean_over_the_seeds(runs: Runs) -> None:
    study = Sweep("", {"x": {"GRU": {0.5: "a:gru", 2: "a:attention"}}}, history="kept")
    one, two = points(study, runs)
    values = [run.report["kept"]["NDCG@20"] for run in runs("a:gru")]
    assert (one.place, two.place) == ("0.5", "2")
    assert one.value == pytest.approx(sum(values) / 2)
    assert [one.low, one.high] == sorted(values)
    assert math.isnan(two.low)


def test_segments_are_those_of_the_report(runs: Runs) -> None:
    found = points(Segments("", MODELS, "history_length", (6,)), runs)
    report = runs("a:attention")[0].report
    table = report.by("history_length", [6])
    expected = table.filter(table["protocol"] == "kept")["NDCG@20"].to_list()
    assert [p.value for p in found if p.series == "attention"] == expected
    assert len(found) == 2 * len(expected) == 4
    assert re.fullmatch(r"< 6\n\d+ users", found[0].place)


def test_noise_is_that_of_the_evaluation(runs: Runs) -> None:
    study = Noise("", {"one": "a:attention"}, fractions=(0.0, 0.5), seeds=2)
    clean, noisy = points(study, runs)
    run = runs("a:attention")[0]
    model, graph = run.model(), run.graph()
    values = [
        gs.evaluate(model, graph, ks=[20], noise=0.5, noise_seed=seed)["kept"][
            "NDCG@20"
        ]
        for seed in (0, 1)
    ]
    assert clean.value == pytest.approx(run.report["kept"]["NDCG@20"])
    assert noisy.value == pytest.approx(sum(values) / 2)
    assert noisy.value != clean.value


def test_cost_is_that_of_an_epoch(runs: Runs) -> None:
    [point] = points(Cost("", {"one": "a:attention"}), runs)
    run = runs("a:attention")[0]
    assert float(point.place) == pytest.approx(run.cpu_seconds / 2, abs=0.006)


def test_maps_have_a_point_for_every_item_and_every_view(runs: Runs) -> None:
    pytest.importorskip("sklearn")
    items = points(ItemMap("", MODELS, bounds=(3, 6)), runs)
    assert len(items) == 2 * 48
    views = points(ViewMap("", {"all": "a:views"}, users=20), runs)
    assert len(views) == 4 * 20 and len({p.series for p in views}) == 4


def test_learned_views_are_those_that_the_loss_reads(runs: Runs) -> None:
    run = runs("a:views")[0]
    graph = run.graph()
    model = run.model(graph)
    h1, h2, z1, z2 = view_vectors(model, graph, 20)
    objective: Any = model.objectives[0]  # type: ignore[union-attr,index]
    with torch.no_grad():
        torch.testing.assert_close(objective.augmenters[0](h1), z1)
        torch.testing.assert_close(objective.augmenters[1](h2), z2)
    assert h1.shape == z1.shape == (20, 8)
    assert not torch.equal(h1, h2)


def test_measurements_are_read_as_written(tmp_path: Path) -> None:
    rows = {"b": [Point("p", "s", "0.5\nx", 0.25, 0.125, 0.5)], "a": [Point(*"pqr", 1)]}
    write(rows, ["a", "b"], file := tmp_path / "m.csv")
    assert [*read(file)] == ["a", "b"]
    assert read(file)["b"] == rows["b"]
    assert read(tmp_path / "none.csv") == {}


def test_every_experiment_of_the_folder_is_in_a_study() -> None:
    known = {variant for study in STUDIES.values() for variant in study.variants}
    shown = {fingerprint(load(path(variant)).options) for variant in known}
    for experiment in experiments_of(str(FOLDER)):
        if not experiment.name.endswith(UNUSED):
            assert fingerprint(experiment.options) in shown, experiment.name


UNUSED = ("baselines.yaml:sasrec-graph", "intents.yaml:prototypes")
"""Trained for the page alone."""


def recorded(variant: str, rows: Mapping[str, Any], column: str) -> float:
    """The mean over the seeds of a metric in the table of runs."""
    own = rows[fingerprint(load(path(variant)).options)]
    return statistics.mean(float(row[column]) for row in own)


def test_recorded_measurements_are_of_recorded_runs() -> None:
    rows: dict[str, list[dict[str, str]]] = {}
    with (FOLDER / "results.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["fingerprint"], []).append(row)
    measured = read()
    assert {*measured} <= {*STUDIES}
    for name, found in measured.items():
        study = STUDIES[name]
        assert fingerprints(name) <= {*rows}, name
        variants = [*study.variants]
        if isinstance(study, Variants):
            assert len(found) == len(variants) * len(study.metrics)
            for number, point in enumerate(found):
                variant = variants[number % len(variants)]
                column = point.panel.replace(", history", "")
                expected = recorded(variant, rows, column)
                assert point.value == pytest.approx(expected, rel=1e-4)
        if isinstance(study, Sweep):
            column = f"{study.metric} {study.history}"
            for point, variant in zip(found, variants, strict=True):
                expected = recorded(variant, rows, column)
                assert point.value == pytest.approx(expected, rel=1e-4)


def test_the_command_finds_runs_by_their_options(runs: Runs, tmp_path: Path) -> None:
    source = runs("a:gru")[0].folder
    assert source is not None
    (tmp_path / "other-name-0123abcd-0").symlink_to(source)
    (tmp_path / "unfinished-0123abcd-1").mkdir()
    assert [*finished(tmp_path, "0123abcd9999")] == [0]
    assert finished(tmp_path, "99990000") == {}


def test_the_command_draws_and_refuses_unknown_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = next(iter(read()))
    main([drawn, "--draw", "--folder", str(tmp_path)])
    assert (tmp_path / f"{drawn}.svg").read_text("utf-8").startswith("<?xml")
    with pytest.raises(SystemExit) as refused:
        main(["intent"])
    assert refused.value.code == 2
    assert "no study intent" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([drawn])
    assert "--data" in capsys.readouterr().err
