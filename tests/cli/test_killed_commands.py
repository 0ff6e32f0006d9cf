"""Commands that are killed at random moments lose nothing and can be repeated."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
QUICK = ["build", "update", "export", "train"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def problems_of(folder: Path, moments: int, commands: list[str]) -> dict[str, object]:
    """What :file:`killed_commands.py` finds, in a process of its own."""
    temporary = folder / "tmp"
    temporary.mkdir()
    script = [sys.executable, str(HERE / "killed_commands.py"), str(folder)]
    own = {"TMPDIR": str(temporary), "GRAPHSEQ_TEST": str(folder)}
    own |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [*script, str(moments), *commands],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    log = (folder / "log.txt").read_text(errors="replace")
    assert "Traceback" not in log, log
    found: dict[str, object] = json.loads(done.stdout)
    return found


@linux
def test_killed_commands_lose_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    assert problems_of(tmp_path, 2, QUICK) == {command: {} for command in QUICK}


@linux
@pytest.mark.slow
@pytest.mark.parametrize("command", [*QUICK, "markup", "many"])
def test_commands_killed_at_25_moments_lose_nothing(
    command: str, tmp_path: Path
) -> None:
    assert problems_of(tmp_path, 25, [command]) == {command: {}}
