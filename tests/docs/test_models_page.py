"""Every model has a section that agrees with the code."""

from functools import cache
from importlib import import_module as extension
from pathlib import Path

import pytest
from docstring_parser import parse

from graphseq.models import MODELS, ViewContrast
from graphseq.nn import Transformer
from graphseq.objectives import bpr, cross_entropy, nt_xent, sampled_softmax
from graphseq.sequences import CropMaskReorder, GuidedAugmentation
from graphseq.signatures import parameters

ROOT = Path(__file__).resolve().parents[2]


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


def test_parts_are_those_of_the_model_with_its_default_options() -> None:
    parts = extension("composition").parts
    assert parts("SASRec")["Encoder"] == [Transformer]
    assert parts("SASRec")["Losses"] == [cross_entropy]
    assert parts("BPRMF") == {"Losses": [bpr]}
    assert parts("CL4SRec")["Auxiliary objectives"] == [ViewContrast]
    assert parts("CL4SRec")["Augmentation"] == [CropMaskReorder]
    assert parts("CL4SRec")["Losses"] == [cross_entropy, nt_xent]
    assert parts("EC4SRec")["Augmentation"] == [GuidedAugmentation]
    assert sampled_softmax in parts("ComiRec")["Losses"]  # through a shared file
    assert parts("POP") == {}


def test_contrastive_models_are_recognised() -> None:
    contrastive = extension("composition").contrastive
    without = {"POP", "BPRMF", "LightGCN", "SASRec", "GRU4Rec", "Caser", "BERT4Rec"}
    without |= {"ComiRec", "SRGNN", "GCSAN", "S3Rec", "FMLPRec", "BSARec"}
    without |= {"WEARec", "TVRec", "ItemKNN", "EASE", "GFCF", "Repeat"}
    assert {name for name in MODELS if not contrastive(name)} == without & set(MODELS)
