"""The command that converts a configuration of RecBole."""

from pathlib import Path

import pytest

from graphseq.cli import main
from graphseq.config import load

LINES = [f"{u}\t{i}\t{u * 100 + i}\n" for u in range(6) for i in range(u % 3, 5)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("dataset/tiny").mkdir(parents=True)
    heading = "user_id:token\titem_id:token\ttimestamp:float\n"
    Path("dataset/tiny/tiny.inter").write_text(heading + "".join(LINES))
    Path("recbole.yaml").write_text("epochs: 1\nhidden_size: 8\nn_neighbours: 3\n")
    return tmp_path


def test_the_converted_experiment_reads_the_atomic_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("more.yaml").write_text("hidden_size: 4\nn_heads: 1\n")
    words = ["convert", "recbole.yaml", "more.yaml", "--output", "made.yaml"]
    assert main([*words, "--model", "SASRec", "--dataset", "tiny"]) == 0
    printed = capsys.readouterr().out
    assert "differs: n_neighbours: 3: no counterpart" in printed
    assert "next: graphseq train made.yaml" in printed
    experiment = load("made.yaml")
    graph = experiment.graph()
    assert graph["user"].num_nodes == 6
    assert experiment.model(graph).backbone.dim == 4


def test_mistakes_are_reported_by_name_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["convert", "recbole.yaml", "--output", "made.yaml"]
    assert main(words) == 2
    assert "no model is named" in capsys.readouterr().err
    Path("recbole.yaml").write_text("hidden_act: swish\n")
    assert main([*words, "--model", "SASRec", "--dataset", "tiny"]) == 2
    assert "activation" in capsys.readouterr().err
    Path("recbole.yaml").write_text("- a list\n")
    assert main([*words, "--model", "SASRec", "--dataset", "tiny"]) == 2
    assert "expected settings of RecBole" in capsys.readouterr().err
    assert not Path("made.yaml").exists()
    Path("made.yaml").write_text("mine")
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err
