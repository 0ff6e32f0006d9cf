"""Kill commands at random moments and run them again; print what went wrong.

A script of its own and not a test, because it forks: no process that has used polars or
trained can be forked safely, so this one does neither. Each child runs one command in a
folder of its own, and is killed by SIGKILL; others then check what is left, and run the
command again. The result has to equal that of a command that was not killed.

Usage: python killed_commands.py FOLDER MOMENTS COMMAND …
"""

import csv
import gc
import hashlib
import io
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import yaml

import graphseq.config
import graphseq.graphs.export
import graphseq.graphs.incremental
import graphseq.recommend
import graphseq.training.trainer
from graphseq.cli import main
from graphseq.folders import hashes, is_graph
from graphseq.graphs import load_graph
from graphseq.graphs.storage import load_log

TRAIN = ["train", "small.yaml", "--record", "results.csv", "--resume"]
COMMANDS = {
    "build": ["build", "both.csv", "--output", "graph", "--overwrite"],
    "update": ["update", "graph", "new.csv"],
    "export": ["export", "graph", "--output", "tables"],
    "markup": ["export", "graph", "--output", "graph.graphml"],
    "train": [*TRAIN, "--folder", "run"],
    "many": [*TRAIN, "--seeds", "0", "1", "--jobs", "2", "--skip-recorded"],
}
EXPERIMENT = {
    "data": {"path": "both.csv"},
    "split": {"leave_one_out": {}},
    "model": {"SASRec": {"backbone": {"Backbone": {"dim": 8, "max_length": 8}}}},
    "train": {"max_epochs": 3, "batch_size": 64, "threads": 1},
    "evaluate": {"ks": [1, 3]},
}
VOLATILE = ("cpu_seconds", "commit")  # columns of a table of results


def write_inputs(folder: Path) -> None:
    """Two logs, both together, an experiment, and the graph of the first log."""
    chance = random.Random(0)
    rows = [
        f"{user},{(user + step) % 9},{10 * step + chance.randrange(9)}\n"
        for user in range(30)
        for step in range(8)
    ]
    chance.shuffle(rows)
    parts = {"old.csv": rows[:200], "new.csv": rows[200:], "both.csv": rows}
    for name, part in parts.items():
        (folder / name).write_text("user,item,time\n" + "".join(part))
    (folder / "small.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    run(["build", "old.csv", "--output", "graph"])


def run(command: list[str]) -> None:
    """Run a command in this folder and process."""
    options = ["--data", "."] if command[0] == "train" else []
    code = main([*command, *options])
    assert code == 0, f"{command} ends with {code}"


def content(folder: Path) -> dict[str, Any]:
    """What a command leaves in a folder, without times of the clock."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name, value = path.relative_to(folder).as_posix(), None
        if path.is_dir() and is_graph(path):
            value = hashes(path)
        elif path.name in ("weights.safetensors", "history.csv", "graph.graphml"):
            value = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name == "report-test.json":
            value = json.loads(path.read_text())["means"]
        elif path.name == "results.csv":
            with path.open(newline="") as file:
                rows = [*csv.DictReader(file)]
            kept = [{k: v for k, v in row.items() if k not in VOLATILE} for row in rows]
            value = sorted(kept, key=lambda row: row["seed"])
        found[name] = value
    return found


def check_whole(command: str) -> None:
    """Check that nothing is lost: the graph is whole, and the logs are as they were."""
    for name in ("old.csv", "new.csv", "both.csv"):
        assert Path(name).read_bytes() == (Path("..") / "start" / name).read_bytes()
    load_graph("graph")
    load_log("graph")
    if command == "export" and Path("tables").exists():
        graphseq.graphs.import_graph("tables")
    if command == "markup" and Path("graph.graphml").exists():
        graphseq.graphs.import_graph("graph.graphml")


def start(work: Callable[[], None], folder: Path) -> int:
    """Do work in a fork, in a folder; returns the process."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        log = os.open("../log.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def finish(process: int) -> int:
    """Wait for a process; returns its exit code, or minus its signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill(process: int) -> int:
    """Kill a process, and no other one; wait until its children have ended too."""
    os.kill(process, signal.SIGKILL)
    code = finish(process)
    until = time.monotonic() + 30
    while children := alive():
        assert time.monotonic() < until, f"still running: {children}"
        time.sleep(0.05)
    return code


def alive() -> list[int]:
    """Processes other than this one that have its mark in their environment."""
    mark = f"GRAPHSEQ_TEST={os.environ['GRAPHSEQ_TEST']}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return [process for process in found if process != os.getpid()]


def kill_once(command: str, root: Path, seconds: float, expected: Any) -> str | None:
    """Kill a command after some seconds, check and repeat it.

    Returns:
        What is wrong, if anything.
    """
    shutil.rmtree(root / "here", ignore_errors=True)
    shutil.copytree(root / "start", root / "here")
    process = start(lambda: run(COMMANDS[command]), root / "here")
    time.sleep(seconds)
    code = kill(process)
    if finish(start(lambda: check_whole(command), root / "here")):
        return "something is lost"
    done = command == "update" and hashes(root / "here" / "graph") == expected["graph"]
    if not done and finish(start(lambda: run(COMMANDS[command]), root / "here")):
        return f"it cannot be repeated (it ended with {code})"
    found = content(root / "here")
    names = {n for n in {*found, *expected} if found.get(n) != expected.get(n)}
    names |= {*found} ^ {*expected}
    if names and not (done and names <= {".graph.lock"}):
        return f"these differ: {sorted(names)}"
    if left := [str(p) for p in Path(os.environ["TMPDIR"]).glob("*graphseq*")]:
        return f"temporary files are left: {left}"
    return None


def main_of_script(root: Path, moments: int, commands: list[str]) -> None:
    """Print the problems, as {command: {seconds: problem}}."""
    with redirect_stdout(io.StringIO()):  # imports here what each child would import
        for command in commands:
            assert main([COMMANDS[command][0], "--help"]) == 0
    gc.freeze()  # the children need not search, and thereby copy, what is imported
    (root / "start").mkdir()
    assert finish(start(lambda: write_inputs(root / "start"), root / "start")) == 0
    chance, problems = random.Random(0), {}
    for command in commands:
        shutil.copytree(root / "start", root / command)
        begin = time.monotonic()
        code = finish(start(partial(run, COMMANDS[command]), root / command))
        assert code == 0, (root / "log.txt").read_text()
        whole, expected = time.monotonic() - begin, content(root / command)
        times = sorted(chance.uniform(0, 1.1 * whole) for _ in range(moments))
        found = {t: kill_once(command, root, t, expected) for t in times}
        problems[command] = {t: found[t] for t in times if found[t]}
    print(json.dumps(problems))


if __name__ == "__main__":
    main_of_script(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
