"""The demo, shrunken: everything it promises is there."""

from pathlib import Path

import pytest

from graphseq import demo
from graphseq.cli import main
from graphseq.errors import ConfigError
from graphseq.graphs import load_graph

SIZES = {"num_users": 120, "num_items": 60, "num_communities": 3}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    trained = demo.run(folder, sizes=SIZES, epochs=2)
    assert list(trained) == ["POP", "SASRec", "MCLSR"]
    for one in trained.values():
        assert set(one.report.means) == {"kept", "excluded"}
    return folder


@pytest.mark.parametrize("name", ["learning.png", "degrees.png", "items.png"])
def test_it_draws(output: Path, name: str) -> None:
    assert (output / name).read_bytes().startswith(b"\x89PNG")


def test_it_keeps_three_graphs_and_the_runs(output: Path) -> None:
    assert len(load_graph(output / "graph").edge_types) == 3
    assert {p.name for p in (output / "runs").iterdir()} == {"POP", "SASRec", "MCLSR"}


def test_the_next_steps_that_it_names_work(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = str(output / "runs" / "SASRec"), str(output / "runs" / "MCLSR")
    assert main(["recommend", runs[0], "--users", "user-1", "user-2"]) == 0
    assert main(["compare", *runs]) == 0
    assert main(["show", str(output / "graph"), "--node", "item:item-1"]) == 0
    assert "user-2" in capsys.readouterr().out


def test_it_leaves_a_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text("precious")
    assert main(["demo", "--output", str(tmp_path / "log.csv")]) == 2
    assert "is a file; --output names a folder" in capsys.readouterr().err


def test_it_leaves_a_folder_of_something_else_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="something other than an earlier demo"):
        demo.run(tmp_path, sizes=SIZES, epochs=1)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
