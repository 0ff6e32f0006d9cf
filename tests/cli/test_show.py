"""``graphseq show``: numbers, plots, sources."""

import json
from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.cli import main
from graphseq.data import leave_one_out, read_log
from graphseq.graphs import build_graph, save_graph, summary

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("show") / "graph")
    main(["build", TINY, "--output", path, "--transitions", "1"])
    return path


def test_the_summary_is_printed(graph: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", graph]) == 0
    printed = capsys.readouterr().out
    assert "reciprocity" in printed
    assert "test targets in the history of their user: 9.09%" in printed


@pytest.mark.parametrize("node", ["item:bread", "user:ana"])
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_node_is_drawn_with_its_neighbours(
    graph: str,
    node: str,
    ending: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture = tmp_path / f"node.{ending}"
    assert main(["show", graph, "--node", node, "--plot", str(picture)]) == 0
    assert picture.stat().st_size > 1000
    assert "nodes within 1 step" in capsys.readouterr().out


def test_a_neighbourhood_has_chosen_relations_nodes_and_titles(
    graph: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.csv").write_text("id,name\nbread,Rye bread\nmilk,Oat milk\n")
    picture = tmp_path / "node.svg"
    words = ["show", graph, "--node", "item:bread", "--plot", str(picture)]
    words += ["--relation", "precedes", "--max-nodes", "3"]
    words += ["--titles", str(tmp_path / "names.csv")]
    words += ["--title-columns", "item=id", "title=name"]
    assert main(words) == 0
    text = picture.read_text("utf-8")
    assert "Rye bread (item bread)" in text
    assert "item precedes item" in text and "interacts" not in text
    printed = capsys.readouterr().out
    assert "2 of " in printed and "those of largest weight" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--relation", "precedes"], "add --node"),
        (["--hops", "2"], "add --node"),
        (["--max-nodes", "9"], "add --node"),
        (["--of", "weights"], "--of weights is drawn in a file; add --plot FILE"),
        (["--of", "weights", "--node", "item:bread"], "leave one of them out"),
        (["--node", "item:bread", "--relation", "preceeds"], "no such relation"),
        (["--node", "item:bread", "--titles", "none.csv"], "takes a file"),
    ],
)
def test_options_of_a_neighbourhood_that_do_not_fit_are_refused(
    graph: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", graph, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("of", ["degrees", "weights", "similarity"])
def test_distributions_are_drawn(graph: str, of: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"
    assert main(["show", graph, "--plot", str(picture), "--of", of]) == 0
    assert "<svg" in picture.read_text()


@pytest.mark.parametrize("more", [[], ["--node", "item:bread"]])
@pytest.mark.parametrize("picture", ["x.docx", "nofolder/x.png"])
def test_a_plot_that_cannot_be_written_is_reported(
    graph: str,
    picture: str,
    more: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["show", graph, "--plot", str(tmp_path / picture), *more]) == 2
    captured = capsys.readouterr()
    assert "--plot" in captured.err
    assert captured.out == ""


def test_a_plot_with_the_provenance_is_refused(
    graph: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", graph, "--provenance", "--plot", str(tmp_path / "a.png")]) == 2
    assert "--provenance takes neither --plot nor --node" in capsys.readouterr().err


def test_json_contains_all_numbers(
    graph: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from graphseq.graphs import graph_hash, load_graph

    assert main(["show", graph, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    loaded = load_graph(graph)
    assert facts["graph_hash"] == graph_hash(loaded)
    assert facts["relations"] == summary(loaded).frame().to_dicts()
    assert facts["nodes"] == {"user": 12, "item": 14}
    assert facts["repeated_targets"] == {"validation": 0.0, "test": 1 / 11}
    assert {row["group"] for row in facts["similarity"]} > {"any two users"}
    assert facts["provenance"]["build"]["command"][:2] == ["graphseq", "build"]


def test_a_node_is_also_printed_as_json(
    graph: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", graph, "--node", "item:bread", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"id", "label", "kind", "distance"} == set(facts["nodes"][0])
    assert facts["edges"]


def test_provenance_of_a_graph_from_python_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(save_graph(build_graph(leave_one_out(read_log(TINY))), tmp_path / "g"))
    assert main(["show", path, "--provenance"]) == 0
    assert "not made by graphseq build" in capsys.readouterr().out


def test_a_missing_graph_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("node", ["item", "thing:1", "item:breat"])
def test_a_missing_node_is_reported(
    graph: str, node: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", graph, "--node", node]) == 2
    assert node.split(":")[-1] in capsys.readouterr().err


def test_nodes_without_raw_ids_are_named_by_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = HeteroData()
    bare["user"].num_nodes, bare["item"].num_nodes = 3, 4
    index = torch.tensor([[0, 1, 2], [1, 2, 3]])
    bare["user", "interacts", "item"].edge_index = index
    folder = str(tmp_path / "bare")
    save_graph(bare, folder)
    assert main(["show", folder, "--node", "user:1"]) == 0
    capsys.readouterr()
    for wrong in ("user:3", "user:x"):
        assert main(["show", folder, "--node", wrong]) == 2
        assert "takes a number below 3" in capsys.readouterr().err
    assert main(["show", folder, "--node", "attribute:x"]) == 2
    assert "this graph has the kinds user, item" in capsys.readouterr().err
