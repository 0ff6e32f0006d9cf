"""``graphseq evaluate``, ``compare`` and ``recommend`` on one small run."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from graphseq.cli import main
from graphseq.evaluation import Report

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = {
    "data": {"path": "tiny.csv"},
    "split": {"leave_one_out": {}},
    "graph": [{"CoOccurrence": {"kind": "item"}}],
    "model": {"SASRec": {"backbone": {"Backbone": {"dim": 8}}}},
    "train": {"max_epochs": 1, "progress": False},
    "evaluate": {"ks": [1, 3]},
}
DATA = ["--data", str(ROOT / "datasets")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment and two runs of it."""
    folder = tmp_path_factory.mktemp("cli")
    experiment = folder / "small.yaml"
    experiment.write_text(yaml.safe_dump(EXPERIMENT))
    for name, more in {"a": [], "b": ["--seeds", "7"]}.items():
        run = ["--folder", str(folder / name), *more, *DATA]
        assert main(["train", str(experiment), *run]) == 0
    return folder


def test_evaluate_builds_the_graph_of_the_run_again(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(place / "a"), "--part", "validation", *DATA]
    assert main(arguments) == 0
    assert "validation part: 11 users" in capsys.readouterr().out
    assert Report.load(place / "a", "validation").facts["ks"] == [1, 3]
    assert main([*arguments, "--ks", "2", "5", "--history", "kept"]) == 0
    found = Report.load(place / "a", "validation")
    assert found.facts["ks"] == [1, 2, 3, 5], "the report never loses results"
    assert list(found.means) == ["kept", "excluded"]


def test_evaluate_prints_segments_of_users(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(place / "a"), "--by", "history_length"]
    assert main([*arguments, "--bins", "3", "5"]) == 0
    shown = capsys.readouterr().out
    report = Report.load(place / "a").by("history_length", [3, 5])
    for label, users in report.select("history_length", "users").iter_rows():
        assert label in shown and str(users) in shown
    assert main(["evaluate", str(place / "a"), "--bins", "3"]) == 2
    assert "add --by history_length" in capsys.readouterr().err


