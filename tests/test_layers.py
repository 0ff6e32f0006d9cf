"""Imports point down, and what stands on one line does not import each other."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "graphseq"
LAYERS = """
__main__
cli
config | demo | report_page | spark | testing
export
recommend | report | plots
training
evaluation
models
graphs | sequences
data | nn | objectives
spec_reader
specs
drawing | schema | locks | folders
atomic | exported | plain_yaml
constants | drafts | errors | package_data | runtime | signatures
"""
LINES = [line.split(" | ") for line in LAYERS.strip().splitlines()]
RANK = {home: -depth for depth, line in enumerate(LINES) for home in line}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)
MODULES += sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def home_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(source: str) -> set[str]:
    """The parts of the package that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "graphseq":
            names = [f"graphseq.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        found |= {n.split(".")[1] for n in names if n.startswith("graphseq.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    home = home_of(path)
    uphill = {
        name
        for name in imports_of(path.read_text(encoding="utf-8")) - {home}
        if RANK[name] >= RANK[home]
    }
    assert not uphill, f"{path.name} is in '{home}' and must not import {uphill}"


def test_every_module_of_the_package_has_a_rank() -> None:
    assert {home_of(path) for path in MODULES} <= set(RANK)


def test_imports_are_absolute() -> None:
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [node.module for node in froms if node.level], path.name


def test_an_import_uphill_is_seen_wherever_it_stands() -> None:
    source = (
        "def f():\n    from graphseq.models import MODELS\n    import graphseq.cli\n"
    )
    assert imports_of(source) == {"models", "cli"}
    assert imports_of("from graphseq import graphs, nn") == {"graphs", "nn"}
    assert RANK["models"] > RANK["nn"]
