"""``graphseq build``: from a log to a folder, or to a plan."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

from graphseq.cli import main
from graphseq.cli.build import build
from graphseq.constants import (
    HAS_ATTRIBUTE,
    INTERACTS,
    ITEM_CO_OCCURS,
    PRECEDES,
    USER_CO_OCCURS,
)
from graphseq.data import by_time, by_user, leave_one_out, read_log
from graphseq.graphs import CoOccurrence, build_graph, graph_hash, load_graph
from graphseq.graphs.storage import METADATA, hashes

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


def run(*arguments: str) -> int:
    return main(["build", *arguments])


def test_build_saves_the_graph_that_was_asked_for(
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


def test_the_relations_are_those_of_the_steps_in_python(tmp_path: Path) -> None:
    from graphseq.graphs import CoOccurrence, Transitions

    output = str(tmp_path / "graph")
    run(TINY, "--output", output, "--item-item", "cosine:2", "--transitions", "1")
    steps = [
        CoOccurrence("user"),
        CoOccurrence("item", top_k=2, weight="cosine"),
        Transitions(top_k=50),
    ]
    graph = build_graph(leave_one_out(read_log(TINY)), steps)
    assert graph_hash(load_graph(output)) == graph_hash(graph)


def test_hubs_are_passed_over_between_users_and_between_items(tmp_path: Path) -> None:
    output = tmp_path / "graph"
    assert run(TINY, "--output", str(output), "--hub-cap", "3") == 0
    steps = [CoOccurrence(kind, hub_cap=3) for kind in ("user", "item")]
    made = build_graph(leave_one_out(read_log(TINY)), steps)
    assert hashes(output)["graph_hash"] == graph_hash(made)
    whole = build_graph(
        leave_one_out(read_log(TINY)), [CoOccurrence("user"), CoOccurrence("item")]
    )
    for relation in (USER_CO_OCCURS, ITEM_CO_OCCURS):
        assert made[relation].num_edges < whole[relation].num_edges
    assert "hub_cap" not in whole.provenance["transforms"][0]["CoOccurrence"]


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


def test_the_recorded_command_makes_the_graph_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, again = str(tmp_path / "a graph"), str(tmp_path / "again")
    options = ["--user-user", "none", "--k-core", "2", "--deduplicate", "last"]
    options += ["--columns", "user=user", "item=item", "time=time"]
    run(TINY, "--output", output, *options)
    capsys.readouterr()
    main(["show", output, "--provenance"])
    shown = capsys.readouterr().out
    command = shown.splitlines()[0]
    assert hashes(output)["graph_hash"] in shown
    assert "here, unchanged" in shown
    assert f"'{output}'" in command
    words = command.replace(f"'{output}'", again).split()[1:]
    assert main(words) == 0
    assert hashes(again) == hashes(output)


def test_what_would_not_fit_is_told_at_once_with_what_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "graph")]
    log = tmp_path / "log.csv"
    rows = [f"u{user},{item},1" for user in range(60) for item in range(5)]
    log.write_text("user,item,time\n" + "\n".join(rows) + "\n")
    assert run(str(log), *output, "--memory", "0.00003") == 2
    told = capsys.readouterr().err
    for words in ("needs about", "multiply-adds", "--user-user count:20", "--k-core"):
        assert words in told
    assert run(TINY, *output, "--memory", "0.000001") == 2
    assert "reading" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [log]


def test_a_full_disk_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Disk", (), {"free": 9}))
    assert run(TINY, "--output", str(tmp_path / "graph")) == 2
    assert "on the disk" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["none.csv"], "none.csv"),
        ([TINY, "--memory", "-1"], "--memory is above 0, in gigabytes; got -1"),
        ([TINY, "--hub-cap", "0"], "--hub-cap is 1 or more; got 0"),
        (
            [TINY, "--split", "by_user", "--seed", "-4"],
            "seed: expected a whole",
        ),
        ([TINY, "--columns", "who"], "takes pairs"),
        ([TINY, "--format", "cvs"], "did you mean 'csv'"),
        ([TINY, "--user-user", "coutn:5"], "did you mean 'count'?"),
        ([TINY, "--user-user", "count:few"], "--user-user takes a whole number"),
        ([TINY, "--item-item", "count:5:mix"], "--item-item knows no way"),
        ([TINY, "--item-item", "count:5:max:1"], "WEIGHT[:K[:SYMMETRIZE]]"),
        ([TINY, "--transitions", "far"], "WINDOW[:K[:DECAY]]"),
        ([TINY, "--transitions", "1:5:x"], "a number as DECAY"),
        ([TINY, "--transitions", "1:5:7"], "decay"),
        ([TINY, "--attributes", "none.json"], "none.json"),
        ([TINY, "--attribute-columns", "item=a"], "--attributes"),
        ([TINY, "--attributes", TINY, "--attribute-columns", "a=b"], "item=…"),
    ],
)
def test_what_a_user_can_mend_is_told_and_leaves_nothing(
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
    said, asked = inspect.signature(build).parameters, inspect.signature
    hints = get_type_hints(build)
    reading = asked(read_log).parameters
    for name in ("format", "columns", "separator", "times", "on_error"):
        assert said[name].default == reading[name].default
    assert said["seed"].default == asked(by_user).parameters["seed"].default
    names = [f.__name__ for f in (leave_one_out, by_user, by_time)]
    assert list(hints["split"].__args__) == names


def test_the_folder_names_the_source_and_its_checksum(tmp_path: Path) -> None:
    import hashlib

    output = tmp_path / "graph"
    run(TINY, "--output", str(output))
    made = json.loads((output / METADATA).read_text())["provenance"]["build"]
    digest = hashlib.sha256(Path(TINY).read_bytes()).hexdigest()
    assert made["sources"]["log"]["sha256"] == digest
    assert made["command"] == ["graphseq", "build", TINY]
    assert "polars" in made["versions"]


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