def test_numbers_are_printed_and_written_as_json(
    place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.json"
    arguments = ["evaluate", str(place / "a"), "--by", "history_length"]
    assert main([*arguments, "--bins", "3", "--output", str(file)]) == 0
    assert "history" in capsys.readouterr().out, "the table is printed too"
    assert main([*arguments, "--bins", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(file.read_text("utf-8"))
    report = Report.load(place / "a")
    assert printed["means"] == report.means
    assert printed["segments"] == report.by("history_length", [3]).to_dicts()
    compare = ["compare", str(place / "a"), str(place / "b"), "--metric", "HR@3"]
    assert main(["evaluate", str(place / "b")]) == 0
    capsys.readouterr()
    assert main([*compare, "--json", "--output", str(file)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(file.read_text("utf-8"))
    assert printed["a"] == report["excluded"]["HR@3"]
    assert main([*compare, "--output", str(tmp_path / "none" / "a.json")]) == 2
    assert "the folder" in capsys.readouterr().err
    assert main([*compare, "--output", str(tmp_path)]) == 2
    assert "name a file, such as a.json" in capsys.readouterr().err


def test_lists_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "--list", "--json"]) == 0
    sets = json.loads(capsys.readouterr().out)
    assert sets["ml-100k"]["events"] == 100_000
    assert main(["experiments", "--json"]) == 0
    assert "sasrec" in json.loads(capsys.readouterr().out)["beauty/schedules.yaml"]
    assert main(["get", "ml-100k", "--json"]) == 2
    assert "options of get --list" in capsys.readouterr().err


def test_evaluate_takes_a_saved_graph_and_refuses_another(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = str(ROOT / "datasets" / "tiny.csv")
    same, other = str(tmp_path / "same"), str(tmp_path / "other")
    main(["build", log, "--user-user", "none", "--output", same])
    one = ["--user-user", "none", "--item-item", "count:1"]
    main(["build", log, *one, "--output", other])
    run = ["evaluate", str(place / "a"), "--part", "validation"]
    assert main([*run, "--graph", same]) == 0
    assert main([*run, "--graph", other]) == 2
    assert "was trained on the graph" in capsys.readouterr().err


def test_a_run_serves_from_any_folder_without_its_log(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(place / "a", tmp_path / "moved")
    before = Report.load(tmp_path / "moved")
    (tmp_path / "moved" / "report-test.json").unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "moved"]) == 0
    assert Report.load(tmp_path / "moved").means == before.means
    assert main(["recommend", "moved", "--users", "ana", "--k", "2"]) == 0
    assert capsys.readouterr().out.count("ana") == 2


def test_compare_speaks_of_both_runs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(place / "a"), str(place / "b")]
    assert main(["compare", *runs, "--metric", "NDCG@3", "--history", "kept"]) == 0
    assert "NDCG@3, history kept, 11 users" in capsys.readouterr().out
    assert main(["compare", *runs, "--metric", "NDCG@10"]) == 2
    assert "NDCG@10" in capsys.readouterr().err
    several = str(place / "[ab]")
    assert main(["compare", several, runs[1], "--metric", "NDCG@3"]) == 0
    assert "11 users, 2 and 1 runs" in capsys.readouterr().out
    assert main(["compare", str(place / "nope*"), runs[0]]) == 2
    assert "no folder matches" in capsys.readouterr().err
    assert main(["compare", runs[0], str(place / "nope")]) == 2
    assert "nope: the folder does not exist" in capsys.readouterr().err


def test_ids_that_look_like_markup_are_shown_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = ["item [live]", "x [/b] y", ":smile:" + 300 * "long", "plain"]
    rows = [f"u{u},{items[(u + t) % 4]},{t}" for u in range(6) for t in range(4)]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(["user,item,time", *rows]) + "\n")
    sections = {**EXPERIMENT, "data": {"path": str(log)}, "model": {"POP": {}}}
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(sections))
    run = str(tmp_path / "run")
    assert main(["train", str(tmp_path / "e.yaml"), "--folder", run]) == 0
    capsys.readouterr()
    assert main(["recommend", run, "--history", "plain", "--k", "4"]) == 0
    shown = capsys.readouterr().out
    assert all(item in shown for item in items[:3])
    assert main(["build", str(log), "--output", str(tmp_path / "graph")]) == 0
    assert main(["show", str(tmp_path / "graph"), "--node", "user:u1"]) == 0
    shown = capsys.readouterr().out
    assert all(f"item {item}" in shown for item in items[1:3])  # of training


def test_a_run_of_python_says_that_it_needs_its_graph(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (place / "a" / "experiment.yaml").read_text()
    options = {k: v for k, v in yaml.safe_load(text).items() if k in ("model", "train")}
    run = tmp_path / "run"
    shutil.copytree(place / "a", run)
    shutil.rmtree(run / "graph")
    (run / "experiment.yaml").write_text(yaml.safe_dump(options))
    assert main(["evaluate", str(run)]) == 2
    assert "--graph FOLDER" in capsys.readouterr().err


def test_claims_are_compared_to_recorded_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pop.yaml").write_text(
        "data: {cycle: {num_users: 8, num_items: 4, length: 5}}\n"
        "split: leave_one_out\n"
        "model: POP\n"
        "variants:\n"
        '  one: {claim: {HR@5 kept: ">= 0.9"}}\n'
        '  two: {evaluate: {ks: [1]}, claim: {HR@1 kept: ">= 0.99"}}\n'
        '  new: {evaluate: {ks: [2]}, claim: {HR@2 kept: ">= 0.1"}}\n'
    )
    for name in ("pop.yaml:one", "pop.yaml:two"):
        assert main(["train", name, "--record", "results.csv"]) == 0
    capsys.readouterr()
    assert main(["claims", "pop.yaml", "--results", "results.csv"]) == 1
    one, two, new = capsys.readouterr().out.splitlines()
    assert one == "pop.yaml:one  HR@5 kept >= 0.9: reached (1.0000, seeds 0)"
    assert two.startswith("pop.yaml:two  HR@1 kept >= 0.99: missed by 0.")
    assert new == "pop.yaml:new  HR@2 kept >= 0.1: never run"
    assert main(["claims", "pop.yaml", "--results", "results.csv", "--missed"]) == 1
    assert capsys.readouterr().out.splitlines() == [two]
    assert main(["claims", "pop.yaml", "--results", "results.csv", "--json"]) == 1
    verdicts = json.loads(capsys.readouterr().out)
    assert [verdict["value"] is None for verdict in verdicts] == [False, False, True]
