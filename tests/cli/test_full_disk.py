"""Full and read-only disks: exit code 2, a message, and nothing is lost."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from graphseq.cli import main
from graphseq.folders import hashes

EXPERIMENT = {
    "data": {"path": "both.csv"},
    "split": {"leave_one_out": {}},
    "model": {"SASRec": {"backbone": {"Backbone": {"dim": 8, "max_length": 8}}}},
    "train": {"max_epochs": 2, "batch_size": 256, "threads": 1},
    "evaluate": {"ks": [1, 3]},
}
TRAIN = ["train", "small.yaml", "--data", ".", "--folder"]
COMMANDS = {
    "build": ["build", "both.csv", "--output", "DISK/graph", "--overwrite"],
    "update": ["update", "DISK/graph", "new.csv"],
    "export": ["export", "DISK/graph", "--output", "DISK/tables"],
    "markup": ["export", "DISK/graph", "--output", "DISK/a/graph.graphml"],
    "plot": ["show", "DISK/graph", "--plot", "DISK/degrees.png"],
    "train": [*TRAIN, "DISK/other"],
    "resume": [*TRAIN, "DISK/run", "--resume", "--set", "train.max_epochs=3"],
    "evaluate": ["evaluate", "DISK/run", "--ks", "2"],
}
BUILD = ["build", "old.csv", "--output"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system of some size, if one may be mounted here."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no command mount")
        if done.returncode:
            pytest.skip("no file system may be mounted here")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two logs, an experiment, a graph and a run of one epoch."""
    folder = tmp_path_factory.mktemp("start")
    rows = [f"u{u},i{(u + 7 * s) % 40},{s}\n" for u in range(90) for s in range(8)]
    parts = {"old": rows[:600], "new": rows[600:], "both": rows}
    for name, part in parts.items():
        (folder / f"{name}.csv").write_text("user,item,time\n" + "".join(part))
    (folder / "small.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    (folder / "DISK").mkdir()
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main([*BUILD, "DISK/graph"]) == 0
        assert main([*TRAIN, "DISK/run", "--set", "train.max_epochs=1"]) == 0
    finally:
        os.chdir(before)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("filler", "run.json")
    }


def fill(disk: Path, free: int) -> None:
    """Leave some bytes free."""
    (disk / "filler").unlink(missing_ok=True)
    state = os.statvfs(disk)
    size = max(0, state.f_bavail * state.f_bsize - free)
    (disk / "filler").write_bytes(b"\0" * size)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_named_and_changes_nothing(
    name: str,
    start: Path,
    small_disk: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = small_disk("1m")
    monkeypatch.chdir(start)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("D", (), {"free": 10**9}))
    shutil.copytree("DISK", disk, dirs_exist_ok=True)
    before = content(disk)
    command = [word.replace("DISK", str(disk)) for word in COMMANDS[name]]
    for free in (0, 4096):
        fill(disk, free)
        assert main(command) == 2
        message = capsys.readouterr().err
        assert "No space left on device" in message or "transport error" in message
        assert "free disk space" in message.lower()
        if name != "resume" or not free:  # it may train an epoch, and keep it
            assert content(disk) == before
    (disk / "filler").unlink()
    assert main(command) == 0


def test_a_run_that_filled_the_disk_is_resumed_to_the_same_end(
    start: Path,
    small_disk: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = small_disk("1m")
    monkeypatch.chdir(start)
    longer = ["--set", "train.max_epochs=4"]
    assert main([*TRAIN, str(disk / "whole"), *longer]) == 0
    folder, epochs = disk / "run", []
    sizes = [p.stat().st_blocks * 512 for p in (disk / "whole").rglob("*")]
    for free in (int(fraction * sum(sizes)) for fraction in (0.6, 0.75, 0.85)):
        shutil.rmtree(folder, ignore_errors=True)
        fill(disk, free)
        assert main([*TRAIN, str(folder), *longer]) == 2
        assert "free disk space" in capsys.readouterr().err.lower()
        epochs.append((folder / "history.csv").exists())
        (disk / "filler").unlink()
        assert main([*TRAIN, str(folder), *longer, "--resume"]) == 0
        for file in ("weights.safetensors", "history.csv"):
            assert (folder / file).read_bytes() == (disk / "whole" / file).read_bytes()
    assert {*epochs} == {False, True}


def test_a_disk_that_is_too_small_is_reported_before_the_work(
    start: Path, small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = small_disk("64k")
    monkeypatch.chdir(start)
    assert main([*BUILD, str(disk / "graph")]) == 2
    assert os.listdir(disk) == []


def test_a_read_only_file_system_is_reported(
    start: Path,
    small_disk: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = small_disk("1m")
    monkeypatch.chdir(start)
    shutil.copytree("DISK", disk, dirs_exist_ok=True)
    before = content(disk), hashes(disk / "graph")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for command in COMMANDS.values():
        assert main([word.replace("DISK", str(disk)) for word in command]) == 2
        message = capsys.readouterr().err
        assert "Read-only file system" in message or "is not writable" in message
    assert (content(disk), hashes(disk / "graph")) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_standard_output_is_reported(start: Path) -> None:
    command = [sys.executable, "-m", "graphseq", "get", "--list"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr


def test_a_closed_pipe_is_not_an_error() -> None:
    """As of ``graphseq ... | head``, which ends after ten lines."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "graphseq", "get", "--list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
