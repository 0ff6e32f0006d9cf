"""Every model has a section that agrees with the code."""

import importlib
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from docstring_parser import parse

from graphseq.models import MODELS
from graphseq.nn import Transformer
from graphseq.objectives import bpr, cross_entropy, nt_xent
from graphseq.schema import parameters

ROOT = Path(__file__).resolve().parents[2]
EXTENSIONS = str(ROOT / "docs" / "_ext")


def extension(name: str) -> ModuleType:
    if EXTENSIONS not in sys.path:
        sys.path.insert(0, EXTENSIONS)
    return importlib.import_module(name)


@cache
def section(model: str) -> str:
    return "\n".join(extension("models_page").section(model))


def test_the_page_has_a_section_for_every_model_in_their_order() -> None:
    page = extension("models_page").page()
    places = [page.index(f"\n{name}\n---") for name in list(MODELS)[1:]]
    assert page.startswith(f"{next(iter(MODELS))}\n---")
    assert places == sorted(places)
    index = (ROOT / "docs" / "models.md").read_text("utf-8")
    assert "/reference/generated/models.inc" in index


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_an_experiment(model: str) -> None:
    runs = [run for run in extension("evidence").experiments() if run.model == model]
    assert runs, f"write experiments/{model.lower()}/beauty.yaml"
    for run in runs:
        assert f"``{run.name}``" in section(model)
        assert f"   {run.command}" in section(model)


@pytest.mark.parametrize("model", MODELS)
def test_a_section_documents_the_class(model: str) -> None:
    assert f".. autoclass:: graphseq.models.{model}\n" in section(model)
    described = {p.arg_name for p in parse(MODELS[model].__doc__ or "").params}
    assert set(parameters(MODELS[model])) <= described


def test_a_section_has_every_preset_with_what_it_sets() -> None:
    for name, model in MODELS.items():
        rows = section(name).partition(".. rubric:: Presets")[2]
        rows = rows.partition(".. rubric::")[0]
        shown = set(re.findall(r"^   \* - ``(\w+)``$", rows, re.MULTILINE))
        assert shown == set(model.presets)
    table = section("CoSeRec").partition(".. rubric:: Presets")[2]
    assert (
        "``beauty``\n     - ``encoder: Transformer(positions=end)``, ``loss: bce``, "
        in table
    )
    assert "``short: [insert, substitute, mask, reorder]``" in table
    assert "``complement_weight: 0.0``" in section("SRMA")


def test_parts_are_those_that_the_files_import() -> None:
    parts = extension("composition").parts
    assert parts("SASRec")["encoder"] == [Transformer]
    assert cross_entropy in parts("SASRec")["objectives"]  # through the backbone
    assert nt_xent not in parts("SASRec")["objectives"]
    assert parts("BPRMF")["objectives"] == [bpr]
    assert "encoder" not in parts("BPRMF")
    assert [part.__name__ for part in parts("SASRec")["models"]] == ["Backbone"]
    assert parts("POP") == {}


def test_contrastive_models_are_recognised() -> None:
    contrastive = extension("composition").contrastive
    without = {"POP", "BPRMF", "LightGCN", "SASRec", "GRU4Rec", "Caser", "BERT4Rec"}
    without |= {"ComiRec", "SRGNN", "GCSAN", "S3Rec"}
    assert {name for name in MODELS if not contrastive(name)} == without & set(MODELS)
