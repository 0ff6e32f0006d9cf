"""Weights of other programs arrive where a table of names says, all or nothing."""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import graphseq as gs
from graphseq.errors import ConfigError
from graphseq.models import SASRec, create
from graphseq.models.load_weights import load_weights
from graphseq.models.tensor_names import fill, matches, parse_part

SCRIPT = Path(__file__).parents[2] / "experiments" / "published_weights.py"
NAMES: dict[str, dict[str, str]] = runpy.run_path(str(SCRIPT))["NAMES"]
SHAPES = {  # in the files of the authors, where they differ from ours
    "FMLPRec": {"complex_weight": (1, 4, 8, 2)},
    "BSARec": {"filter_layer.sqrt_beta": (1, 1, 8)},
    "WEARec": {"base_filter": (2, 4, 1), "base_bias": (2, 4, 1)},
    "TVRec": {"c_t": (11, 4)},
}
ENCODERS = {"TVRec": {"TimeVariantFilter": {"bases": 4}}, "ICLRec": {"Transformer": {}}}


def model_of(name: str) -> Any:
    """A model with 5 items, D = 8 and W = 6."""
    encoder = {"encoder": ENCODERS[name]} if name in ENCODERS else {}
    kind = "SASRec" if name == "ICLRec" else name
    return create({kind: {"backbone": {"dim": 8, "max_length": 6, **encoder}}}, 3, 5)


def written(file: Path, tensors: Mapping[str, Tensor]) -> Path:
    save_file({name: t.clone().contiguous() for name, t in tensors.items()}, file)
    return file


def foreign(name: str, model: Any) -> dict[str, Tensor]:
    """The file of the authors, with the shapes of their code and random numbers."""
    random = torch.Generator().manual_seed(0)
    stored: dict[str, Tensor] = {
        "item_embeddings.weight": torch.randn(7, 8, generator=random)
    }
    for their, our in NAMES[name].items():
        target = parse_part(our, {"D": 8}).name
        for fields in matches(target, model.state_dict()):
            part = parse_part(fill(our, fields), {"D": 8})
            shape = tuple(part.of(model.state_dict()[part.name]).shape)
            full = fill(their, fields).removesuffix("[:W]")
            own = [s for end, s in SHAPES.get(name, {}).items() if full.endswith(end)]
            if "item_embeddings" not in full:
                [shape] = own or [shape]
                stored[full] = torch.randn(shape, generator=random)
    return stored


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_of_the_authors_codes_cover_our_models(
    name: str, tmp_path: Path
) -> None:
    model = model_of(name)
    stored = foreign(name, model)
    load_weights(model, written(tmp_path / "w.safetensors", stored), NAMES[name])
    items = stored["item_embeddings.weight"]
    assert torch.equal(model.backbone.features.weight, items[1:6])
    encoder = model.backbone.encoder
    assert torch.equal(encoder.norm.bias, stored["LayerNorm.bias"])
    if getattr(encoder, "pad", None) is not None:
        assert torch.equal(encoder.pad, items[0])
    end = [stored[n] for n in stored if ".1." in n and "dense_2.weight" in n]
    assert torch.equal(encoder.blocks[1].down.weight, end[0])


def test_query_key_and_value_become_the_thirds_of_one_map(tmp_path: Path) -> None:
    model = model_of("BSARec")
    stored = foreign("BSARec", model)
    load_weights(model, written(tmp_path / "w.safetensors", stored), NAMES["BSARec"])
    theirs = "item_encoder.blocks.1.layer.attention_layer"
    parts = [stored[f"{theirs}.{part}.weight"] for part in ("query", "key", "value")]
    mixer = model.backbone.encoder.blocks[1].mixer
    assert torch.equal(mixer.attention.qkv.weight, torch.cat(parts))
    beta = stored["item_encoder.blocks.1.layer.filter_layer.sqrt_beta"]
    assert torch.equal(mixer.scale, beta.flatten())


@pytest.fixture
def small(tmp_path: Path) -> tuple[Any, Path, dict[str, str | None]]:
    """A model, the file of its own tensors, and the table of equal names."""
    model = gs.models.BPRMF(3, 5, dim=2)
    stored = {"users": torch.ones(3, 2), "items": torch.arange(10.0).view(5, 2)}
    return model, written(tmp_path / "w.safetensors", stored), {n: n for n in stored}


