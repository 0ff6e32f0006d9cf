"""``graphseq build``: from a log to a folder, or to a plan."""

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from graphseq.cli import main
from graphseq.cli.build import BuildOptions, ReadOptions
from graphseq.constants import (
    HAS_ATTRIBUTE,
    INTERACTS,
    ITEM_CO_OCCURS,
    PRECEDES,
    USER_CO_OCCURS,
)
from graphseq.data import by_time, by_user, leave_one_out, read_log
from graphseq.folders import hashes
from graphseq.graphs import load_graph

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


def run(*arguments: str) -> int:
    return main(["build", *arguments])


def test_build_saves_the_requested_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "graph"
    table = tmp_path / "kinds.csv"
    table.write_text("name,kind\nbread,food\nbread,daily\nmilk,food\n")
    options = ["--user-user", "cosine:3:min", "--item-item", "jaccard:all"]
    options += ["--transitions", "2:4:0.5", "--min-length", "3"]
    options += ["--attributes", str(table), "--attribute-columns", "item=name"]
    options += ["attribute=kind"]
    assert run(TINY, "--output", str(output), *options) == 0
    graph = load_graph(output)
    relations = {INTERACTS, USER_CO_OCCURS, ITEM_CO_OCCURS, PRECEDES, HAS_ATTRIBUTE}
    assert set(graph.edge_types) == relations
    assert graph["user"].num_nodes == 11
    users, items, follow, attributes = graph.provenance["transforms"]
    assert users["CoOccurrence"] == {
        "kind": "user",
        "top_k": 3,
        "weight": "cosine",
        "symmetrize": "min",
        "block_rows": None,
    }
    assert items["CoOccurrence"]["top_k"] is None
    assert items["CoOccurrence"]["weight"] == "jaccard"
    assert (follow["Transitions"]["window"], follow["Transitions"]["decay"]) == (2, 0.5)
    assert attributes["Attributes"]["source"] == "kinds.csv"
    shown = capsys.readouterr().out
    edges = graph[USER_CO_OCCURS].edge_index.shape[1]
    assert re.search(rf"user-user .* {edges} edges", shown)
    assert "seconds" in shown
    assert "memory" in shown


def test_columns_are_named_in_pairs(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("when;who;what\n" + "".join(f"{t};a;i{t}\n" for t in range(5)))
    columns = ["--columns", "user=who", "item=what", "time=when", "--separator", ";"]
    output = str(tmp_path / "graph")
    assert run(str(log), "--output", output, *columns, "--user-user", "none") == 0
    assert load_graph(output)["item"].num_nodes == 5


def test_a_dry_run_shows_plan_and_costs_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "deep" / "graph"
    assert run(TINY, "--output", str(output), "--dry-run") == 0
    assert list(tmp_path.iterdir()) == []
    shown = capsys.readouterr().out
    for words in ("user-user", "multiply-adds", "edges", "memory", "on disk"):
        assert words in shown


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        run(TINY, "--output", str(tmp_path / name))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_graph_is_replaced_on_demand_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "graph")
    run(TINY, "--output", output)
    before = hashes(output)
    assert run(TINY, "--output", output, "--user-user", "none") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert hashes(output) == before
    assert run(TINY, "--output", output, "--user-user", "none", "--overwrite") == 0
    assert hashes(output) != before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["none.csv"], "none.csv"),
        ([TINY, "--memory", "-1"], "--memory takes a finite number above 0"),
        ([TINY, "--hub-cap", "0"], "--hub-cap takes a whole number of 1 or more"),
        ([TINY, "--seed", "-4"], "--seed takes a whole number of 0 or more"),
        ([TINY, "--columns", "who"], "takes pairs"),
        ([TINY, "--format", "cvs"], "did you mean 'csv'"),
    ],
)
def test_user_errors_are_reported_and_leave_nothing(
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments, "--output", "deep/graph") == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_the_options_of_build_are_those_of_what_it_calls() -> None:
    parameters = inspect.signature(read_log).parameters
    for option in fields(ReadOptions):
        default = option.default or "raise" if option.name == "on_error" else None
        assert parameters[option.name].default == default
    assert BuildOptions().seed == inspect.signature(by_user).parameters["seed"].default
    names = [f.__name__ for f in (leave_one_out, by_user, by_time)]
    assert list(get_type_hints(BuildOptions)["split"].__args__) == names


def test_help_shows_worked_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphseq", "build", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    examples = done.stdout.partition("\nExamples:")[2]
    for option in ("--user-user", "--item-item", "--transitions", "--attributes"):
        assert option in examples
