"""``graphseq build`` and ``graphseq show``, from a log to pictures."""

import inspect
from pathlib import Path
from typing import get_type_hints

import pytest

from graphseq.cli import main, structure
from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, PRECEDES, USER_CO_OCCURS
from graphseq.data import by_time, by_user, leave_one_out, read_log
from graphseq.graphs import CoOccurrence, load_graph

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


def test_build_saves_the_graph_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "graph"
    options = ["--relations", "user", "item", "precedes", "--top-k", "3"]
    options += ["--weight", "cosine", "--symmetrize", "min", "--min-length", "3"]
    assert main(["build", TINY, "--output", str(output), *options]) == 0
    graph = load_graph(output)
    relations = {INTERACTS, USER_CO_OCCURS, ITEM_CO_OCCURS, PRECEDES}
    assert set(graph.edge_types) == relations
    assert graph["user"].num_nodes == 11
    step = graph.provenance["transforms"][0]["CoOccurrence"]
    assert (step["top_k"], step["weight"], step["symmetrize"]) == (3, "cosine", "min")
    shown = capsys.readouterr().out
    assert "after filters" in shown
    assert "reciprocity" in shown


def test_columns_are_named_in_pairs(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("when;who;what\n" + "".join(f"{t};a;i{t}\n" for t in range(5)))
    arguments = ["build", str(log), "--output", str(tmp_path / "graph")]
    columns = ["--columns", "user=who", "item=what", "time=when", "--separator", ";"]
    assert main([*arguments, *columns, "--relations", "item"]) == 0
    assert load_graph(tmp_path / "graph")["item"].num_nodes == 5


@pytest.mark.parametrize("node", ["item:bread", "user:ana"])
def test_show_draws_degrees_and_neighbours(
    node: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = str(tmp_path / "graph")
    main(["build", TINY, "--output", graph])
    degrees, picture = tmp_path / "degrees.png", tmp_path / "node.png"
    capsys.readouterr()
    assert main(["show", graph, "--plot", str(degrees)]) == 0
    assert main(["show", graph, "--node", node, "--plot", str(picture)]) == 0
    assert degrees.stat().st_size > 1000
    assert picture.stat().st_size > 1000
    assert "nodes within 1 step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["build", "none.csv", "--output", "x"], "none.csv"),
        (["build", TINY, "--output", "x", "--columns", "who"], "takes pairs"),
        (["build", TINY, "--output", "x", "--format", "cvs"], "did you mean 'csv'"),
        (["show", "nowhere"], "nowhere"),
    ],
)
def test_what_a_user_can_mend_is_told_without_a_traceback(
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("node", ["item", "thing:1", "item:breat"])
def test_a_node_that_is_not_there_is_told(
    node: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = str(tmp_path / "graph")
    main(["build", TINY, "--output", graph])
    assert main(["show", graph, "--node", node]) == 2
    assert node.split(":")[-1] in capsys.readouterr().err


def test_the_options_of_build_are_those_of_what_it_calls() -> None:
    said, asked = inspect.signature(structure.build).parameters, inspect.signature
    steps = asked(CoOccurrence.__init__).parameters
    hints = get_type_hints(structure.build), get_type_hints(CoOccurrence.__init__)
    for name in ("top_k", "weight", "symmetrize"):
        assert said[name].default == steps[name].default
        assert hints[0][name] == hints[1][name]
    reading = asked(read_log).parameters
    for name in ("format", "columns", "separator", "on_error"):
        assert said[name].default == reading[name].default
    assert said["seed"].default == asked(by_user).parameters["seed"].default
    names = [f.__name__ for f in (leave_one_out, by_user, by_time)]
    assert list(hints[0]["split"].__args__) == names