def problems(model: Any, file: Path, names: Any) -> str:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError) as raised:
        gs.load_weights(model, file, names)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), "a refused file changed the model"
    return str(raised.value)


def test_the_public_function_loads_in_place(small: Any) -> None:
    model, file, names = small
    gs.load_weights(model.double(), file, names)
    assert model.items.dtype == torch.float64
    assert model.items.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert model.items.requires_grad


def test_transposed_tensors_and_parts_of_rows(tmp_path: Path) -> None:
    model = gs.models.BPRMF(3, 4, dim=2)
    table = torch.arange(14.0).view(2, 7)
    file = written(tmp_path / "w.safetensors", {"nodes": table})
    names = {"nodes[:, :U].T": "users", "nodes[:, U:]": "items.T"}
    gs.load_weights(model, file, names)
    assert torch.equal(torch.cat([model.users, model.items]), table.T)


def test_all_problems_are_listed_at_once_with_suggestions(small: Any) -> None:
    model, file, _ = small
    text = problems(model, file, {"user": "users", "items[1:V+1]": "itens"})
    for part in (
        "the file has no such tensor; did you mean 'users'?",
        "stored with the shape (3, 2), and not in the table",
        "the model has no itens; did you mean 'items'?",
        "6 of 6 elements, shape (3, 2), get no value",
        "10 of 10 elements, shape (5, 2), get no value",
    ):
        assert part in text
    assert "5 problems" in text


def test_every_element_is_covered_exactly_once(small: Any) -> None:
    model, file, names = small
    text = problems(model, file, {**names, "users[0]": "items[1]"})
    assert "items: covered twice, by items and users" in text
    text = problems(model, file, {"users": "users", "items[:3]": "items[:3]"})
    assert "items: 4 of 10 elements, shape (5, 2), get no value" in text


def test_shapes_differ_by_axes_of_length_one_only(small: Any) -> None:
    model, file, names = small
    text = problems(model, file, {**names, "items": "items.T"})
    assert "(2, 5) is expected for items, found (5, 2)" in text
    text = problems(model, file, {**names, "items[7]": "items[7]"})
    assert "no such part, or not of items" in text


def test_ignored_tensors_need_none_and_may_be_absent(
    small: Any, tmp_path: Path
) -> None:
    model, _, names = small
    stored = {"users": torch.ones(3, 2), "items": torch.ones(5, 2)}
    extra = {"head.0.bias": torch.ones(1), "step": torch.tensor(3)}
    file = written(tmp_path / "more.safetensors", stored | extra)
    assert "2 problems" in problems(model, file, names)
    gs.load_weights(model, file, {**names, "head.*": None, "step": None, "gate": None})
    gs.load_weights(model, file, {**names, "*": None})
    assert "* only ignores tensors" in problems(model, file, {**names, "*": "items"})


def test_names_that_cannot_be_read_are_problems_of_their_entries(small: Any) -> None:
    model, file, names = small
    text = problems(model, file, {**names, "users[::2]": "users", "users": "{i}.x"})
    assert "users[::2]" in text and "has a step" in text
    assert "{i} is not in the name on the left" in text
    with pytest.raises(ConfigError, match="names"):
        gs.load_weights(model, file, {"users": 3})


def test_files_of_other_formats_are_refused_without_reading_pickles(
    small: Any, tmp_path: Path
) -> None:
    model, _, names = small
    pickled = tmp_path / "w.pt"
    torch.save(model.state_dict(), pickled)
    assert "Pickles are not read" in problems(model, pickled, names)
    assert "there are no weights" in problems(model, tmp_path / "none", names)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((tmp_path / "w.safetensors").read_bytes()[:50])
    assert "is not a safetensors file" in problems(model, cut, names)


def test_the_sizes_of_an_index_are_those_of_the_model() -> None:
    from graphseq.models.load_weights import sizes_of

    model = SASRec(3, SASRec.default_backbone(5, dim=8, max_length=6))
    assert sizes_of(model) == {"V": 5, "U": 3, "W": 6, "D": 8}
    assert sizes_of(gs.models.POP(3, 5)).keys() == {"V", "U", "W"}
