"""Rows of results and tables of reports."""

import csv
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from graphseq.errors import ConfigError, DataError
from graphseq.evaluation import Report
from graphseq.report import append, check_table, row, table

KEYS = {"model": "POP", "data": "tiny", "seed": 0, "fingerprint": "f"}


def report(shift: float = 0.0) -> Report:
    names = ["HR@5", "Recall@5", "NDCG@5", "MRR@5", "coverage@5"]
    means = {p: {n: 0.25 + shift for n in names} for p in ("kept", "excluded")}
    facts = {"ks": [5], "users": 3, "part": "test", "held_out_hash": "h" * 64}
    return Report(means, pl.DataFrame(), facts)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_header_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.csv"
    for seed in range(3):
        append(path, KEYS | {"seed": seed})
    header = "model,data,seed,fingerprint\n"
    assert path.read_text() == header + "POP,tiny,0,f\nPOP,tiny,1,f\nPOP,tiny,2,f\n"
    assert [p.name for p in path.parent.iterdir()] == ["results.csv"]


def test_new_columns_come_on_the_right_and_older_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append(path, KEYS | {"HR@5 kept": 0.1})
    append(path, KEYS | {"model": "a, b", "HR@10 kept": 0.2})
    assert path.read_text().splitlines() == [
        "model,data,seed,fingerprint,HR@5 kept,HR@10 kept",
        "POP,tiny,0,f,0.1,",
        '"a, b",tiny,0,f,,0.2',
    ]


def test_rows_that_are_appended_at_the_same_time_all_arrive(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    code = (
        "import sys; from graphseq.report import append\n"
        f"for n in range(20): append(sys.argv[1], {KEYS} | "
        "{'job': sys.argv[2], 'number': n})"
    )
    command = [sys.executable, "-c", code, str(path)]
    jobs = [subprocess.Popen([*command, str(job)]) for job in range(2)]
    assert [job.wait() for job in jobs] == [0, 0]
    found = [(r["job"], r["number"]) for r in rows(path)]
    assert sorted(found) == sorted(
        (str(i), str(n)) for i in range(2) for n in range(20)
    )


@pytest.mark.parametrize("text", ["a,b\n1\n", "a\n1,2\n"])
def test_a_file_that_is_no_table_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"results\.csv"):
        append(path, {"a": 1})
    assert path.read_text() == text


@pytest.mark.parametrize("text", ["who,what,when\n", "who,what,when\nana,tea,1\n"])
def test_a_table_of_something_else_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        append(path, KEYS)
    assert str(error.value) == (
        f"{path} is not a table of results: it has the columns who, what, when; choose "
        "another --record"
    )
    with pytest.raises(DataError, match="not a table of results"):
        check_table(path)
    assert path.read_text() == text


@pytest.mark.parametrize("seed", ["", "one", "-1", "0.5", "nan"])
def test_a_row_with_another_seed_than_a_whole_number_is_named(
    seed: str, tmp_path: Path
) -> None:
    path = tmp_path / "results.csv"
    text = f"model,data,seed,fingerprint\nPOP,tiny,0.0,f\nPOP,tiny,{seed},f\n"
    path.write_text(text)
    with pytest.raises(DataError, match=r"row 2 below the header has the seed"):
        append(path, KEYS)
    assert path.read_text() == text


def test_a_table_of_results_or_none_yet_may_be_added_to(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    check_table(path)
    assert not path.exists()
    path.touch()
    append(path, KEYS)
    check_table(path)
    assert len(rows(path)) == 1


def test_a_row_says_what_the_run_was_and_what_it_reached() -> None:
    commit = {"id": "0123456789abcdef", "changed": True}
    run: Any = SimpleNamespace(
        experiment={"model": {"POP": {}}, "train": {"seed": 4}},
        record={
            "environment": {"commit": commit, "device": "cpu"},
            "graph": {"hash": "f" * 64},
        },
        cpu_seconds=1.26,
        epochs=2,
    )
    found = row(run, report(), data="beauty", experiment="pop.yaml")
    assert found["commit"] == "0123456789ab+uncommitted"
    assert (found["model"], found["seed"], found["cpu_seconds"]) == ("POP", 4, 1.3)
    assert found["HR@5 excluded"] == "0.25"
    assert found["graph"] == "f" * 12


def test_a_table_has_reports_on_the_same_users_with_the_same_lists() -> None:
    one, other = report(), report()
    other.facts["held_out_hash"] = "f" * 64
    with pytest.raises(ConfigError, match="POP and SASRec have another held_out_hash"):
        table({"POP": one, "SASRec": other})
    with pytest.raises(ConfigError, match=r"report POP has ks .* and not \[7\]"):
        table({"POP": one}, ks=[7])
    more = report()
    more.facts["metrics"] = ["Gini"]
    with pytest.raises(ConfigError, match="the report POP lacks the metrics Gini"):
        table({"SASRec": more, "POP": one})


def test_the_table_shows_both_protocols_and_marks_the_best() -> None:
    console = Console(width=100, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        console.print(table({"POP": report(), "SASRec": report(0.1)}))
    shown = captured.get()
    assert "\x1b[1m0.3500" in shown
    assert "\x1b[1m0.2500" not in shown
    assert shown.count("kept") == shown.count("excluded") == 2
    assert "MRR@k" in shown, "the MRR of the first k, not of the whole ranking"
