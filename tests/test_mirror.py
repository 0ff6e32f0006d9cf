"""The tests mirror the package: what a module does is tested in a file of its name."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS = ROOT / "graphseq", ROOT / "tests"
MODULES = sorted(p.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py"))
MODULES = [path for path in MODULES if path.name != "__init__.py"]

ELSEWHERE: dict[str, str] = {
    "cli/derived_run.py": "cli/test_cli_ensemble.py, and cli/test_cli_repeats.py",
    "cli/results.py": "cli/test_cli_evaluate.py, which prints and writes JSON",
    "cli/tune.py": "config/test_tune.py, which runs the command",
    "__main__.py": "cli/test_cli_train.py, whose processes start with it",
    "constants.py": "names only; every test of a graph reads them",
    "data/time_split.py": "data/test_split.py, next to the other splits",
    "models/bsarec.py": "models/test_filter_models.py",
    "models/fmlp.py": "models/test_filter_models.py",
    "models/perturbed.py": "models/test_simgcl_xsimgcl.py",
    "models/tvrec.py": "models/test_filter_models.py",
    "models/wearec.py": "models/test_filter_models.py",
    "recommend/ranker.py": "recommend/test_recommend.py",
    "recommend/requests.py": "recommend/test_recommend.py",
    "spark/batches.py": "spark/test_engine.py",
    "spark/events.py": "spark/test_engine.py",
    "spark/parsing.py": "spark/test_reading.py",
    "spark/relations.py": "spark/test_engine.py",
}
"""Modules without a test file of their name: the file that tests them, or why none."""


def find_tests(module: Path) -> list[Path]:
    """Files named after a module, in its folder's mirror; a word more is allowed.

    A part of a concept, ``encoder_case.py`` next to ``encoder.py``, has the tests of
    the concept.
    """
    folder, name = TESTS / module.parent, module.stem
    patterns = (f"test_{name}.py", f"test_*_{name}.py", f"test_{name}_*.py")
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    concept = module.with_stem(name.partition("_")[0])
    if not found and concept != module and concept in MODULES:
        return find_tests(concept)
    return found


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_a_test_of_its_name_or_a_reason(module: Path) -> None:
    name = module.as_posix()
    if name not in ELSEWHERE:
        assert find_tests(module), f"no tests/{module.parent}/test_{module.stem}.py"
        return
    assert not find_tests(module), f"{name} has its test; it needs no entry here"
    first = ELSEWHERE[name].split()[0].rstrip(",;")
    assert not first.endswith(".py") or (TESTS / first).is_file(), f"no tests/{first}"


def test_reasons_are_given_for_modules_that_are_there() -> None:
    assert set(ELSEWHERE) <= {path.as_posix() for path in MODULES}


def test_names_of_test_files_are_unique() -> None:
    names = [path.name for path in TESTS.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_folders_of_tests_are_no_packages() -> None:
    assert not list(TESTS.rglob("__init__.py"))
