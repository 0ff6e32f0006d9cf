"""What the package shows at its top, and that showing it costs nothing."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import graphseq
from graphseq.models import MODELS, Ensemble, Model, RepeatBias, SequenceModel

PACKAGE = Path(graphseq.__file__).parent
NAMES = ["read_log", "Interactions", "k_core", "leave_one_out", "by_user", "by_time"]
NAMES += ["build_graph", "CoOccurrence", "Transitions", "save_graph", "load_graph"]
NAMES += ["summary", "fit", "evaluate", "compare", "Recommender", "load_weights"]
NAMES += ["Ensemble", "choose_weights", "add_items"]
NAMES += ["models", "nn", "objectives", "plots", "augment", "Backbone", "testing"]
PUBLIC = ["data", "graphs", "models", "nn", "objectives", "sequences", "evaluation"]
PUBLIC += ["training", "config", "cli", "testing"]


def test_the_public_names_are_those_that_were_promised() -> None:
    assert sorted(graphseq.__all__) == sorted(NAMES)
    assert dir(graphseq) == sorted([*NAMES, "__version__"])


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(graphseq, name)
    assert inspect.getdoc(found)
    if callable(found):
        assert found.__name__ == name
    elif name != "augment":
        assert found.__name__ == f"graphseq.{name}"


@pytest.mark.parametrize("package", PUBLIC)
def test_every_name_that_a_package_exports_is_documented(package: str) -> None:
    module = importlib.import_module(f"graphseq.{package}")
    exported = [getattr(module, name) for name in module.__all__]
    described = [e for e in exported if inspect.isclass(e) or inspect.isfunction(e)]
    assert described
    assert [e.__name__ for e in described if not inspect.getdoc(e)] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        graphseq.fitt  # noqa: B018


def test_type_checkers_see_the_names_that_the_lazy_import_gives() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    [block] = [n for n in tree.body if isinstance(n, ast.If)]
    imports = [n for n in block.body if isinstance(n, ast.ImportFrom)]
    homes = {a.name: n.module for n in imports for a in n.names}
    assert sorted(homes) == sorted(NAMES)
    for name, home in graphseq._HOME.items():
        assert homes[name] == f"graphseq.{home}"


def test_every_model_in_the_package_is_in_the_table_of_models() -> None:
    found = set()
    for path in (PACKAGE / "models").glob("*.py"):
        module = importlib.import_module(f"graphseq.models.{path.stem}")
        members = inspect.getmembers(module, inspect.isclass)
        models = {m for _, m in members if issubclass(m, Model)}
        found |= {m for m in models if not inspect.isabstract(m)}
    assert found == {SequenceModel, Ensemble, RepeatBias, *MODELS.values()}
    assert {name: model.__name__ for name, model in MODELS.items()} == {
        name: name for name in MODELS
    }


IMPORTS = """
import sys
import graphseq, graphseq.cli
heavy = {"torch", "polars", "lightning", "matplotlib", "faiss", "networkx", "numpy"}
assert not (heavy | {"numba"}) & sys.modules.keys()
graphseq.read_log, graphseq.k_core, graphseq.leave_one_out, graphseq.by_time
assert not {"torch", "torch_geometric", "scipy"} & sys.modules.keys()
"""


def test_imports_load_nothing_heavy_before_it_is_used() -> None:
    """tests/graphs/test_graph_hashing.py does the same for graphs and training."""
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)


def test_the_version_is_that_of_the_installed_package() -> None:
    assert graphseq.__version__[0].isdigit()
