"""``graphseq ensemble`` writes a run that the other commands use."""

from pathlib import Path

import pytest
import yaml

from graphseq.cli import main
from graphseq.evaluation import Report
from graphseq.training import load_run

EXPERIMENT = {
    "data": {"cycle": {"num_users": 30, "num_items": 12, "length": 8}},
    "split": {"leave_one_out": {}},
    "model": {"SASRec": {"backbone": {"dim": 8, "max_length": 6}}},
    "train": {"max_epochs": 1, "progress": False},
    "evaluate": {"ks": [1, 3]},
    "variants": {
        "sasrec": {},
        "gru": {"model": {"GRU4Rec": {"backbone": {"dim": 8}}}},
        "graph": {
            "graph": [{"CoOccurrence": {"kind": "item"}}],
            "model": {"SASRec": {"backbone": {"features": {"Propagated": {}}}}},
        },
        "other": {"data": {"cycle": {"seed": 1}}},
    },
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs on one graph, on one with a relation more, and on another."""
    folder = tmp_path_factory.mktemp("ensemble")
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(EXPERIMENT))
    for name in EXPERIMENT["variants"]:
        assert main(["train", f"{file}:{name}", "--folder", str(folder / name)]) == 0
    return folder


def test_the_run_of_an_ensemble_is_used_like_any_run(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, both = [str(place / "sasrec"), str(place / "gru")], str(place / "both")
    assert main(["ensemble", *runs, "--folder", both, "--choose-weights"]) == 0
    printed = capsys.readouterr().out
    assert "test part: 30 users" in printed and printed.count(str(place)) == 2
    run = load_run(both)
    assert sum(run.experiment["model"]["Ensemble"]["weights"]) == pytest.approx(1)
    report = Report.load(both)
    assert main(["evaluate", both]) == 0
    assert Report.load(both).means == report.means
    assert main(["compare", both, runs[0], "--metric", "NDCG@3"]) == 0
    assert main(["recommend", both, "--users", "user-1", "--k", "2"]) == 0
    capsys.readouterr()
    assert main(["ensemble", *runs, "--folder", both]) == 2
    assert "contains a run already" in capsys.readouterr().err
    assert main(["train", f"{both}/experiment.yaml", "--folder", str(place / "x")]) == 2
    assert "graphseq ensemble RUN RUN" in capsys.readouterr().err


def test_graphs_with_other_relations_are_merged(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, both = [str(place / "gru"), str(place / "graph")], str(place / "merged")
    assert main(["ensemble", *runs, "--folder", both]) == 0
    assert main(["evaluate", both]) == 0
    steps = load_run(both).experiment["graph"]
    assert [next(iter(step)) for step in steps] == ["CoOccurrence"]
    assert main(["compare", both, runs[0], "--metric", "NDCG@3"]) == 0


def test_options_are_those_of_the_ensemble(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(place / "sasrec"), str(place / "gru")]
    words = ["--combine", "reciprocal_rank", "--rank-constant", "5"]
    words += ["--weights", "3", "1", "--folder", str(place / "ranks")]
    assert main(["ensemble", *runs, *words]) == 0
    assert "0.75  " in capsys.readouterr().out
    found = load_run(place / "ranks").experiment["model"]["Ensemble"]
    assert found["combine"] == "reciprocal_rank" and found["rank_constant"] == 5


def test_mistakes_are_refused_before_anything_is_written(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(place / "sasrec"), str(place / "gru")]
    new = ["--folder", str(place / "new")]
    for words, message in (
        ([*runs, *new, "--weights", "1", "1", "--choose-weights"], "exclude each"),
        ([*runs, *new, "--weights", "1"], "one for each member, found 1 for 2"),
        ([runs[0], *new], "two or more models or runs"),
        ([runs[0], str(place / "other"), *new], "were trained on different graphs"),
        ([runs[0], str(place / "none"), *new], "the folder does not exist"),
        ([*runs, *new, "--choose-weights", "--metric", "X@3"], "such as NDCG@10"),
    ):
        assert main(["ensemble", *words]) == 2
        assert message in capsys.readouterr().err
    assert not (place / "new").exists()
