"""Files around the package agree with it and with each other."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def normal(requirement: str) -> str:
    """A package's name as registries compare it."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_every_direct_dependency_has_one_tested_version() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+", line) for line in lines)
    pinned = [normal(line) for line in lines]
    extras = PROJECT["optional-dependencies"].values()
    direct = [*PROJECT["dependencies"], *(r for extra in extras for r in extra)]
    assert sorted(pinned) == sorted({normal(requirement) for requirement in direct})


def test_the_lowest_versions_are_the_declared_bounds() -> None:
    text = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w.-]+)==([\d.]+)$", text, re.MULTILINE))
    assert pinned.pop("torch") == "2.13.0"  # no other CPU build is available to CI
    bounds = [
        match.groups()
        for requirement in [
            *PROJECT["dependencies"],
            *PROJECT["optional-dependencies"]["dev"],
        ]
        if (match := re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement))
    ]
    runtime = {normal(requirement) for requirement in PROJECT["dependencies"]}
    assert runtime <= {"torch", *pinned}
    assert pinned.items() <= dict(bounds).items()


def test_every_signature_with_a_shape_is_checked_in_tests() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    options = tomllib.loads(text)["tool"]["pytest"]["ini_options"]["addopts"]
    [checked] = [o.partition("=")[2] for o in options if "jaxtyping" in o]
    prefixes = tuple(f"{name}." for name in checked.split(","))
    paths = [p.relative_to(ROOT) for p in (ROOT / "graphseq").rglob("*.py")]
    shaped = [p for p in paths if "from jaxtyping" in (ROOT / p).read_text("utf-8")]
    names = [".".join(p.with_suffix("").parts) + "." for p in shaped]
    assert len(names) > 90
    assert [name for name in names if not name.startswith(prefixes)] == []


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_no_log_is_committed_next_to_the_package() -> None:
    """A guide whose commands are run in the repository leaves its logs there."""
    command = ["git", "ls-files", "--", ":(glob)*"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    names = found.stdout.split()
    if "pyproject.toml" not in names:
        pytest.skip(f"not a clone that git can read: {found.stderr}")
    logs = (".csv", ".tsv", ".parquet", ".jsonl")
    assert not [name for name in names if name.endswith(logs)]


def test_the_version_stands_in_the_citation_too() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    page = (ROOT / "docs" / "cite.md").read_text(encoding="utf-8")
    assert f"version = {{{PROJECT['version']}}}," in page


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_make_target_compiles_the_accelerators() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = [line for line in makefile.splitlines() if line.startswith("\t")]
    assert not [line for line in recipes if "accel]" in line or "torch-s" in line]


def test_files_that_contributors_are_sent_to_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:graphseq|tests|datasets)/[\w/.]+)`", text)
    named = [path for path in named if "NAME" not in path]
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []
