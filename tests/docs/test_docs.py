"""The reference covers every public package, and the example of the README runs."""

import importlib
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from graphseq.models import Backbone
from graphseq.schema import Dropout

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if not {"_build", "generated"} & set(path.relative_to(DOCS).parts)
)
README = (ROOT / "README.md").read_text("utf-8")


def load_generator() -> ModuleType:
    if str(DOCS / "_ext") not in sys.path:
        sys.path.insert(0, str(DOCS / "_ext"))
    return importlib.import_module("reference")


@cache
def reference() -> dict[str, str]:
    pages: dict[str, str] = load_generator().pages()
    return pages


def test_the_reference_covers_every_public_package() -> None:
    listed = {"graphseq", *load_generator().modules()}
    internal = {"graphseq.cli", "graphseq.data.readers"}
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "graphseq").rglob("__init__.py")
        if "__all__" in path.read_text("utf-8")
    }
    assert packages - internal <= listed
    assert {"graphseq.recommend", "graphseq.errors", "graphseq.schema"} <= listed


def test_every_public_object_has_a_home_in_the_reference() -> None:
    generator = load_generator()
    for name, value in generator.public("graphseq").items():
        if not isinstance(value, ModuleType):
            assert generator.homes()[id(value)].endswith(f".{name}")
    assert len(generator.homes()) > 150
    assert generator.link(load_generator) == "``load_generator``"


def test_signatures_are_plain_and_descriptions_begin_with_the_range() -> None:
    generator = load_generator()
    signature, _ = generator.plain_signature(None, "class", "Backbone", Backbone)
    assert "dim: int | None = None" in signature
    assert "Annotated" not in signature
    lines = [":param num_items:", "    V.", ":param loss: Of the next item."]
    generator.describe_ranges(None, "class", "Backbone", Backbone, None, lines)
    assert lines == [":param num_items: (≥ 1) \\V.", ":param loss: Of the next item."]
    assert generator.range_of(Dropout | None) == "in [0, 1)"


def test_generated_pages_are_listed_in_the_index_of_the_reference() -> None:
    index = (DOCS / "reference" / "index.rst").read_text("utf-8")
    listed = set(re.findall(r"^   generated/(\S+)$", index, re.MULTILINE))
    assert listed == {n.removesuffix(".rst") for n in reference() if ".rst" in n}


def test_every_command_has_its_help_in_the_reference() -> None:
    page = reference()["command-line.rst"]
    commands = ["get", "build", "update", "show", "diff", "export", "import"]
    commands += [
        "experiments",
        "convert",
        "train",
        "tune",
        "evaluate",
        "ensemble",
        "repeats",
        "compare",
        "report",
        "plot",
        "claims",
        "recommend",
        "export-model",
        "demo",
    ]
    shown = re.findall(r"^graphseq ([\w-]+)\n-+$", page, re.MULTILINE)
    assert shown == commands
    for command in commands:
        assert f"Usage: graphseq {command}" in page


def test_every_name_of_an_experiment_file_is_in_the_reference() -> None:
    from graphseq.config.registry import (
        DATA,
        FILTERS,
        GRAPH,
        PARTS,
        SPLITS,
        model_table,
    )

    page = reference()["experiment-files.rst"]
    for table in (DATA, FILTERS, SPLITS, GRAPH, PARTS, model_table()):
        assert [name for name in table if f"* - ``{name}``\n" not in page] == []


def test_an_option_has_its_values_default_and_meaning_in_the_reference() -> None:
    page = reference()["experiment-files.rst"]
    _, _, transformer = page.partition(".. rubric:: Transformer\n")
    dropout = transformer.partition("* - ``dropout``\n")[2].partition("* - ``")[0]
    cells = [line.removeprefix("     - ") for line in dropout.strip("\n").split("\n")]
    assert cells[:2] == ["a number from 0 to below 1", "``0.5``"]
    assert cells[2].startswith("Of the input")
    assert "* - ``max_epochs``" in page  # of the section train
    assert "* - ``num_users``" not in page.partition(".. rubric:: SASRec\n")[2]
    assert not re.search(r"^ +\* ?- [A-Z]\.$|^ +- [A-Z]\.$", page, re.MULTILINE)


def test_departures_of_every_model_are_listed() -> None:
    from graphseq.models import MODELS

    page = reference()["departures.inc"]
    for name, model in MODELS.items():
        part = page.partition(f"graphseq.models.{name}`\n")[2].split("\n:py:obj:")[0]
        departs = "Departs from" in (model.__doc__ or "")
        assert ("*Departs from" in part) == departs, name
        assert ("*As printed.*" in part) != departs, name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_every_page_is_in_the_table_of_contents(page: Path) -> None:
    name = page.relative_to(DOCS).with_suffix("")
    if name.as_posix() == "index":
        return
    above = name.parent if name.name != "index" else name.parent.parent
    index = (DOCS / above / "index.md").read_text("utf-8")
    listed = re.findall(r"^[\w*/-]+$", index, re.MULTILINE)
    entry = name.relative_to(above).as_posix()
    assert any(re.fullmatch(line.replace("*", ".*"), entry) for line in listed), entry


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_no_page_speaks_of_where_it_was_written(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(?:work|root|tmp|home)/", text)


def test_the_quick_start_of_the_readme_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(blocks[0], "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "candidates: all 120 items" in printed
    assert "user-2" in printed
    assert (tmp_path / "runs" / "first" / "weights.safetensors").is_file()


def test_the_commands_of_the_readme_are_commands_with_these_options() -> None:
    generator = load_generator()
    lines = re.findall(r"^graphseq (\w+) (.*)$", README, re.MULTILINE)
    assert len(lines) >= 4
    for command, rest in lines:
        text = generator.help_of(command)
        assert f"Usage: graphseq {command}" in text
        assert [o for o in re.findall(r"--[\w-]+", rest) if o not in text] == []
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text("utf-8")


def test_the_readme_names_files_that_are_there() -> None:
    named = re.findall(r"(?:experiments|docs)/[\w/.-]+|\w+\.(?:md|cff)\b", README)
    named = [path for path in named if not path.startswith("docs/_build")]
    assert [path for path in named if not (ROOT / path.rstrip("/")).exists()] == []
