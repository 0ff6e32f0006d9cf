"""``graphseq diff``, ``export`` and ``import``."""

import json
from pathlib import Path

import pytest
import torch

from graphseq.cli import main
from graphseq.folders import hashes
from graphseq.graphs import load_graph, save_graph

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("exchange") / "graph")
    main(["build", TINY, "--output", path, "--transitions", "1"])
    return path


@pytest.mark.parametrize("name", ["tables", "graph.graphml", "graph.gexf"])
def test_what_is_exported_comes_back_with_its_hash(
    graph: str, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, back = str(tmp_path / name), str(tmp_path / "back")
    assert main(["export", graph, "--output", out]) == 0
    assert main(["import", out, "--output", back]) == 0
    assert hashes(back)["graph_hash"] == hashes(graph)["graph_hash"]
    assert hashes(back)["graph_hash"][:12] in capsys.readouterr().out
    assert (hashes(back) == hashes(graph)) == (name == "tables")


def test_diff_prints_the_changes_and_returns_whether_there_are_any(
    graph: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(tmp_path / "other")
    main(["build", TINY, "--output", other, "--user-user", "cosine:50"])
    capsys.readouterr()
    assert main(["diff", graph, graph]) == 0
    assert "the same graph" in capsys.readouterr().out
    assert main(["diff", graph, other]) == 1
    shown = capsys.readouterr().out
    assert "item precedes item" in shown
    assert "transforms of A" in shown
    assert main(["diff", graph, other, "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    rows = {row["what"]: row for row in facts["rows"]}
    assert rows["user co_occurs user"]["only_a"] == 0
    assert rows["user co_occurs user"]["changed"] > 0
    assert rows["item precedes item"]["in_both"] == 0
    assert facts["same_held_out"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "nowhere", "--output", "x"], "nowhere"),
        (["import", "nowhere.gexf", "--output", "x"], "nowhere.gexf"),
        (["import", "nowhere", "--output", "x"], "nowhere"),
        (["import", str(Path(__file__)), "--output", "x"], "graphml"),
        (["diff", "nowhere", "there"], "nowhere"),
    ],
)
def test_user_errors_are_reported(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_folder_of_another_kind_is_not_overwritten(
    graph: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["export", graph, "--output", str(tmp_path)]) == 2
    assert "will not be overwritten" in capsys.readouterr().err


def test_an_import_replaces_a_graph_only_if_it_is_told_to(
    graph: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables, back = str(tmp_path / "tables"), str(tmp_path / "back")
    main(["build", TINY, "--output", back])
    before = hashes(back)
    main(["export", graph, "--output", tables])
    assert main(["import", tables, "--output", back]) == 2
    assert "there is a graph in" in capsys.readouterr().err
    assert hashes(back) == before
    assert (Path(back) / "log.parquet").is_file()
    assert main(["import", tables, "--output", back, "--overwrite"]) == 0
    assert hashes(back) == hashes(graph)


def test_other_vectors_are_reported(
    graph: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_graph(graph)
    loaded["item"].x = torch.zeros(loaded["item"].num_nodes, 2)
    save_graph(loaded, tmp_path / "with")
    assert main(["diff", graph, str(tmp_path / "with")]) == 1
    shown = capsys.readouterr().out
    assert "the items have other vectors" in shown
    assert "the same edges" not in shown
