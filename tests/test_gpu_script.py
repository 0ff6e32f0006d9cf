"""benchmarks/on_a_gpu.sh runs its three parts, within their times, on any machine."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "on_a_gpu.sh"
PYTHON = """#!/usr/bin/env bash
echo "$DEVICE: $*" >> "$(dirname "$0")/calls.txt"
case "$*" in *"{slow}"*) sleep 60 ;; *"{broken}"*) exit 1 ;; esac
"""


def run(
    folder: Path, *, slow: str = "nothing", broken: str = "nothing", **settings: str
) -> tuple[int, list[str]]:
    """The status of the script, and what a stand-in for Python was called with."""
    python = folder / "python"
    python.write_text(PYTHON.format(slow=slow, broken=broken))
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "GRAPHSEQ_DATA": str(folder)}
    done = subprocess.run(
        ["bash", str(SCRIPT), str(folder / "out")],
        env=environment | {"DEVICE": "cpu"} | settings,
        capture_output=True,
        check=False,
        timeout=50,
    )
    return done.returncode, (folder / "calls.txt").read_text().splitlines()


def test_tests_benchmark_and_training_run_one_after_the_other(tmp_path: Path) -> None:
    data = tmp_path / "amazon-beauty" / "Beauty.txt"
    data.parent.mkdir()
    data.write_text("")
    status, calls = run(tmp_path, EXPERIMENTS="some.yaml more.yaml")
    out = tmp_path / "out"
    assert status == 0 and all(call.startswith("cpu: ") for call in calls)
    assert [call.removeprefix("cpu: ") for call in calls] == [
        "-m pytest -q -m gpu tests/models/test_on_gpu.py",
        f"-W ignore -m benchmarks.gpu {data} --device cpu --out {out}",
        f"-m graphseq train some.yaml more.yaml --record {out}/rows.csv "
        f"--skip-recorded --resume --runs {out}/runs",
    ]
    recorded = (ROOT / "experiments" / "results.csv").read_bytes()
    assert (out / "rows.csv").read_bytes() == recorded


@pytest.mark.parametrize("part", ["-m pytest", "-m benchmarks"])
def test_a_part_that_fails_does_not_stop_the_next_one(
    part: str, tmp_path: Path
) -> None:
    status, calls = run(tmp_path, broken=part)
    assert status == 1 and len(calls) == 3


def test_a_part_ends_with_its_time(tmp_path: Path) -> None:
    status, calls = run(tmp_path, slow="-m pytest", TESTS="3", EXPERIMENTS="")
    assert status == 1 and len(calls) == 2
    assert "exit code 124" in (tmp_path / "out" / "tests.txt").read_text()


def test_a_folder_is_required() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OUT"}
    done = subprocess.run(
        ["bash", str(SCRIPT)], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 2 and b"on_a_gpu.sh FOLDER" in done.stderr
