"""What a wheel holds, and that it works without the source tree."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from graphseq.package_data import installed

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return path


def test_the_source_tree_has_both_folders() -> None:
    assert (installed("datasets") / "amazon-beauty.yaml").is_file()
    assert (installed("experiments") / "beauty" / "sasrec.yaml").is_file()


def test_a_wheel_holds_the_package_the_recipes_and_the_experiments(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = {n for n in names if n.startswith("graphseq/") and n.endswith(".py")}
    ours = {str(p.relative_to(ROOT)) for p in (ROOT / "graphseq").rglob("*.py")}
    assert {n for n in inside if not n.startswith("graphseq/installed/")} == ours
    for folder in ("datasets", "experiments"):
        files = {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*.yaml")}
        assert {f"graphseq/installed/{name}" for name in files} <= set(names)
    assert "graphseq/py.typed" in names
    assert not [n for n in names if "__pycache__" in n or n.startswith("tests")]


def test_a_wheel_works_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    site, here = tmp_path / "site", tmp_path / "here"
    zipfile.ZipFile(wheel).extractall(site)
    here.mkdir()
    commands = [["get", "--list"], ["experiments", "--output", "mine"], ["--version"]]
    code = "from graphseq.cli import main\n" + "".join(
        f"assert main({command}) == 0\n" for command in commands
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        env={"PYTHONPATH": str(site), "HOME": str(here)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "amazon-beauty" in done.stdout
    assert (here / "mine" / "beauty" / "sasrec.yaml").is_file()
