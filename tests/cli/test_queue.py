"""``graphseq queue``, end to end on experiments of a second."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from graphseq.cli import main

POP = {
    "data": {"cycle": {"num_users": 8, "num_items": 4, "length": 5}},
    "split": {"leave_one_out": {}},
    "model": {"POP": {}},
    "evaluate": {"ks": [1]},
}


def write(path: Path, options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(options))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_queue_records_what_can_run_and_says_what_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "experiments" / "pop" / "good.yaml", POP)
    absent = {"data": {"path": "absent.csv"}}
    write(tmp_path / "experiments" / "pop" / "lost.yaml", POP | absent)
    ask = ["queue", "experiments", "--record", "results.csv", "--jobs", "2"]
    assert main([*ask, "--dry-run"]) == 0
    assert "2 to do" in capsys.readouterr().out
    assert main(ask) == 1
    shown = capsys.readouterr().out
    assert "absent.csv" in shown
    assert shown.splitlines()[-1] in ("1 done, 1 failed", "1 failed, 1 done")
    [row] = rows(tmp_path / "results.csv")
    assert (row["experiment"], row["seed"]) == ("experiments/pop/good.yaml", "0")
    assert row["settings"] == ""
    assert main(["queue", "experiments/pop/good.yaml", "--record", "results.csv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 recorded already, 0 to do",
        "nothing to do",
    ]


@pytest.mark.parametrize("option", ["--record", "--runs"])
def test_a_queue_refuses_to_write_where_something_else_is(
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pop.yaml", POP)
    (tmp_path / "log.csv").write_text("who,what\nana,tea\n")
    options = {"--record": "results.csv", option: "log.csv"}
    words = [word for pair in options.items() for word in pair]
    assert main(["queue", "pop.yaml", *words]) == 2
    assert "log.csv is " in capsys.readouterr().err
    assert (tmp_path / "log.csv").read_text() == "who,what\nana,tea\n"
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_run_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    long = {
        "data": {"cycle": {"num_users": 8, "num_items": 4, "length": 5}},
        "model": {"SASRec": {"dim": 4, "layers": 1}},
        "train": {"max_epochs": 100_000, "patience": None, "evaluate_every": 1000},
    }
    write(tmp_path / "one.yaml", POP | long)
    ask = [sys.executable, "-m", "graphseq", "queue", "one.yaml"]
    ask += ["--record", "results.csv"]
    running = subprocess.Popen(ask, stdout=subprocess.PIPE, text=True)
    while not (found := list(tmp_path.glob("runs/*/history.csv"))):
        assert running.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(running.pid, signal.SIGINT)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 130
    assert said.splitlines()[-1] == "1 stopped"
    [history] = found
    epochs = history.read_text().count("\n") - 1
    assert epochs >= 1
    assert '"finished": false' in (history.parent / "run.json").read_text()
    assert not (tmp_path / "results.csv").exists()
    shorter = yaml.safe_load((tmp_path / "one.yaml").read_text())
    shorter["train"]["max_epochs"] = epochs + 2
    write(tmp_path / "two.yaml", shorter)
    goes_on = ["train", "two.yaml", "--folder", str(history.parent), "--resume"]
    assert main(goes_on) == 0
    record = json.loads((history.parent / "run.json").read_text())
    assert record["resumed_after"] == [epochs]
    assert record["finished"]
