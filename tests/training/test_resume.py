"""A run that was killed, and then resumed, is the run that was never killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graphseq.training import load_run, load_state
from graphseq.training.run import CHECKPOINT, HISTORY, WEIGHTS

ROOT = Path(__file__).parents[2]


def script(name: str, folder: Path, **environment: str) -> str:
    """Run a script of this folder in a process of its own; returns what it printed."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(name)), str(folder)],
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folders of runs that died and were resumed, and the signals they died of."""
    root = tmp_path_factory.mktemp("killed")
    deaths: dict[str, Any] = json.loads(script("killed_runs.py", root))
    return root, deaths


def test_every_run_was_killed(killed: tuple[Path, dict[str, Any]]) -> None:
    deaths = killed[1]
    assert len(deaths) == 15
    assert deaths.pop("at random")[0] == signal.SIGKILL  # later ones may come too late
    for moment, signals in deaths.items():
        assert set(signals) == {signal.SIGKILL}, moment


def test_the_unbroken_run_learns_something(killed: tuple[Path, Any]) -> None:
    run = load_run(killed[0] / "unbroken")
    assert run.epochs == 4
    assert run.history[-1]["loss"] < run.history[0]["loss"]


def test_resumed_weights_are_the_unbroken_runs_bit_for_bit(
    killed: tuple[Path, dict[str, Any]],
) -> None:
    root, deaths = killed
    expected = load_file(root / "unbroken" / WEIGHTS)
    for moment in deaths:
        found = load_file(root / moment / WEIGHTS)
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor), (moment, name)


def test_resumed_histories_are_the_unbroken_runs(
    killed: tuple[Path, dict[str, Any]],
) -> None:
    root, deaths = killed
    expected = (root / "unbroken" / HISTORY).read_bytes()
    for moment in deaths:
        assert (root / moment / HISTORY).read_bytes() == expected, moment


def test_resumed_optimizers_are_the_unbroken_runs(
    killed: tuple[Path, dict[str, Any]],
) -> None:
    root, deaths = killed
    (expected,) = load_state(root / "unbroken" / CHECKPOINT)["optimizer_states"]
    for moment in deaths:
        (found,) = load_state(root / moment / CHECKPOINT)["optimizer_states"]
        for number, moments in expected["state"].items():
            for name, tensor in moments.items():
                assert torch.equal(found["state"][number][name], tensor), moment


def test_resumed_runs_are_finished_and_tidy(
    killed: tuple[Path, dict[str, Any]],
) -> None:
    root, deaths = killed
    names = {path.name for path in (root / "unbroken").iterdir()}
    assert len(names) == 6
    for moment in deaths:
        assert load_run(root / moment).finished
        assert {path.name for path in (root / moment).iterdir()} == names, moment
